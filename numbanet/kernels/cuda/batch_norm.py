"""Sums over all rows for each channel: the statistics of batch normalisation, and the gradients
of its scale and shift.

A block takes ``width`` neighbouring channels of some rows; ``depth`` of its threads share each
channel. A second launch puts together what the blocks found, unless there is one block for each
channel; what a convolution found as it stored its result (`measured`) is put together likewise.
All of it follows from the sizes alone, so a sum has one order on every GPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from numbanet.ir import Node, Value
from numbanet.ir.op import attrs_of
from numbanet.kernels.cuda import tuning
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.moments import (
    IN_FLIGHT,
    begin,
    loop,
    merge,
    settle,
    sum_lanes,
    take,
)
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.sizes import check_sizes
from numbanet.kernels.kernel import Argument, Call, Kernel, Scratch
from numbanet.ops.batch_norm import BatchNormAttrs
from numbanet.ops.composite import row_shape

_STATISTICS = "x, running_mean, running_var, mean, rstd, new_mean, new_var"
_NUMBERS = "epsilon, momentum, correction"
_ELEMENT = "{}[int32({{}} * columns + column)]"
"""Of a matrix, in a row that is to be named."""


@dataclass(frozen=True)
class _Shape:
    """How the rows and channels of ``[..., C]`` are spread over blocks and threads.

    ``parts`` parts of ``chunk`` rows each are summed on their own.
    """

    rows: int
    columns: int
    width: int
    depth: int
    parts: int
    chunk: int

    @classmethod
    def of(cls, x: Value) -> _Shape:
        choice = tuning.TUNING
        columns = x.type.sizes[-1]
        rows = x.type.size // columns
        width = min(choice.columns, 1 << (columns - 1).bit_length())
        depth = choice.threads // width
        most = math.ceil(rows / (depth * choice.run))
        parts = max(1, min(choice.blocks // math.ceil(columns / width), most))
        chunk = max(1, math.ceil(rows / parts))
        return cls(rows, columns, width, depth, max(1, math.ceil(rows / chunk)), chunk)

    @classmethod
    def merging(cls, rows: int, columns: int, parts: int, chunk: int) -> _Shape:
        """How as many parts are put together: few channels a block, so that no lane has many
        parts one after the other."""
        width, threads = tuning.TUNING.columns, tuning.TUNING.threads
        while width > 1 and (width >= 2 * columns or parts * width > IN_FLIGHT * threads):
            width //= 2
        return cls(rows, columns, width, threads // width, parts, chunk)

    @property
    def threads(self) -> int:
        return self.width * self.depth

    @property
    def across(self) -> int:
        return math.ceil(self.columns / self.width)

    def scratch(self, vector: Value) -> tuple[Scratch, Scratch]:
        """Memory for two numbers of each part and channel."""
        nbytes = self.parts * vector.type.nbytes
        return Scratch(nbytes), Scratch(nbytes)


@lowering("batch_moments")
def lower_batch_moments(node: Node) -> tuple[Call, ...]:
    return moments_calls(node, (*node.inputs, *node.outputs))


def moments_calls(node: Node, values: Sequence[Value | Scratch]) -> tuple[Call, ...]:
    """The calls of ``node``, a `BATCH_MOMENTS`; ``values`` are the memory of what it takes and
    gives."""
    x = node.inputs[0]
    check_sizes(x)
    shape, real = _Shape.of(x), str(x.dtype)
    if shape.parts == 1:
        lines = [*_sweep_moments(shape, real), *_leave(_finish_moments(real))]
        text = _kernel(f"{_STATISTICS}, rows, columns, chunk, {_NUMBERS}", lines)
        numbers = _numbers(attrs_of(node, BatchNormAttrs), shape.rows)
        return (_call("moments", text, shape, node, values, numbers, first_written=3),)
    partials = shape.scratch(node.inputs[1])
    store = ["place = int32(part * columns + column)", "means[place] = centre"]
    sweep = [*_sweep_moments(shape, real), *_leave([*store, "squares[place] = square"])]
    text = _kernel("x, means, squares, rows, columns, chunk", sweep)
    return (
        _call("moments", text, shape, node, (values[0], *partials)),
        merge_moments(node, partials, values, shape.parts, shape.chunk),
    )


def merge_moments(
    node: Node,
    partials: Sequence[Scratch],
    values: Sequence[Value | Scratch],
    parts: int,
    chunk: int,
) -> Call:
    """Put together the means and squares of ``parts`` parts of ``chunk`` rows (`moments`)."""
    attrs, x = attrs_of(node, BatchNormAttrs), node.inputs[0]
    rows, columns = row_shape(x)
    shape, real = _Shape.merging(rows, columns, parts, chunk), str(x.dtype)
    lines = [*_place(shape, real), *merge(real, shape.width, shape.depth)]
    lines += _leave(_finish_moments(real))
    names = f"means, squares, {_STATISTICS}, rows, columns, chunk, parts, {_NUMBERS}"
    arguments, numbers = (*partials, *values), _numbers(attrs, rows)
    text = _kernel(names, lines)
    call = _call("merge_moments", text, shape, node, arguments, numbers, 5, is_merge=True)
    # Of what they are parts of, only the first numbers are read.
    return replace(call, nbytes=call.nbytes - _nbytes(values[0]))


def _numbers(attrs: BatchNormAttrs, rows: int) -> tuple[float, ...]:
    return attrs.epsilon, attrs.momentum, attrs.correction(rows)


@lowering("batch_norm_sums")
def lower_batch_norm_sums(node: Node) -> tuple[Call, ...]:
    return sums_calls(node, (*node.inputs, *node.outputs))


def sums_calls(node: Node, values: Sequence[Value | Scratch]) -> tuple[Call, ...]:
    """The calls of ``node``, a `BATCH_NORM_SUMS`, where ``values`` are the memory of what it
    takes and gives."""
    x = node.inputs[0]
    check_sizes(x)
    shape, real = _Shape.of(x), str(x.dtype)
    inputs, written = values[:4], values[4:]
    is_whole = shape.parts == 1
    partials = written if is_whole else shape.scratch(node.outputs[0])
    store = [
        "place = int32(part * columns + column)",
        "dgammas[place] = dgamma * rstd[column]",
        "dbetas[place] = dbeta",
    ]
    sweep = [*_sweep_sums(shape, real), *_leave(store)]
    text = _kernel("x, mean, rstd, g, dgammas, dbetas, rows, columns, chunk", sweep)
    first = _call(node.op.name, text, shape, node, (*inputs, *partials), first_written=4)
    if is_whole:
        return (first,)
    return first, merge_sums(node, partials, written, shape.parts, shape.chunk)


def merge_sums(
    node: Node,
    partials: Sequence[Value | Scratch],
    written: Sequence[Value | Scratch],
    parts: int,
    chunk: int,
) -> Call:
    """Add up the sums of ``parts`` parts of ``chunk`` rows."""
    rows, columns = row_shape(node.inputs[0])
    shape = _Shape.merging(rows, columns, parts, chunk)
    lines = [*_merge_sums(shape, str(node.inputs[0].dtype))]
    lines += _leave(["y[column] = dgamma", "z[column] = dbeta"])
    text = _kernel("dgammas, dbetas, y, z, rows, columns, chunk, parts", lines)
    arguments = (*partials, *written)
    return _call("add_up", text, shape, node, arguments, first_written=2, is_merge=True)


def _call(
    name: str,
    text: str,
    shape: _Shape,
    node: Node,
    arguments: Sequence[Argument],
    numbers: Sequence[float] = (),
    first_written: int = 1,
    *,
    is_merge: bool = False,
) -> Call:
    """One launch, over all parts or to put them together, that writes all arguments from
    ``first_written`` on."""
    sizes = (shape.rows, shape.columns, shape.chunk, *((shape.parts,) if is_merge else ()))
    pointers = [f"{node.outputs[0].dtype}*"] * len(arguments)
    signature = (*pointers, *["int32"] * len(sizes), *[pointers[0][:-1]] * len(numbers))
    work = 2 * shape.parts * shape.columns if is_merge else node.op.flops(node)
    return Call(
        kernel=Kernel(name, make_generated, (text,), signature, shape.threads),
        arguments=(*arguments, *sizes, *numbers),
        tiles=shape.across * (1 if is_merge else shape.parts),
        writes=tuple(range(first_written, len(arguments))),
        in_place=_moved_in_place(arguments) if numbers else (),
        nbytes=sum(_nbytes(argument) for argument in arguments),
        flops=work,
    )


def _moved_in_place(arguments: Sequence[Argument]) -> tuple[tuple[int, int], ...]:
    """The running values, which lie four before the new ones at the end."""
    last = len(arguments)
    return ((last - 6, last - 2), (last - 5, last - 1))


def _nbytes(argument: Argument) -> int:
    if isinstance(argument, Value):
        return argument.type.nbytes
    return argument.nbytes if isinstance(argument, Scratch) else 0


def _kernel(arguments: str, lines: Sequence[str]) -> str:
    return "\n".join([f"def kernel({arguments}):", *(f"    {line}" for line in lines)]) + "\n"


def _place(shape: _Shape, real: str) -> Iterator[str]:
    """Tell a thread its channel, its part and which of that part's lanes it is."""
    yield f"shared = cuda.shared.array({shape.threads}, {real})"
    yield "tile = int32(tile_index())"
    yield "thread = int32(thread_index())"
    yield f"across = int32((columns + {shape.width - 1}) // {shape.width})"
    yield "part = int32(tile // across)"
    yield f"column = int32((tile - part * across) * {shape.width} + thread % {shape.width})"
    yield f"lane = int32(thread // {shape.width})"


