"""Folds: an elementwise program whose results are summed, or whose extremes are found.

A block folds ``width`` neighbouring outputs; ``depth`` of its threads share each. With a width
of one that is a block a row, with a width of 32 the sums of columns, with a depth of one a
thread an output. Threads that share a row are neighbours, and exchange what they have within
their warps; those that share a column are a row apart, and meet in a tree in shared memory.

Where outputs are too few to fill a GPU, the elements are cut into parts, and a second call
folds what the first made of each part. All of it follows from the sizes alone, so a sum has one
order on every GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from numbanet.ir import DType, Node
from numbanet.kernels.cuda import tuning
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.partial import apart, in_slices, scratch_for
from numbanet.kernels.cuda.registers import QUAD
from numbanet.kernels.cuda.sizes import check_elements
from numbanet.kernels.cuda.walks import Walks, offsets
from numbanet.kernels.iteration import Dims, Step, split, with_position
from numbanet.kernels.kernel import Argument, Call, Kernel, Scratch
from numbanet.kernels.operand import Operand
from numbanet.kernels.source import literal, render
from numbanet.ops.expression import Expression
from numbanet.ops.fused import Access, FusedAttrs

_SHUFFLED = frozenset({DType.FLOAT32, DType.FLOAT64, DType.INT32, DType.INT64})
"""What threads of a warp can exchange."""
_IN_FLIGHT = 8
"""Elements that a thread loads before it folds: so memory is busy all the time."""
_MOST_STEPS = 12
"""Of a program: longer ones are written once, for compilers' sake, and keep threads busy."""


def lower_reduction(
    node: Node, attrs: FusedAttrs, reads: Sequence[Operand]
) -> tuple[Call, ...]:
    """The calls of a fused node that ends in a reduction; none if it has no output element."""
    if attrs.reduction is None:
        raise TypeError(f"{node!r} reduces nothing")
    kept, folded = split(attrs.shape, with_position(attrs), attrs.reduction.axes)
    if kept.size == 0:
        return ()
    check_elements(kept.size * max(folded.size, 1))
    work = _Work(attrs.expression, tuple(reads), attrs.shape, kept, folded)
    kind, shape = attrs.reduction.kind, _Shape.of(kept, folded)
    nbytes = sum(operand.nbytes(attrs.shape) for operand in reads)
    outputs = tuple(node.outputs)
    flops = node.op.flops(node)
    if shape.parts == 1:
        return (work.call(kind, shape, outputs, folded.size, nbytes, flops),)
    partial_kind = "sum" if kind == "mean" else kind
    dtypes = attrs.expression.output_dtypes
    partials = tuple(scratch_for(kept.size, shape.parts, each) for each in dtypes)
    first = work.call(partial_kind, shape, partials, folded.size, nbytes, flops)
    again = _work_on_partials(partials, dtypes, kept.size)
    last_shape = _Shape.of(again.kept, again.folded, may_cut=False)
    last = again.call(kind, last_shape, outputs, folded.size, 0, 0)
    if kind == "sum" and len(outputs) == 1 and dtypes[0].is_floating:
        last = replace(last, sliced=lambda: in_slices(first, partials[0], outputs[0]))
    return first, last


