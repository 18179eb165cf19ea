"""The gradients of layer normalisation on CPUs, in one go over the rows.

A row of ``x`` and of ``g`` is read from memory once and swept twice in the cache: for the two
means that its own gradient needs, and for that gradient and what the row adds to those of
scale and shift. A tile has sums of its own for these, which a second call adds up. There are
as many tiles as sizes alone say, so that the sums keep their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from numbanet.ir import DType, Node, Value
from numbanet.kernels.cpu.registry import lowering
from numbanet.kernels.kernel import Call, Kernel, Scratch

_TILE_ELEMENTS = 16384
_TILES = 64
"""Tiles have so many elements, but are larger ones where there would be more of them."""

_RUN = 4096
"""Elements whose sum is taken at once: float32 sums of longer rows are sums of sums."""

_WIDTH = 256
"""Columns of a tile when the tiles' sums are added up."""


@lowering("layer_norm_grad")
def lower_layer_norm_grad(node: Node) -> tuple[Call, ...]:
    x, dgamma = node.inputs[0].type, node.outputs[1].type
    columns = x.sizes[-1]
    rows = x.size // columns
    height = max(1, _TILE_ELEMENTS // columns, -(-rows // _TILES))
    tiles = -(-rows // height)
    partials = (Scratch(tiles * dgamma.nbytes), Scratch(tiles * dgamma.nbytes))
    pointer = f"{x.dtype}*"
    add_up = add_up_call(partials, node.outputs[1:], tiles)
    if rows == 0:
        return (add_up,)
    values = (*node.inputs, node.outputs[0])
    sweep = Call(
        Kernel(node.op.name, make_sweep, (x.dtype,), (*[pointer] * 8, *["int64"] * 3)),
        (*values, *partials, rows, columns, height),
        tiles=tiles,
        writes=(5, 6, 7),
        in_place=((0, 5), (4, 5)),
        nbytes=sum(value.type.nbytes for value in values) + 2 * tiles * dgamma.nbytes,
        flops=node.op.flops(node),
    )
    return sweep, add_up


def add_up_call(
    partials: tuple[Scratch, Scratch], outputs: Sequence[Value], tiles: int
) -> Call:
    """What sets two vectors to the sums of the two of each tile."""
    vector = outputs[0].type
    columns = vector.sizes[-1]
    signature = (*[f"{vector.dtype}*"] * 4, *["int64"] * 3)
    return Call(
        Kernel("add_up", make_add_up, (vector.dtype,), signature),
        (*partials, *outputs, tiles, columns, _WIDTH),
        tiles=-(-columns // _WIDTH),
        writes=(2, 3),
        nbytes=2 * (tiles + 1) * vector.nbytes,
        flops=2 * tiles * columns,
    )


def make_sweep(dtype: DType) -> Callable[..., None]:
    from numba import njit

    from numbanet.kernels.cpu.mathematics import NAMESPACE, inline
    from numbanet.kernels.cpu.memory import load, store
    from numbanet.kernels.cpu.pointers import offset

    real = NAMESPACE[str(dtype)]
    any_order: set[str] = {"nsz", "contract", "reassoc"}

    @njit(error_model="numpy", fastmath=any_order, forceinline=True)
    def run(x, gamma, g, centre, factor, first, last):
        """Sums of ``h = g * gamma`` and of ``h * z``."""
        total, along = real(0), real(0)
        for j in range(first, last):
            h = load(g, j) * load(gamma, j)
            total += h
            along += h * ((load(x, j) - centre) * factor)
        return total, along

    @inline
    def means(x, gamma, g, centre, factor, n):
        total, along = real(0), real(0)
        for first in range(0, n, _RUN):
            more, more_along = run(x, gamma, g, centre, factor, first, min(first + _RUN, n))
            total += more
            along += more_along
        return total / real(n), along / real(n)

    def kernel(
        first, last, x, gamma, mean, rstd, g, dx, dgammas, dbetas, rows, columns, height
    ):  # fmt: skip
        n = columns
        for tile in range(first, last):
            dgamma, dbeta = offset(dgammas, tile * n), offset(dbetas, tile * n)
            for j in range(n):
                dgamma[j] = 0
                dbeta[j] = 0
            for row in range(tile * height, min((tile + 1) * height, rows)):
                source, incoming, target = (
                    offset(x, row * n), offset(g, row * n), offset(dx, row * n)
                )  # fmt: skip
                centre, factor = mean[row], rstd[row]
                level, along = means(source, gamma, incoming, centre, factor, n)
                for j in range(n):
                    z = (load(source, j) - centre) * factor
                    each = load(incoming, j)
                    h = each * load(gamma, j)
                    store(0, target, j, factor * (h - level - z * along))
                    store(1, dgamma, j, dgamma[j] + each * z)
                    store(2, dbeta, j, dbeta[j] + each)

    return kernel


def make_add_up(dtype: DType) -> Callable[..., None]:
    from numbanet.kernels.cpu.memory import load, store

    def kernel(first, last, dgammas, dbetas, dgamma, dbeta, tiles, columns, width):
        for piece in range(first, last):
            left = piece * width
            right = min(left + width, columns)
            for j in range(left, right):
                dgamma[j] = 0
                dbeta[j] = 0
            for tile in range(tiles):
                at = tile * columns
                for j in range(left, right):
                    store(0, dgamma, j, dgamma[j] + load(dgammas, at + j))
                    store(1, dbeta, j, dbeta[j] + load(dbetas, at + j))

    return kernel
