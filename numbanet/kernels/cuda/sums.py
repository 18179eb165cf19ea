"""Elementwise kernels that add up slices as they read them.

Split products and folds may leave a value as several slices in memory: each of its elements is
the sum of theirs, in their order. Where there are many slices, some threads share an element:
each adds every so-many-th slice, and the first of them adds what they have. That follows from
the number of slices alone, so that sums are the same bits whoever adds them.

Either all of an operand lies in slices, or parts of it do, each in slices of its own, as
gradients in the flat buffer that an optimizer reads. Then a table says what each block does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from numbanet.ir import DType
from numbanet.kernels.cuda import tuning
from numbanet.kernels.cuda.elementwise import LANES, Layout, Writer, different, in_place, indent
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.simulate import SIMULATED
from numbanet.kernels.cuda.sizes import check_elements
from numbanet.kernels.cuda.walks import offsets
from numbanet.kernels.iteration import Dims, collapse
from numbanet.kernels.kernel import Call, Kernel, Part, Scratch, Table
from numbanet.kernels.operand import Operand
from numbanet.ops.expression import Expression
from numbanet.ops.fused import contiguous

_SHARING = ((4, 1), (8, 2), (None, 4)) if SIMULATED else ((16, 1), (128, 8), (None, 32))
"""For at most so many slices, how many threads share an element."""
_IN_FLIGHT = 4
"""Slices that a thread loads before it adds."""
_ROW = ("first", "stop", "end", "origin", "which", "apart", "slices", "shared")
"""What a table says of a block: its elements; the end of those that lie in slices, zero beyond;
the element that slices begin with, and the number of their argument: past the last, the
operand's own memory is to be read."""


def sharing(slices: int) -> int:
    """Threads that share the sum of an element."""
    return next(count for most, count in _SHARING if most is None or slices <= most)


