"""Blocks of attention: what its forward and backward kernels on CPUs have in common.

A block is the scores of some keys and some queries of one head, with the queries beside each
other: what is done to each query's scores is done to a vector of queries at once, and no sum
runs along a vector. Keys are the rows of a product with the queries' transpose, which is all
that has to be packed. Operands are read where they lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numbanet.ir import DType
from numbanet.kernels.attention import Operands
from numbanet.kernels.cpu.vector import register_tile, vector_bytes
from numbanet.kernels.kernel import Argument

_QUERY_BYTES = 256
"""Of a number of each query of a block."""

_KEYS = 128
"""Keys of a block: its scores stay in the second-level cache, and nearly in the first."""


@dataclass(frozen=True)
class Block:
    """What an attention kernel is compiled for.

    Attributes
    ----------
    width, wide : int
        Of queries and keys, and of values.
    mask : DType or None
        Of the mask, if there is one.
    """

    dtype: DType
    width: int
    wide: int
    is_causal: bool
    mask: DType | None

    @property
    def queries(self) -> int:
        return max(_QUERY_BYTES // self.dtype.itemsize, register_tile(self.dtype, 1).lanes)

    @property
    def keys(self) -> int:
        return _KEYS

    @property
    def lanes(self) -> int:
        return vector_bytes() // self.dtype.itemsize


def block_of(operands: Operands) -> Block:
    mask = None if operands.mask is None else operands.mask.dtype
    return Block(operands.dtype, operands.width, operands.wide, operands.is_causal, mask)


def arguments_of(operands: Operands) -> tuple[tuple[Argument, ...], tuple[str, ...]]:
    """Arguments, and their types."""
    pointers = [f"{value.dtype}*" for value in operands.pointers.values()]
    arguments = (*operands.pointers.values(), *operands.numbers.values(), operands.scale)
    return arguments, (*pointers, *["int64"] * len(operands.numbers), "float64")


def multiplier(dtype: DType, columns: int, *, a_row: int | None) -> Any:
    """``multiply(rows, add, c, c_row, a, a_lane, a_free, b, b_row, depth)``, a product of
    ``columns`` columns that is compiled into the kernel that calls it; ``a_row`` as for
    `tile_product`, ``a_lane`` the distance between the left operand's rows either way."""
    from numbanet.kernels.cpu.mathematics import inline
    from numbanet.kernels.cpu.pointers import offset
    from numbanet.kernels.cpu.register_tile import tile_product

    tile = register_tile(dtype, columns)
    product = tile_product(tile, a_row=a_row)
    heights, most_columns = tile.heights, tile.columns

    @inline
    def multiply(rows, add, c, c_row, a, a_lane, a_free, b, b_row, depth):
        for column in range(0, columns, most_columns):
            row = 0
            while row < rows:
                height = 1
                for each in heights:
                    if each <= rows - row:
                        height = each
                        break
                product(
                    height, min(most_columns, columns - column), add,
                    offset(c, row * c_row + column), c_row,
                    offset(a, row * a_lane), a_free, 0, 0,
                    offset(b, column), b_row, 0, 0, depth, 1, 1,
                )  # fmt: skip
                row += height

    return multiply


def transposer(block: Block, width: int) -> Any:
    """``transpose(to, source, row, count, scale)``: ``count`` rows of ``width`` beside each
    other in ``to``, scaled, for all of a block's queries; beyond the last row is that again."""
    from numbanet.kernels.cpu.mathematics import inline
    from numbanet.kernels.cpu.pointers import offset
    from numbanet.kernels.cpu.register_transpose import transpose_square

    lanes, queries = block.lanes, block.queries
    square = transpose_square(block.dtype, lanes)
    whole = width // lanes * lanes

    @inline
    def transpose(to, source, row, count, scale):
        for i in range(0, queries, lanes):
            first = min(i, count - 1)
            rows = min(count - first, lanes)
            line = offset(source, first * row)
            for e in range(0, whole, lanes):
                square(offset(to, e * queries + i), queries, offset(line, e), row, rows)
            for lane in range(lanes):
                for e in range(whole, width):
                    to[e * queries + i + lane] = line[min(lane, rows - 1) * row + e]
        for i in range(width * queries):
            to[i] *= scale

    return transpose


def scorer(block: Block) -> Any:
    """``finish(scores, mask, mask_row, mask_key, query, key, count, keys)``: scaled products of
    a block become scores. ``mask`` is the mask's element of the first query and key, which
    have these numbers."""
    from numbanet.kernels.cpu.mathematics import NAMESPACE, inline

    real, queries, inf = NAMESPACE[str(block.dtype)], block.queries, NAMESPACE["inf"]
    is_causal, is_masked, is_open = (
        block.is_causal,
        block.mask is not None,
        block.mask is DType.BOOL,
    )

    @inline
    def finish(scores, mask, mask_row, mask_key, query, key, count, keys):
        if is_masked:
            for j in range(keys):
                for i in range(count):
                    number = mask[i * mask_row + j * mask_key]
                    if is_open:
                        if not number:
                            scores[j * queries + i] = real(-inf)
                    else:
                        scores[j * queries + i] += real(number)
        if is_causal:
            for j in range(max(query - key + 1, 0), keys):
                for i in range(min(key + j - query, queries)):
                    scores[j * queries + i] = real(-inf)

    return finish