@dataclass(frozen=True)
class _Shape:
    """How a fold is spread over blocks and threads.

    ``parts`` parts of ``chunk`` elements each are folded on their own. ``is_columns`` if
    neighbouring threads have neighbouring outputs, else they share one.
    """

    is_columns: bool
    width: int
    depth: int
    parts: int
    chunk: int

    @classmethod
    def of(cls, kept: Dims, folded: Dims, *, may_cut: bool = True) -> _Shape:
        choice = tuning.TUNING
        is_columns = Step.ONE in kept.inner and Step.ONE not in folded.inner
        narrowest = min(choice.columns, _power_of_two(kept.size)) if is_columns else 1
        depth = min(_power_of_two(-(-folded.size // 4)), choice.threads // narrowest)
        width = choice.threads // depth
        blocks = -(-kept.size // width)
        parts = 1
        if may_cut:
            most = -(-folded.size // (depth * choice.run))
            parts = max(1, min(choice.blocks // blocks, most))
        chunk = max(1, -(-folded.size // parts))
        return cls(is_columns, width, depth, max(1, -(-folded.size // chunk)), chunk)

    def blocks(self, outputs: int) -> int:
        """Of one part."""
        return -(-outputs // self.width)


def _power_of_two(number: int) -> int:
    """The smallest that is not below ``number``."""
    return 1 << max(0, number - 1).bit_length()


@dataclass(frozen=True)
class _Work:
    """What is folded: a program over operands, in a space that is split in two.

    If the program asks for positions, the spaces have one operand more: their offset is it.
    """

    expression: Expression
    reads: tuple[Operand, ...]
    space: tuple[int, ...]
    kept: Dims
    folded: Dims

    def call(
        self,
        kind: str,
        shape: _Shape,
        writes: tuple[Argument, ...],
        count: int,
        nbytes: int,
        flops: int,
    ) -> Call:
        """One launch; ``count`` elements make a mean."""
        kept, folded = Walks.of("k", self.kept), Walks.of("f", self.folded)
        text = _Writer(self, kind, shape, kept, folded).write()
        blocks = shape.blocks(self.kept.size)
        places = -(-self.kept.size // QUAD) * QUAD
        sizes = (self.kept.size, self.folded.size, shape.chunk, blocks, count, places)
        numbers = (*sizes, *kept.numbers(self.kept), *folded.numbers(self.folded))
        pointers = [operand.pointer for operand in self.reads]
        pointers += [f"{dtype}*" for dtype in self.expression.output_dtypes]
        signature = (*pointers, *["int32"] * len(numbers))
        threads = shape.width * shape.depth
        return Call(
            Kernel(f"{kind}_fold", make_generated, (text,), signature, threads),
            (*(operand.argument for operand in self.reads), *writes, *numbers),
            tiles=blocks * shape.parts,
            writes=tuple(range(len(self.reads), len(pointers))),
            nbytes=nbytes,
            flops=flops,
            offsets=offsets(self.reads, self.space),
        )


def _work_on_partials(
    partials: tuple[Scratch, ...], dtypes: tuple[DType, ...], outputs: int
) -> _Work:
    parts, access = partials[0].slices, Access(0, (apart(partials[0], dtypes[0]), 1))
    reads = tuple(
        Operand(partial, dtype, access) for partial, dtype in zip(partials, dtypes, strict=True)
    )
    space = (parts, outputs)
    kept, folded = split(space, [access] * len(reads), (0,))
    copies = Expression(dtypes, (), tuple(range(len(dtypes))))
    return _Work(copies, reads, space, kept, folded)


class _Writer:
    """The text of one kernel."""

    def __init__(
        self, work: _Work, kind: str, shape: _Shape, kept: Walks, folded: Walks
    ) -> None:
        self._work = work
        self._kind = kind
        self._shape = shape
        self._kept = kept
        self._folded = folded
        self._dtypes = work.expression.output_dtypes
        self._numbers = range(len(self._dtypes))

    def write(self) -> str:
        reads = [f"x{k}" for k in range(len(self._work.reads))]
        writes = [f"y{k}" for k in self._numbers]
        sizes = ["outputs", "elements", "chunk", "blocks", "count", "apart"]
        walks = [*self._kept.arguments, *self._folded.arguments]
        lines = [
            *self._place(),
            *(f"a{k} = {_start(self._kind, self._dtypes[k])}" for k in self._numbers),
            "if output < uint32(outputs):",
            *_indent(self._fold()),
            *self._meet(),
            "if lane == uint32(0) and output < uint32(outputs):",
            *_indent(self._stores()),
        ]
        arguments = ", ".join([*reads, *writes, *sizes, *walks])
        return "\n".join([f"def kernel({arguments}):", *_indent(lines)]) + "\n"

    def _place(self) -> list[str]:
        """Statements that tell a thread its output and its part."""
        width = self._shape.width
        fast, slow, extent = "lane", "column", self._shape.depth
        if self._shape.is_columns:
            fast, slow, extent = "column", "lane", width
        return [
            "tile = tile_index()",
            "thread = thread_index()",
            f"{fast} = uint32(thread % uint32({extent}))",
            f"{slow} = uint32(thread // uint32({extent}))",
            "part = uint32(tile // uint32(blocks))",
            f"output = uint32(uint32(tile % uint32(blocks)) * uint32({width}) + column)",
        ]

    def _fold(self) -> list[str]:
        """Statements that fold every ``depth``-th element of the part."""
        walks = range(len(self._kept.steps))
        many = _IN_FLIGHT if len(self._work.expression.steps) <= _MOST_STEPS else 1
        last = (many - 1) * self._shape.depth
        return [
            *self._kept.unravel("output"),
            *(f"b{walk} = {self._kept.offset(walk)}" for walk in walks),
            "element = uint32(part * uint32(chunk) + lane)",
            "stop = min(uint32(part * uint32(chunk) + uint32(chunk)), uint32(elements))",
            f"while uint32(element + uint32({last})) < stop:",
            *_indent(self._elements(many)),
            *(["while element < stop:", *_indent(self._elements(1))] if many > 1 else ()),
        ]

    def _elements(self, count: int) -> list[str]:
        """Statements that fold some elements: all are loaded before any is folded."""
        reads, lines = range(len(self._work.reads)), []
        for i in range(count):
            lines += self._folded.unravel("element")
            for walk in range(len(self._kept.steps)):
                lines.append(f"p{i}_{walk} = uint32(b{walk} + {self._folded.offset(walk)})")
            lines += [f"x{k}_{i} = x{k}[p{i}_{k}]" for k in reads]
            lines.append(f"element = uint32(element + uint32({self._shape.depth}))")
        for i in range(count):
            loaded = [f"x{k}_{i}" for k in reads]
            position = f"p{i}_{len(loaded)}"
            statements, results = render(self._work.expression, loaded, position)
            lines += [*statements, *self._combine(results)]
        return lines

    def _combine(self, results: Sequence[str]) -> list[str]:
        lines = []
        for k, result in enumerate(results):
            lines.append(f"v{k} = {result}")
            lines.append(f"a{k} = {self._combined(k)}")
        return lines

    def _meet(self) -> list[str]:
        """Statements that fold the lanes of each output: the first has the result."""
        if self._shape.depth == 1:
            return []
        if self._shape.is_columns or not _SHUFFLED.issuperset(self._dtypes):
            return self._tree()
        return self._warps()

    def _warps(self) -> list[str]:
        """Within warps first; then the first lane folds what the warps have."""
        warp, depth = tuning.TUNING.warp, self._shape.depth
        half = min(warp, depth) // 2
        lines = []
        while half:
            for k in self._numbers:
                lines.append(f"v{k} = shuffle_down(a{k}, {half})")
                lines.append(f"a{k} = {self._combined(k)}")
            half //= 2
        warps = depth // warp
        if warps <= 1:
            return lines
        total = warps * self._shape.width
        lines += [
            f"s{k} = cuda.shared.array({total}, {self._dtypes[k]})" for k in self._numbers
        ]
        lines.append(f"if lane % uint32({warp}) == uint32(0):")
        lines += [f"    s{k}[uint32(thread // uint32({warp}))] = a{k}" for k in self._numbers]
        lines += ["cuda.syncthreads()", "if lane == uint32(0):"]
        lines.append(f"    first = uint32(thread // uint32({warp}))")
        for i in range(1, warps):
            for k in self._numbers:
                lines.append(f"    v{k} = s{k}[uint32(first + uint32({i}))]")
                lines.append(f"    a{k} = {self._combined(k)}")
        return lines

    def _combined(self, k: int) -> str:
        return _combined(self._kind, self._dtypes[k], f"a{k}", f"v{k}")

    def _tree(self) -> list[str]:
        depth, width = self._shape.depth, self._shape.width
        apart = width if self._shape.is_columns else 1
        lines = [
            f"s{k} = cuda.shared.array({depth * width}, {self._dtypes[k]})"
            for k in self._numbers
        ]
        lines += [*(f"s{k}[thread] = a{k}" for k in self._numbers), "cuda.syncthreads()"]
        half = depth // 2
        while half:
            body = []
            for k in self._numbers:
                body.append(f"v{k} = s{k}[uint32(thread + uint32({half * apart}))]")
                body += [f"a{k} = {self._combined(k)}", f"s{k}[thread] = a{k}"]
            lines += [f"if lane < uint32({half}):", *_indent(body), "cuda.syncthreads()"]
            half //= 2
        return lines

    def _stores(self) -> list[str]:
        lines = ["place = uint32(part * uint32(apart) + output)"]
        for k in self._numbers:
            dtype = self._dtypes[k]
            is_mean = self._kind == "mean"
            lines.append(
                f"y{k}[place] = a{k} / {dtype}(count)" if is_mean else f"y{k}[place] = a{k}"
            )
        return lines


def _start(kind: str, dtype: DType) -> str:
    """Source of what a fold of nothing is."""
    if kind in ("sum", "mean"):
        return literal(0, dtype)
    sign = -1 if kind == "max" else 1
    if dtype.is_floating:
        return f"{dtype}({'-' if sign < 0 else ''}inf)"
    limits = np.iinfo(dtype.numpy)
    return literal(int(limits.min if sign < 0 else limits.max), dtype)


def _combined(kind: str, dtype: DType, a: str, b: str) -> str:
    """Source of ``a`` folded with ``b``; of an extreme NaN if either is."""
    if kind in ("sum", "mean"):
        return f"{dtype}({a} + {b})"
    worse = "<" if kind == "max" else ">"
    condition = f"({a} {worse} {b}) | ({b} != {b})" if dtype.is_floating else f"{a} {worse} {b}"
    return f"{b} if {condition} else {a}"


def _indent(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
