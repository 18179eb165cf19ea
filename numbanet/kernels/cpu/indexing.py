"""Indexing on CPUs: rows by index, rows added up by index, and where the largest element is."""

from __future__ import annotations

import math
from collections.abc import Callable

from numbanet.ir import DType, Node, Value
from numbanet.ir.op import attrs_of
from numbanet.kernels.cpu.registry import lowering
from numbanet.kernels.kernel import Argument, Call, Kernel
from numbanet.ops.indexing import ArgmaxAttrs

_TILE_BYTES = 32768
"""That a tile writes."""

_TILE_ELEMENTS = 8192
"""That a tile of argmax reads."""

_COLUMNS = 256
"""Columns of a tile of argmax down columns: their largest elements lie on the stack."""

_SCATTER_TILES = 8
_SCATTER_BYTES = 16384
"""Tiles of a scatter-add all read all ids: there are so many, or fewer of so much each."""

_LEAST_WIDTH = 64
"""Of parts of rows."""


@lowering("take")
def lower_take(node: Node) -> tuple[Call, ...]:
    sizes = node.inputs[0].type.sizes
    return _gather(node, make_take, math.prod(sizes[1:]), sizes[0])


@lowering("gather_batch")
def lower_gather_batch(node: Node) -> tuple[Call, ...]:
    data = node.inputs[0]
    return _gather(node, make_gather_batch, math.prod(data.type.sizes[1:]))


