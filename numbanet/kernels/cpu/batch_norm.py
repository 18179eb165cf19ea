"""Sums over all rows for each channel on CPUs: the statistics of batch normalisation, and the
gradients of its scale and shift.

The rows of ``x`` are cut into blocks that stay in the cache. Short rows are taken several at a
time, as one long *line* with a sum for each of its elements, or *lane*, which fills the vectors
whatever the number of channels; lanes of one channel are added up at the block's end. A block
has results of its own, which a second call puts together. There are as many blocks as sizes
alone say, so that the sums keep their order.

Statistics are sound where the mean is large and the variance small (Chan, Golub and LeVeque,
"Updating formulae and a pairwise algorithm for computing sample variances", 1979). A block
takes distances from its first row, so that what it subtracts from their squares is at most as
many times their sum as it has rows; blocks are put together by their distance from the common
mean; and means are kept as distances from the first row of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numbanet.ir import DType, Node, Value
from numbanet.ir.op import attrs_of
from numbanet.kernels.cpu.layer_norm_grad import add_up_call
from numbanet.kernels.cpu.registry import lowering
from numbanet.kernels.kernel import Call, Kernel, Scratch
from numbanet.ops.batch_norm import BatchNormAttrs

_BLOCK_ELEMENTS = 8192
_BLOCKS = 256
"""Blocks have so many elements, but are larger ones where there would be more of them."""

_LINE = 256
"""Elements, at most, of which several rows are taken as one."""

_WIDTH = 512
"""Columns of a tile: so many sums stay in the first-level cache."""


@dataclass(frozen=True)
class _Blocks:
    """How ``[..., C]`` is cut into blocks of ``height`` rows, and tiles of a block's columns.

    ``line`` elements are taken as one row.
    """

    rows: int
    columns: int
    line: int
    height: int

    @classmethod
    def of(cls, x: Value) -> _Blocks:
        columns = x.type.sizes[-1]
        rows = x.type.size // columns
        abreast = 1 << max(0, (_LINE // columns).bit_length() - 1)
        line = abreast * columns
        lines = -(-rows // abreast)
        height = max(1, _BLOCK_ELEMENTS // line, -(-lines // _BLOCKS))
        return cls(rows, columns, line, height * abreast)

    @property
    def count(self) -> int:
        return -(-self.rows // self.height)

    @property
    def pieces(self) -> int:
        return -(-self.line // _WIDTH)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of the kernels that sweep ``x``."""
        return (self.rows, self.columns, self.line, self.height, self.pieces, _WIDTH)


