"""Kernels that work along rows: softmax, its logarithm, cross-entropy, argmax.

Some threads of a block, the lanes, share a row: each looks at every so many elements, and what
they find is folded in shared memory, pair by pair. How many lanes there are depends on the
row's length alone, and so does the order of the sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from numbanet.ir import Node
from numbanet.ir.op import attrs_of
from numbanet.kernels.cuda import tuning
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.sizes import check_sizes
from numbanet.kernels.kernel import Call, Kernel
from numbanet.ops.indexing import ArgmaxAttrs

_RUN = 4
"""Elements of a row that a lane takes at least, where there are so many."""
_THREADS = 64
"""Of a block with short rows."""


@dataclass(frozen=True)
class _Rows:
    """How rows are dealt out to threads, and the text that all row kernels share.

    Rows are ``columns`` elements long, ``step`` apart; ``step`` rows lie abreast.
    """

    lanes: int
    threads: int

    @classmethod
    def of(cls, columns: int, step: int = 1) -> _Rows:
        """Rows that lie abreast are read side by side by one thread each."""
        most = tuning.TUNING.threads
        wanted = math.ceil(columns / _RUN) if step == 1 else 1
        lanes = min(most, 1 << (wanted - 1).bit_length())
        return cls(lanes, min(most, max(lanes, _THREADS)))

    @property
    def a_block(self) -> int:
        return self.threads // self.lanes

    def start(self, arguments: str, *shared: tuple[str, str]) -> Iterator[str]:
        """Head of the kernel. ``shared`` names arrays of one element a thread."""
        yield f"def kernel({arguments}, rows, columns):"
        for name, dtype in shared if self.lanes > 1 else ():
            yield f"    {name} = cuda.shared.array({self.threads}, {dtype})"
        yield "    thread = thread_index()"
        yield f"    lane = int32(thread % {self.lanes})"
        yield f"    row = int32(tile_index() * {self.a_block} + thread // {self.lanes})"
        yield "    start = int32(row * columns)"
        # Threads beyond the last row look at nothing, but meet the others at barriers.
        yield "    end = int32(columns if row < rows else 0)"

    def each(self, *body: str) -> Iterator[str]:
        """``body`` for a lane's elements: ``i`` of the row, at ``at``."""
        yield "    i = lane"
        yield "    while i < end:"
        yield "        at = int32(start + i)"
        for line in body:
            yield f"        {line}"
        yield f"        i = int32(i + {self.lanes})"

    def fold(self, name: str, combine: str) -> Iterator[str]:
        """Leave in ``name`` of all lanes of a row what their ``name``s combine to.

        ``combine`` is source that makes one of ``left`` and ``right``.
        """
        if self.lanes == 1:
            return
        yield f"    shared[thread] = {name}"
        yield "    cuda.syncthreads()"
        half = self.lanes // 2
        while half:
            yield f"    if lane < {half}:"
            yield "        left = shared[thread]"
            yield f"        right = shared[uint32(thread + {half})]"
            yield f"        shared[thread] = {combine}"
            yield "    cuda.syncthreads()"
            half //= 2
        yield f"    {name} = shared[uint32(thread - uint32(lane))]"
        yield "    cuda.syncthreads()"

    def softmax_sums(self, real: str) -> Iterator[str]:
        """``best``, the largest element, and ``total``, the sum of exp(x - best)."""
        yield f"    best = {real}(-inf)"
        yield from self.each("value = x[at]", "best = value if value > best else best")
        yield from self.fold("best", "right if right > left else left")
        yield f"    total = {real}(0)"
        yield from self.each(f"total = total + exp_{real}(x[at] - best)")
        yield from self.fold("total", "left + right")


@lowering("softmax")
def lower_softmax(node: Node) -> tuple[Call, ...]:
    rows, real = _rows_of(node), str(node.output.dtype)
    lines = [
        *rows.start("x, y", ("shared", real)),
        *rows.softmax_sums(real),
        *rows.each(f"y[at] = exp_{real}(x[at] - best) / total"),
    ]
    return _call(node, rows, lines, in_place=((0, 1),))


@lowering("log_softmax")
def lower_log_softmax(node: Node) -> tuple[Call, ...]:
    rows, real = _rows_of(node), str(node.output.dtype)
    lines = [
        *rows.start("x, y", ("shared", real)),
        *rows.softmax_sums(real),
        f"    log_total = log_{real}(total)",
        *rows.each("y[at] = (x[at] - best) - log_total"),
    ]
    return _call(node, rows, lines, in_place=((0, 1),))


