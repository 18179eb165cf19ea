"""Sums over all rows for each channel: the statistics of batch normalisation, and the gradients
of its scale and shift.

A block takes ``width`` neighbouring channels of some rows; ``depth`` of its threads share each
channel. A second launch puts together what the blocks found, unless there is one block for each
channel. All of it follows from the sizes alone, so a sum has one order on every GPU.

Statistics are sound where the mean is large and the variance small (Chan, Golub and LeVeque,
"Updating formulae and a pairwise algorithm for computing sample variances", 1979). A thread
takes distances from its own first number, so that what it subtracts from their squares is at
most as many times their sum as it has numbers; threads, and then blocks, are put together by
their distance from the common mean; and means are kept as distances from the first row of all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from numbanet.ir import Node, Value
from numbanet.ir.op import attrs_of
from numbanet.kernels.cuda import tuning
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.sizes import check_sizes
from numbanet.kernels.kernel import Argument, Call, Kernel, Scratch
from numbanet.ops.batch_norm import BatchNormAttrs

_IN_FLIGHT = 8
"""Rows that a thread loads before it computes: so memory is busy all the time."""

_STATISTICS = "x, running_mean, running_var, mean, rstd, new_mean, new_var"
_NUMBERS = "epsilon, momentum, correction"


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
    attrs = attrs_of(node, BatchNormAttrs)
    x, *running = node.inputs
    check_sizes(x)
    shape, real = _Shape.of(x), str(x.dtype)
    numbers = (attrs.epsilon, attrs.momentum, attrs.correction(shape.rows))
    values = (x, *running, *node.outputs)
    finish = list(_finish_moments(real))
    if shape.parts == 1:
        lines = [*_sweep_moments(shape, real), *_leave(finish)]
        text = _kernel(f"{_STATISTICS}, rows, columns, chunk, {_NUMBERS}", lines)
        return (_call("moments", text, shape, node, values, numbers, first_written=3),)
    partials = shape.scratch(running[0])
    store = ["place = int32(part * columns + column)", "means[place] = centre"]
    sweep = [*_sweep_moments(shape, real), *_leave([*store, "squares[place] = square"])]
    merge = [*_merge_moments(shape, real), *_leave(finish)]
    text = _kernel("x, means, squares, rows, columns, chunk", sweep)
    again = _kernel(
        f"means, squares, {_STATISTICS}, rows, columns, chunk, parts, {_NUMBERS}", merge
    )
    arguments = (*partials, *values)
    return (
        _call("moments", text, shape, node, (x, *partials)),
        _call("merge_moments", again, shape, node, arguments, numbers, 5, is_merge=True),
    )


@lowering("batch_norm_sums")
def lower_batch_norm_sums(node: Node) -> tuple[Call, ...]:
    x, dgamma, dbeta = node.inputs[0], *node.outputs
    check_sizes(x)
    shape, real = _Shape.of(x), str(x.dtype)
    written: tuple[Argument, ...] = (dgamma, dbeta)
    is_whole = shape.parts == 1
    partials = written if is_whole else shape.scratch(dgamma)
    store = [
        "place = int32(part * columns + column)",
        "dgammas[place] = dgamma * rstd[column]",
        "dbetas[place] = dbeta",
    ]
    sweep = [*_sweep_sums(shape, real), *_leave(store)]
    text = _kernel("x, mean, rstd, g, dgammas, dbetas, rows, columns, chunk", sweep)
    first = _call(node.op.name, text, shape, node, (*node.inputs, *partials), first_written=4)
    if is_whole:
        return (first,)
    merge = [*_merge_sums(shape, real), *_leave(["y[column] = dgamma", "z[column] = dbeta"])]
    again = _kernel("dgammas, dbetas, y, z, rows, columns, chunk, parts", merge)
    arguments = (*partials, *written)
    return (
        first,
        _call("add_up", again, shape, node, arguments, first_written=2, is_merge=True),
    )


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


def _rows(
    shape: _Shape, real: str, loads: dict[str, str], each: Sequence[str]
) -> Iterator[str]:
    """Run ``each`` for every row of a lane, with what ``loads`` load of it from ``at``."""
    yield "at = int32(row * columns + column)"
    yield f"step = int32({shape.depth} * columns)"
    yield f"while row + {(_IN_FLIGHT - 1) * shape.depth} < stop:"
    for i in range(_IN_FLIGHT):
        for name, pointer in loads.items():
            yield f"    {name}{i} = {pointer}[int32(at + {i} * step)]"
    for i in range(_IN_FLIGHT):
        for name in loads:
            yield f"    {name} = {name}{i}"
        yield from (f"    {line}" for line in each)
    yield f"    row = int32(row + {_IN_FLIGHT * shape.depth})"
    yield f"    at = int32(at + {_IN_FLIGHT} * step)"
    yield "while row < stop:"
    for name, pointer in loads.items():
        yield f"    {name} = {pointer}[at]"
    yield from (f"    {line}" for line in each)
    yield f"    row = int32(row + {shape.depth})"
    yield "    at = int32(at + step)"


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


def _sum(shape: _Shape, name: str) -> Iterator[str]:
    """Leave in ``name`` of all lanes of a channel the sum of their ``name``s."""
    if shape.depth == 1:
        return
    yield f"shared[thread] = {name}"
    yield "cuda.syncthreads()"
    half = shape.depth // 2
    while half:
        yield f"if lane < {half}:"
        yield f"    other = shared[int32(thread + {half * shape.width})]"
        yield "    shared[thread] = shared[thread] + other"
        yield "cuda.syncthreads()"
        half //= 2
    yield f"{name} = shared[int32(thread % {shape.width})]"
    yield "cuda.syncthreads()"


def _sweep_moments(shape: _Shape, real: str) -> Iterator[str]:
    """Leave in ``centre`` and ``square`` the mean of a part, as its distance from the channel's
    first number, and the sum of squared distances from it."""
    yield from _place(shape, real)
    yield from _lanes(shape)
    yield f"shift = {real}(0)"
    yield f"total = {real}(0)"
    yield f"square = {real}(0)"
    yield f"own = {real}(0)"
    yield "if row < stop:"
    yield "    shift = x[int32(row * columns + column)]"
    each = ("away = each_x - shift", "total = total + away", "square = square + away * away")
    yield from _rows(shape, real, {"each_x": "x"}, each)
    yield "if count > 0:"
    yield f"    own = total / {real}(count)"
    yield f"    square = max(square - total * own, {real}(0))"
    yield "    own = own + (shift - x[column])"
    yield f"centre = own * {real}(count)"
    yield from _sum(shape, "centre")
    yield f"centre = centre / {real}(int32(stop - start))"
    yield f"square = square + {real}(count) * (own - centre) * (own - centre)"
    yield from _sum(shape, "square")


def _merge_moments(shape: _Shape, real: str) -> Iterator[str]:
    """The same for all parts."""
    yield from _place(shape, real)
    share = f"{real}(min(chunk, int32(rows - i * chunk)))"
    yield from _parts(shape, real, {"centre": f"{share} * means[at]"})
    yield from _sum(shape, "centre")
    yield f"centre = centre / {real}(rows)"
    away = "(means[at] - centre)"
    yield from _parts(shape, real, {"square": f"squares[at] + {share} * {away} * {away}"})
    yield from _sum(shape, "square")


def _parts(shape: _Shape, real: str, terms: dict[str, str]) -> Iterator[str]:
    """Add up terms for every part ``i`` of a lane, whose numbers lie at ``at``."""
    for name in terms:
        yield f"{name} = {real}(0)"
    yield "i = lane"
    yield "while i < parts and column < columns:"
    yield "    at = int32(i * columns + column)"
    for name, term in terms.items():
        yield f"    {name} = {name} + ({term})"
    yield f"    i = int32(i + {shape.depth})"


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
    each = ("dgamma = dgamma + each_g * (each_x - centre)", "dbeta = dbeta + each_g")
    yield from _rows(shape, real, {"each_x": "x", "each_g": "g"}, each)
    yield from _sum(shape, "dgamma")
    yield from _sum(shape, "dbeta")


def _merge_sums(shape: _Shape, real: str) -> Iterator[str]:
    yield from _place(shape, real)
    yield from _parts(shape, real, {"dgamma": "dgammas[at]", "dbeta": "dbetas[at]"})
    yield from _sum(shape, "dgamma")
    yield from _sum(shape, "dbeta")


def _leave(lines: Sequence[str]) -> Iterator[str]:
    """Let one lane of each channel store what all of them found."""
    yield "if lane == 0 and column < columns:"
    yield from (f"    {line}" for line in lines)