def _gather(
    node: Node, make: Callable[..., Callable[..., None]], row: int, *numbers: int
) -> tuple[Call, ...]:
    """The call that copies rows of ``row`` elements each."""
    out = node.output
    if out.type.size == 0:
        return ()
    count = out.type.size // row
    height = max(1, _TILE_BYTES // (row * out.dtype.itemsize))
    return (
        _call(
            node,
            make,
            (row == 1,),
            (count, row, height, *numbers),
            tiles=-(-count // height),
            nbytes=2 * out.type.nbytes + node.inputs[1].dtype.itemsize * count,
        ),
    )


@lowering("scatter_add")
def lower_scatter_add(node: Node) -> tuple[Call, ...]:
    """A call that clears the sums, and one that adds to them.

    In that, every tile goes through all ids, and adds up those rows that are its own. Rows are
    dealt out in turn, because small ids are often the frequent ones; if there are too few of
    them they are cut.
    """
    g, ids = node.inputs
    out = node.output
    if out.type.size == 0:
        return ()
    rows = out.type.sizes[0]
    row = out.type.size // rows
    wanted = min(_SCATTER_TILES, 1 + g.type.nbytes // _SCATTER_BYTES)
    owners = 1 << (min(wanted, rows).bit_length() - 1)
    width = max(_LEAST_WIDTH, -(-row * owners // wanted))
    pointers = tuple(f"{value.dtype}*" for value in (g, ids, out))
    add = Call(
        Kernel("scatter_add", make_scatter_add, (), (*pointers, *["int64"] * 5)),
        (g, ids, out, ids.type.size, row, owners, width, rows),
        tiles=owners * -(-row // width),
        writes=(2,),
        nbytes=3 * g.type.nbytes + ids.type.nbytes,
        flops=node.op.flops(node),
    )
    return (_clear(out), add) if g.type.size else (_clear(out),)


def _clear(out: Value) -> Call:
    tile = _TILE_BYTES // out.dtype.itemsize
    return Call(
        Kernel("clear", make_clear, (), (f"{out.dtype}*", "int64", "int64")),
        (out, out.type.size, tile),
        tiles=-(-out.type.size // tile),
        writes=(0,),
        nbytes=out.type.nbytes,
    )


@lowering("argmax")
def lower_argmax(node: Node) -> tuple[Call, ...]:
    """NaN is larger than any number, and of equal elements the first is the largest."""
    (x,) = node.inputs
    if x.type.size == 0:
        return ()
    axis = attrs_of(node, ArgmaxAttrs).axis
    count, inner = x.type.sizes[axis], math.prod(x.type.sizes[axis + 1 :])
    outer = x.type.size // (count * inner)
    if inner == 1:
        height = max(1, _TILE_ELEMENTS // count)
        make, numbers, tiles = make_argmax_along, (outer, count, height), -(-outer // height)
    else:
        make, numbers = make_argmax_down, (count, inner)
        tiles = outer * -(-inner // _COLUMNS)
    nbytes = x.type.nbytes + node.output.type.nbytes
    return (_call(node, make, (x.dtype,), numbers, tiles=tiles, nbytes=nbytes),)


def _call(
    node: Node,
    make: Callable[..., Callable[..., None]],
    parameters: tuple[DType | bool, ...],
    numbers: tuple[int, ...],
    *,
    tiles: int,
    nbytes: int,
) -> Call:
    values: tuple[Argument, ...] = (*node.inputs, node.output)
    pointers = [f"{value.dtype}*" for value in (*node.inputs, node.output)]
    return Call(
        Kernel(node.op.name, make, parameters, (*pointers, *["int64"] * len(numbers))),
        (*values, *numbers),
        tiles=tiles,
        writes=(len(node.inputs),),
        nbytes=nbytes,
        flops=node.op.flops(node),
    )


def make_take(is_single: bool) -> Callable[..., None]:
    """``is_single``: rows are one element each."""
    copy, within = _copy_row(is_single), _within()

    def kernel(first, last, table, ids, out, count, row, height, rows):
        for i in range(first * height, min(last * height, count)):
            copy(table, within(ids[i], rows), out, i, row)

    return kernel


def make_gather_batch(is_single: bool) -> Callable[..., None]:
    """``is_single``: rows are one element each."""
    copy = _copy_row(is_single)

    def kernel(first, last, data, permutation, start, out, count, row, height):
        begin = start[0]
        for i in range(first * height, min(last * height, count)):
            copy(data, permutation[begin + i], out, i, row)

    return kernel


def _copy_row(is_single: bool) -> Callable[..., None]:
    from numba import int64

    from numbanet.kernels.cpu.mathematics import inline
    from numbanet.kernels.cpu.memory import load, store

    @inline
    def copy_element(source, at, target, to, row):
        store(0, target, to, load(source, int64(at)))

    @inline
    def copy(source, at, target, to, row):
        for j in range(row):
            store(0, target, to * row + j, load(source, int64(at) * row + j))

    return copy_element if is_single else copy


def _within() -> Callable[..., None]:
    from numba import int64

    from numbanet.kernels.cpu.mathematics import inline

    @inline
    def within(at, rows):
        return min(max(int64(at), int64(0)), rows - 1)

    return within


def make_clear() -> Callable[..., None]:
    def kernel(first, last, out, size, tile):
        for i in range(first * tile, min(last * tile, size)):
            out[i] = 0

    return kernel


def make_scatter_add() -> Callable[..., None]:
    """``owners`` is a power of two."""
    from numbanet.kernels.cpu.memory import load, store

    within = _within()

    def kernel(first, last, g, ids, out, count, row, owners, width, rows):
        for tile in range(first, last):
            owner, left = tile % owners, tile // owners * width
            right = min(left + width, row)
            for k in range(count):
                i = within(ids[k], rows)
                if i & (owners - 1) == owner:
                    for j in range(left, right):
                        store(0, out, i * row + j, out[i * row + j] + load(g, k * row + j))

    return kernel


def make_argmax_along(dtype: DType) -> Callable[..., None]:
    """Rows that lie together: what is largest is looked for first, then where it is."""
    from numbanet.kernels.cpu.mathematics import inline
    from numbanet.kernels.cpu.pointers import offset
    from numbanet.kernels.cpu.rows import row_maximum

    @inline
    def has_nan(x, n):
        found = False
        for j in range(n):
            found |= x[j] != x[j]
        return found

    @inline
    def largest(x, n):
        most = x[0]
        for j in range(1, n):
            most = x[j] if x[j] > most else most
        return most

    is_floating = dtype.is_floating
    maximum = row_maximum(dtype) if is_floating else largest

    @inline
    def argmax(x, n):
        j = 0
        if is_floating and has_nan(x, n):
            while x[j] == x[j]:
                j += 1
        else:
            most = maximum(x, n)
            while x[j] != most:
                j += 1
        return j

    def kernel(first, last, x, y, rows, columns, height):
        for row in range(first * height, min(last * height, rows)):
            y[row] = argmax(offset(x, row * columns), columns)

    return kernel


def make_argmax_down(dtype: DType) -> Callable[..., None]:
    """Columns, a tile of neighbours at once."""
    from numbanet.kernels.cpu.mathematics import NAMESPACE
    from numbanet.kernels.cpu.memory import load, local

    zero = NAMESPACE["uint8" if dtype is DType.BOOL else str(dtype)](0)
    is_floating = dtype.is_floating

    def kernel(first, last, x, y, count, inner):
        most = local(_COLUMNS, zero)
        pieces = (inner + _COLUMNS - 1) // _COLUMNS
        for tile in range(first, last):
            outer, left = tile // pieces, tile % pieces * _COLUMNS
            for j in range(min(_COLUMNS, inner - left)):
                most[j] = load(x, outer * count * inner + left + j)
                y[outer * inner + left + j] = 0
            for k in range(1, count):
                line = (outer * count + k) * inner + left
                for j in range(min(_COLUMNS, inner - left)):
                    number, best = load(x, line + j), most[j]
                    is_better = number > best
                    if is_floating:
                        is_better |= (number != number) & (best == best)
                    at = outer * inner + left + j
                    most[j] = number if is_better else best
                    place = y[at]
                    y[at] = k if is_better else place

    return kernel


def largest_id(dtype: DType) -> Kernel:
    """The largest of ``count`` ids; negative ones count as very large. For the host: it looks
    at ids before a program uses them."""
    return Kernel("largest_id", make_largest_id, (), (f"{dtype}*", "int64", "int64*"))


def make_largest_id() -> Callable[..., None]:
    """One tile, one number."""
    from numba import uint64

    def kernel(first, last, ids, count, found):
        most = uint64(0)
        for i in range(count):
            number = uint64(ids[i])
            most = number if number > most else most
        found[0] = most

    return kernel