def _lanes(shape: _Shape) -> Iterator[str]:
    """Tell a lane its first row, the end of its part, and how many rows it has.

    Lanes without a channel have no rows, but meet the others at barriers.
    """
    yield "start = int32(part * chunk)"
    yield "stop = int32(min(int32(start + chunk), rows))"
    yield "row = int32(start + lane)"
    yield "if column >= columns:"
    yield "    row = stop"
    yield "left = int32(max(int32(stop - row), int32(0)))"
    yield f"count = int32((left + {shape.depth - 1}) // {shape.depth})"


def _sweep_moments(shape: _Shape, real: str) -> Iterator[str]:
    """Leave in ``centre`` and ``square`` what `settle` says of a part."""
    yield from _place(shape, real)
    yield from _lanes(shape)
    yield from begin(real)
    yield f"base = {real}(0)"
    yield "if row < stop:"
    yield "    shift = x[int32(row * columns + column)]"
    yield "    base = x[int32(start * columns + column)]"
    yield from loop(
        "row", "stop", shape.depth, {"each_x": _ELEMENT.format("x")}, take("each_x")
    )
    yield from settle(real, shape.width, shape.depth, "int32(stop - start)")


def _finish_moments(real: str) -> Iterator[str]:
    yield "centre = x[column] + centre"
    yield f"variance = square / {real}(rows)"
    yield "mean[column] = centre"
    yield f"rstd[column] = rsqrt_{real}(variance + epsilon)"
    for name, found in (("mean", "centre"), ("var", "correction * variance")):
        moved = f"momentum * running_{name}[column] + ({real}(1) - momentum) * ({found})"
        yield f"new_{name}[column] = {moved}"