def sum_call(
    name: str,
    expression: Expression,
    shape: tuple[int, ...],
    reads: Sequence[Operand],
    writes: Sequence[Operand],
    apart: int,
) -> Call:
    """The call that computes ``expression`` for every element of ``shape``, where the first
    operand is all in slices, ``apart`` elements from each other."""
    memory = reads[0].argument
    if not isinstance(memory, Scratch):
        raise TypeError(f"no slices in {memory}")
    slices = memory.slices
    check_elements(slices * apart)
    dims = collapse(shape, [operand.access for operand in (*reads, *writes)])
    writer = _Whole(expression, dims, reads, writes, 0, sharing(slices))
    numbers = (dims.size, *writer.layout.walks.numbers(different(dims)), slices, apart)
    return Call(
        _kernel(name, writer, reads, writes, 0, numbers),
        (*(operand.argument for operand in (*reads, *writes)), *numbers),
        tiles=-(-dims.size // writer.span),
        writes=tuple(range(len(reads), len(reads) + len(writes))),
        in_place=in_place(shape, reads, writes),
        nbytes=(slices - 1) * reads[0].nbytes(shape) + _nbytes(shape, reads, writes),
        flops=(slices + len(expression.steps)) * dims.size,
        offsets=offsets((*reads, *writes), shape),
    )


def adding(
    name: str,
    expression: Expression,
    shape: tuple[int, ...],
    reads: Sequence[Operand],
    writes: Sequence[Operand],
    position: int,
    parts: Sequence[Part],
) -> Call | None:
    """`Call.adding` of the call that computes ``expression``: for operands that it reads whole,
    in their order."""
    if reads[position].access != contiguous(shape):
        return None
    dims = collapse(shape, [operand.access for operand in (*reads, *writes)])
    writer = _InParts(expression, dims, reads, writes, position, len(parts))
    table = _table(parts, dims.size, writer)
    numbers = (dims.size, *writer.layout.walks.numbers(different(dims)))
    memory = [part.slices.memory for part in parts]
    more = sum((part.slices.count - 1) * part.size for part in parts)
    return Call(
        _kernel(f"{name}_of_sums", writer, reads, writes, len(parts), numbers),
        (*(operand.argument for operand in (*reads, *writes)), *memory, Table(table), *numbers),
        tiles=len(table),
        writes=tuple(range(len(reads), len(reads) + len(writes))),
        in_place=in_place(shape, reads, writes),
        nbytes=more * reads[position].dtype.itemsize + _nbytes(shape, reads, writes),
        flops=len(expression.steps) * dims.size + more,
        offsets=offsets((*reads, *writes), shape),
    )


def _nbytes(shape: tuple[int, ...], reads: Sequence[Operand], writes: Sequence[Operand]) -> int:
    return sum(operand.nbytes(shape) for operand in (*reads, *writes))


def _kernel(
    name: str,
    writer: _Adder,
    reads: Sequence[Operand],
    writes: Sequence[Operand],
    sources: int,
    numbers: Sequence[int],
) -> Kernel:
    pointers = [operand.pointer for operand in (*reads, *writes)]
    if sources:
        pointers += [*[f"{writer.real}*"] * sources, "int32*"]
    signature = (*pointers, *["int32"] * len(numbers))
    return Kernel(name, make_generated, (writer.write(),), signature, writer.threads)


def _table(parts: Sequence[Part], size: int, writer: _Adder) -> np.ndarray:
    """A row of `_ROW` for each block."""
    rows: list[np.ndarray] = []

    def cover(first: int, stop: int, span: int, *rest: int) -> None:
        firsts = np.arange(first, stop, span, dtype=np.int32)
        block = np.empty((len(firsts), len(_ROW)), np.int32)
        block[:, 0], block[:, 1] = firsts, np.minimum(firsts + span, stop)
        block[:, 2:] = rest
        rows.append(block)

    done = 0
    for which, part in enumerate(parts):
        cover(done, part.first, writer.span, part.first, 0, len(parts), 0, 1, 1)
        end, slices = part.first + part.size, part.slices
        done, shared = end + part.zeros, sharing(slices.count)
        rest = (end, part.first, which, slices.apart, slices.count, shared)
        cover(part.first, done, writer.span // shared, *rest)
    cover(done, size, writer.span, size, 0, len(parts), 0, 1, 1)
    return np.concatenate(rows)


class _Adder(Writer):
    """The text of a kernel: each thread adds up ``width`` neighbouring elements, ``a0`` to
    ``a3``, of the operand ``summed``; then those computations are done that read them.

    Attributes
    ----------
    span : int
        Elements of a block of which each has ``shared`` threads.
    """

    def __init__(
        self,
        expression: Expression,
        dims: Dims,
        reads: Sequence[Operand],
        writes: Sequence[Operand],
        summed: int,
        shared: int = 1,
    ) -> None:
        dtypes = [operand.dtype for operand in (*reads, *writes)]
        layout = Layout.of(dims, dtypes)
        super().__init__(expression, layout, len(reads), tuning.TUNING.threads)
        self.summed = summed
        self.real = str(dtypes[summed])
        self.width = LANES if dtypes[summed] is DType.FLOAT32 else 1
        self.totals = [f"a{j}" for j in range(self.width)]
        self.span = self.threads * self.width // shared

    def load(self, operand: int) -> str:
        return "a0" if operand == self.summed else super().load(operand)

    def load_lanes(self, operand: int) -> list[str]:
        return [] if operand == self.summed else super().load_lanes(operand)

    def loaded(self, operand: int, lane: int) -> str:
        return f"a{lane}" if operand == self.summed else super().loaded(operand, lane)

    def _quad(self, pointer: str, at: str, names: Sequence[str]) -> str:
        load = f"load4({pointer}, {at})" if self.width == LANES else f"{pointer}[{at}]"
        return f"{', '.join(names)} = {load}"

    def _zero(self) -> list[str]:
        return [f"{total} = {self.real}(0)" for total in self.totals]

    def _add_up(self, source: str) -> list[str]:
        """Statements that add every ``shared``-th slice from number ``lane`` on."""
        return [
            "part = lane",
            "at = uint32(lane * apart + i - origin)",
            "step = uint32(shared * apart)",
            f"while uint32(part + {_IN_FLIGHT - 1} * shared) < slices:",
            *indent(self._add_slices(source, _IN_FLIGHT)),
            "while part < slices:",
            *indent(self._add_slices(source, 1)),
        ]

    def _add_slices(self, source: str, count: int) -> Iterator[str]:
        """All loads come before all sums."""
        for k in range(count):
            names = [f"b{k}_{j}" for j in range(self.width)]
            yield self._quad(source, f"uint32(at + {k} * step)", names)
        for k in range(count):
            for j, total in enumerate(self.totals):
                yield f"{total} = {total} + b{k}_{j}"
        yield f"part = uint32(part + {count} * shared)"
        yield f"at = uint32(at + {count} * step)"

    def _meet(self) -> Iterator[str]:
        """The first of the threads that share elements adds what the others have."""
        threads = self.threads
        yield f"sums = cuda.shared.array({threads * self.width}, {self.real}, ALIGNMENT)"
        for j, total in enumerate(self.totals):
            yield f"sums[uint32(thread + {j * threads})] = {total}"
        yield "cuda.syncthreads()"
        yield "other = uint32(thread + across)"
        yield f"while lane == 0 and other < {threads}:"
        for j, total in enumerate(self.totals):
            yield f"    {total} = {total} + sums[uint32(other + {j * threads})]"
        yield "    other = uint32(other + across)"

    def _finish(self, condition: str) -> list[str]:
        """Statements that compute elements ``i`` to ``stop``, four at most."""
        if self.width == 1:
            return ["if lane == 0 and i < stop:", *indent(self.one())]
        turn = [f"a{j} = a{j + 1}" for j in range(self.width - 1)]
        one_by_one = [
            "edge = min(edge, stop)",
            "while i < edge:",
            *indent([*self.one(), *turn, "i = uint32(i + 1)"]),
        ]
        lines = [f"edge = uint32(i + {self.width})"]
        if self.layout.is_vector:
            together = f"if edge <= stop and {condition}{self.are_aligned()}:"
            lines += [together, *indent(self.lanes()), "else:", *indent(one_by_one)]
        else:
            lines += one_by_one
        return ["if lane == 0 and i < stop:", *indent(lines)]


class _Whole(_Adder):
    """All of the operand lies in slices, and is their argument."""

    def __init__(
        self,
        expression: Expression,
        dims: Dims,
        reads: Sequence[Operand],
        writes: Sequence[Operand],
        summed: int,
        shared: int,
    ) -> None:
        super().__init__(expression, dims, reads, writes, summed, shared)
        self._shared = shared

    def write(self) -> str:
        names = [*self.pointers, "n", *self.layout.walks.arguments, "slice_count", "slice_step"]
        across = self.threads // self._shared
        lines = [
            "stop = uint32(n)",
            "slices = uint32(slice_count)",
            "apart = uint32(slice_step)",
            "origin = uint32(0)",
            f"shared = uint32({self._shared})",
            f"across = uint32({across})",
            "thread = thread_index()",
            f"lane = uint32(thread // {across})",
            f"i = uint32(tile_index() * {self.span} + thread % {across} * {self.width})",
            *self._zero(),
            "if i < stop:",
            *indent(self._add_up(self.pointers[self.summed])),
            *(self._meet() if self._shared > 1 else ()),
            *self._finish(""),
        ]
        return "\n".join([f"def kernel({', '.join(names)}):", *indent(lines)]) + "\n"


class _InParts(_Adder):
    """Parts of the operand lie in slices, each of which has an argument; the rest does not."""

    def __init__(
        self,
        expression: Expression,
        dims: Dims,
        reads: Sequence[Operand],
        writes: Sequence[Operand],
        summed: int,
        parts: int,
    ) -> None:
        super().__init__(expression, dims, reads, writes, summed)
        self._sources = [f"s{k}" for k in range(parts)]

    def write(self) -> str:
        names = [*self.pointers, *self._sources, "table", "n", *self.layout.walks.arguments]
        lines = [
            f"row = uint32(tile_index() * {len(_ROW)})",
            *(f"{name} = uint32(table[uint32(row + {k})])" for k, name in enumerate(_ROW)),
            f"across = uint32(uint32({self.threads}) // shared)",
            "thread = thread_index()",
            "lane = uint32(thread // across)",
            f"i = uint32(first + thread % across * {self.width})",
            *self._zero(),
            f"if i < end and which < {len(self._sources)}:",
            *indent(self._choose(0, len(self._sources))),
            *indent(self._add_up("source")),
            *indent(self._cut()),
            "elif i < end:",
            *indent(self._read()),
            "if shared > 1:",
            *indent(self._meet()),
            *self._finish("i % 4 == 0 and "),
        ]
        return "\n".join([f"def kernel({', '.join(names)}):", *indent(lines)]) + "\n"

    def _cut(self) -> Iterator[str]:
        """A quad at the end reads beyond it."""
        for j in range(1, self.width):
            yield f"if i + {j} >= end:"
            yield f"    a{j} = {self.real}(0)"

    def _choose(self, first: int, stop: int) -> list[str]:
        """Statements that find the slices of number ``which``."""
        if stop - first == 1:
            return [f"source = {self._sources[first]}"]
        middle = (first + stop) // 2
        return [
            f"if which < {middle}:",
            *indent(self._choose(first, middle)),
            "else:",
            *indent(self._choose(middle, stop)),
        ]

    def _read(self) -> list[str]:
        """Statements that read what does not lie in slices."""
        pointer = self.pointers[self.summed]
        lines = [f"a0 = {pointer}[i]"]
        for j in range(1, self.width):
            lines += [f"if i + {j} < end:", f"    a{j} = {pointer}[uint32(i + {j})]"]
        if self.width == 1:
            return lines
        return [
            f"if i + {self.width} <= end and i % {self.width} == 0 and is_aligned({pointer}):",
            *indent([self._quad(pointer, "i", self.totals)]),
            "else:",
            *indent(lines),
        ]