@lowering("batch_moments")
def lower_batch_moments(node: Node) -> tuple[Call, ...]:
    attrs = attrs_of(node, BatchNormAttrs)
    x, *running = node.inputs
    blocks, nbytes = _Blocks.of(x), running[0].type.nbytes
    partials = tuple(Scratch(blocks.count * nbytes) for _ in range(2))
    pointer = f"{x.dtype}*"
    sweep = Call(
        Kernel("moments", make_moments, (x.dtype,), (*[pointer] * 3, *["int64"] * 6)),
        (x, *partials, *blocks.numbers),
        tiles=blocks.count * blocks.pieces,
        writes=(1, 2),
        nbytes=x.type.nbytes + 2 * blocks.count * nbytes,
        flops=node.op.flops(node),
    )
    sizes = (blocks.count, blocks.rows, blocks.columns, blocks.height, _WIDTH)
    numbers = (attrs.epsilon, attrs.momentum, attrs.correction(blocks.rows))
    signature = (*[pointer] * 9, *["int64"] * 5, *["float64"] * 3)
    merge = Call(
        Kernel("merge_moments", make_merge, (x.dtype,), signature),
        (*partials, x, *running, *node.outputs, *sizes, *numbers),
        tiles=-(-blocks.columns // _WIDTH),
        writes=(5, 6, 7, 8),
        in_place=((3, 7), (4, 8)),
        nbytes=(2 * blocks.count + 7) * nbytes,
        flops=6 * blocks.count * blocks.columns,
    )
    return sweep, merge


@lowering("batch_norm_sums")
def lower_batch_norm_sums(node: Node) -> tuple[Call, ...]:
    x, dgamma = node.inputs[0], node.outputs[0].type
    if x.type.size == 0:
        return (add_up_call((Scratch(0), Scratch(0)), node.outputs, 0),)
    blocks = _Blocks.of(x)
    partials = (Scratch(blocks.count * dgamma.nbytes), Scratch(blocks.count * dgamma.nbytes))
    sweep = Call(
        Kernel(node.op.name, make_sums, (x.dtype,), (*[f"{x.dtype}*"] * 6, *["int64"] * 6)),
        (*node.inputs, *partials, *blocks.numbers),
        tiles=blocks.count * blocks.pieces,
        writes=(4, 5),
        nbytes=2 * (x.type.nbytes + (1 + blocks.count) * dgamma.nbytes),
        flops=node.op.flops(node),
    )
    return sweep, add_up_call(partials, node.outputs, blocks.count)


def make_moments(dtype: DType) -> Callable[..., None]:
    from numbanet.kernels.cpu.mathematics import NAMESPACE
    from numbanet.kernels.cpu.memory import load, local

    real = NAMESPACE[str(dtype)]
    clear, spread, fold = _lanes(dtype)

    def kernel(first, last, x, means, squares, rows, columns, line, height, pieces, width):
        total, square = local(_WIDTH, real(0)), local(_WIDTH, real(0))
        shift = local(_WIDTH, real(0))
        for tile in range(first, last):
            block, left = tile // pieces, tile % pieces * width
            span = min(width, line - left)
            own = min(span, columns)
            start, stop = block * height * columns, min((block + 1) * height, rows) * columns
            count = real((stop - start) // columns)
            for j in range(own):
                shift[j] = x[start + left + j]
            spread(shift, own, span)
            clear(total, span)
            clear(square, span)
            for at in range(start + left, stop, line):
                for j in range(min(span, stop - at)):
                    distance = load(x, at + j) - shift[j]
                    total[j] = total[j] + distance
                    square[j] = square[j] + distance * distance
            fold(total, own, span)
            fold(square, own, span)
            for j in range(own):
                at = block * columns + left + j
                mean = total[j] / count
                means[at] = (shift[j] - x[left + j]) + mean
                squares[at] = max(square[j] - total[j] * mean, real(0))

    return kernel


def make_merge(dtype: DType) -> Callable[..., None]:
    from numbanet.kernels.cpu.mathematics import NAMESPACE
    from numbanet.kernels.cpu.memory import load, local

    real, rsqrt = NAMESPACE[str(dtype)], NAMESPACE[f"rsqrt_{dtype}"]

    def kernel(
        first, last, means, squares, x, running_mean, running_var, mean, rstd, new_mean,
        new_var, blocks, rows, columns, height, width, epsilon, momentum, correction,
    ):  # fmt: skip
        total, spread = local(_WIDTH, real(0)), local(_WIDTH, real(0))
        keep, take = real(momentum), real(1.0 - momentum)
        for piece in range(first, last):
            left = piece * width
            span = min(width, columns - left)
            for j in range(span):
                total[j] = 0
                spread[j] = 0
            for block in range(blocks):
                share = real(min(height, rows - block * height)) / real(rows)
                at = block * columns + left
                for j in range(span):
                    total[j] = total[j] + share * load(means, at + j)
            for block in range(blocks):
                count = real(min(height, rows - block * height))
                at = block * columns + left
                for j in range(span):
                    distance = load(means, at + j) - total[j]
                    spread[j] = spread[j] + (
                        load(squares, at + j) + count * distance * distance
                    )
            for j in range(span):
                at = left + j
                centre, variance = x[at] + total[j], spread[j] / real(rows)
                mean[at] = centre
                rstd[at] = rsqrt(variance + real(epsilon))
                new_mean[at] = keep * running_mean[at] + take * centre
                moved = real(correction) * variance
                new_var[at] = keep * running_var[at] + take * moved

    return kernel


def make_sums(dtype: DType) -> Callable[..., None]:
    from numbanet.kernels.cpu.mathematics import NAMESPACE
    from numbanet.kernels.cpu.memory import load, local

    real = NAMESPACE[str(dtype)]
    clear, spread, fold = _lanes(dtype)

    def kernel(
        first, last, x, mean, rstd, g, dgammas, dbetas,
        rows, columns, line, height, pieces, width,
    ):  # fmt: skip
        dgamma, dbeta = local(_WIDTH, real(0)), local(_WIDTH, real(0))
        centre = local(_WIDTH, real(0))
        for tile in range(first, last):
            block, left = tile // pieces, tile % pieces * width
            span = min(width, line - left)
            own = min(span, columns)
            start, stop = block * height * columns, min((block + 1) * height, rows) * columns
            for j in range(own):
                centre[j] = mean[left + j]
            spread(centre, own, span)
            clear(dgamma, span)
            clear(dbeta, span)
            for at in range(start + left, stop, line):
                for j in range(min(span, stop - at)):
                    each = load(g, at + j)
                    dgamma[j] = dgamma[j] + each * (load(x, at + j) - centre[j])
                    dbeta[j] = dbeta[j] + each
            fold(dgamma, own, span)
            fold(dbeta, own, span)
            for j in range(own):
                at = block * columns + left + j
                dgammas[at] = dgamma[j] * rstd[left + j]
                dbetas[at] = dbeta[j]

    return kernel


def _lanes(dtype: DType) -> tuple[Callable[..., None], ...]:
    """``clear(lanes, span)``; ``spread(lanes, own, span)``, which repeats the first ``own``
    lanes; and its reverse ``fold``, which leaves in those the sums of their repetitions."""
    from numbanet.kernels.cpu.mathematics import inline

    @inline
    def clear(lanes, span):
        for j in range(span):
            lanes[j] = 0

    @inline
    def spread(lanes, own, span):
        size = own
        while size < span:
            for j in range(size):
                lanes[size + j] = lanes[j]
            size *= 2

    @inline
    def fold(lanes, own, span):
        size = span // 2
        while size >= own:
            for j in range(size):
                lanes[j] = lanes[j] + lanes[size + j]
            size //= 2

    return clear, spread, fold