def _sweep_sums(shape: _Shape, real: str) -> Iterator[str]:
    """Leave in ``dgamma``, but for its factor, and ``dbeta`` the sums of a part."""
    yield from _place(shape, real)
    yield from _lanes(shape)
    yield f"centre = {real}(0)"
    yield "if column < columns:"
    yield "    centre = mean[column]"
    yield f"dgamma = {real}(0)"
    yield f"dbeta = {real}(0)"
    loads = {f"each_{name}": _ELEMENT.format(name) for name in "xg"}
    each = ("dgamma = dgamma + each_g * (each_x - centre)", "dbeta = dbeta + each_g")
    yield from loop("row", "stop", shape.depth, loads, each)
    yield from sum_lanes("dgamma", shape.width, shape.depth)
    yield from sum_lanes("dbeta", shape.width, shape.depth)


def _merge_sums(shape: _Shape, real: str) -> Iterator[str]:
    yield from _place(shape, real)
    names = ("dgamma", "dbeta")
    yield from (f"{name} = {real}(0)" for name in names)
    yield "i = lane"
    yield "stop = int32(parts if column < columns else int32(0))"
    loads = {f"part_{name}": _ELEMENT.format(f"{name}s") for name in names}
    each = [f"{name} = {name} + part_{name}" for name in names]
    yield from loop("i", "stop", shape.depth, loads, each)
    for name in names:
        yield from sum_lanes(name, shape.width, shape.depth)


def _leave(lines: Iterable[str]) -> Iterator[str]:
    """Let one lane of each channel store what all of them found."""
    yield "if lane == 0 and column < columns:"
    yield from (f"    {line}" for line in lines)