@lowering("cross_entropy")
def lower_cross_entropy(node: Node) -> tuple[Call, ...]:
    """Loss and unit gradient in one launch. A label that names no class gives NaN."""
    rows, real = _rows_of(node), str(node.outputs[1].dtype)
    lines = [
        *rows.start("x, labels, loss, unit", ("shared", real)),
        *rows.softmax_sums(real),
        "    label = int64(-1)",
        "    if row < rows:",
        "        label = int64(labels[row])",
        "    if lane == 0 and row < rows:",
        "        if label < 0 or label >= columns:",
        f"            loss[row] = {real}(nan)",
        "        else:",
        f"            loss[row] = log_{real}(total) - (x[int32(start + label)] - best)",
        *rows.each(
            f"power = exp_{real}(x[at] - best) / total",
            f"unit[at] = power - {real}(1) if i == label else power",
        ),
    ]
    return _call(node, rows, lines)


@lowering("argmax")
def lower_argmax(node: Node) -> tuple[Call, ...]:
    """NaN is larger than any number, and of equal elements the first is the largest."""
    (x,) = node.inputs
    axis = attrs_of(node, ArgmaxAttrs).axis
    columns, step = x.type.sizes[axis], math.prod(x.type.sizes[axis + 1 :])
    rows = _Rows.of(columns, step)
    dtype = "uint8" if str(x.dtype) == "bool" else str(x.dtype)
    lines = list(_write_argmax(rows, dtype))
    return _call(node, rows, lines, columns=columns, step=step)


def _write_argmax(rows: _Rows, dtype: str) -> Iterator[str]:
    yield from rows.start("x, y, step", ("values", dtype), ("places", "int32"))
    yield "    row = int32(min(row, int32(rows - 1)))"
    yield "    outer = int32(uint32(row) // uint32(step))"
    yield "    start = int32(outer * columns * step + (row - outer * step))"
    yield "    place = int32(min(lane, int32(columns - 1)))"
    yield "    best = x[int32(start + place * step)]"
    yield f"    i = int32(lane + {rows.lanes})"
    yield "    while i < columns:"
    yield "        value = x[int32(start + i * step)]"
    yield f"        if {_beats('value', 'best')}:"
    yield "            best = value"
    yield "            place = i"
    yield f"        i = int32(i + {rows.lanes})"
    yield from _fold_places(rows)
    yield f"    if lane == 0 and tile_index() * {rows.a_block} + thread // {rows.lanes} < rows:"
    yield "        y[row] = int64(place)"


def _fold_places(rows: _Rows) -> Iterator[str]:
    half = rows.lanes // 2
    while half:
        yield "    values[thread] = best"
        yield "    places[thread] = place"
        yield "    cuda.syncthreads()"
        yield f"    if lane < {half}:"
        yield f"        value = values[uint32(thread + {half})]"
        yield f"        other = places[uint32(thread + {half})]"
        is_tie = f"not ({_beats('best', 'value')}) and other < place"
        yield f"        if {_beats('value', 'best')} or ({is_tie}):"
        yield "            best = value"
        yield "            place = other"
        yield "    cuda.syncthreads()"
        half //= 2


def _beats(a: str, b: str) -> str:
    """Source of whether ``a`` is larger, where NaN is larger than every number."""
    return f"{a} > {b} or ({a} != {a} and {b} == {b})"


def _rows_of(node: Node) -> _Rows:
    return _Rows.of(node.inputs[0].type.sizes[-1])


def _call(
    node: Node,
    rows: _Rows,
    lines: list[str],
    *,
    columns: int | None = None,
    step: int | None = None,
    in_place: tuple[tuple[int, int], ...] = (),
) -> tuple[Call, ...]:
    """One launch over all rows, if there are any; by default they lie along the last axis."""
    values = (*node.inputs, *node.outputs)
    check_sizes(*values)
    x = node.inputs[0].type
    if x.size == 0:
        return ()
    columns = x.sizes[-1] if columns is None else columns
    count = x.size // columns
    numbers = (count, columns) if step is None else (step, count, columns)
    kernel = Kernel(
        name=node.op.name,
        make=make_generated,
        parameters=("\n".join(lines) + "\n",),
        signature=(*(f"{value.dtype}*" for value in values), *("int32" for _ in numbers)),
        threads=rows.threads,
    )
    call = Call(
        kernel=kernel,
        arguments=(*values, *numbers),
        tiles=math.ceil(count / rows.a_block),
        writes=tuple(range(len(node.inputs), len(values))),
        in_place=in_place,
        nbytes=sum(value.type.nbytes for value in values),
        flops=node.op.flops(node),
    )
    return (call,)
