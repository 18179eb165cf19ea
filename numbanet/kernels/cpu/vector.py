"""This machine's vector registers, and the block of a product that fits into them."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import llvmlite.binding as llvm

from numbanet.ir.types import DType

SUMS_UNDER_WAY = 8
"""Multiply-adds that take as long as one: a block of fewer is not faster."""


@dataclass(frozen=True)
class RegisterTile:
    """The blocks of a product that the innermost loop can sum up in registers.

    A block is some rows x some vectors. Each step loads the vectors of the right operand and,
    for each row, one number of the left one, which multiplies them all.

    Attributes
    ----------
    lanes : int
        Numbers in a vector.
    heights : tuple of int
        The numbers of rows there is code for, falling, the last of them 1.
    widths : tuple of int
        The numbers of columns there is code for, as multiples of half a vector: an even one is
        so many whole vectors, an odd one has a last vector of which a part is used.
    """

    dtype: DType
    lanes: int
    heights: tuple[int, ...]
    widths: tuple[int, ...]
    most_vectors: int

    @property
    def rows(self) -> int:
        """Rows of the largest block."""
        return self.heights[0]

    @property
    def columns(self) -> int:
        """Columns of the largest block."""
        return self.most_vectors * self.lanes


@functools.cache
def vector_bytes() -> int:
    """Width of the widest vectors that this processor multiplies."""
    features = _features()
    if "avx512f" in features:
        return 64
    return 32 if "avx2" in features else 16


def register_tile(dtype: DType, columns: int, heights: tuple[int, ...] = ()) -> RegisterTile:
    """The tile for products with so many columns, on this processor.

    The largest block keeps the multipliers busy and spills nothing: enough sums are under way
    to hide the latency of a multiply-add, a register is left for each vector of the right
    operand and one for the left operand's number. ``heights`` replaces the usual choice of
    heights; code for each one costs compile time. Blocks of few rows are wider.
    """
    usual, vectors = _largest_block()
    vectors = max(vectors, -(-SUMS_UNDER_WAY // max((heights or usual)[0], 1)))
    lanes = vector_bytes() // dtype.itemsize
    whole, rest = divmod(columns, vectors * lanes)
    widths = [2 * vectors] if whole else []
    if rest:
        widths.append(2 * -(-rest // lanes) - (rest % lanes != 0))
    return RegisterTile(dtype, lanes, heights or usual, tuple(widths), vectors)


def largest_height() -> int:
    """Rows of the largest block that fits into this processor's registers."""
    return _largest_block()[0][0]


def even_heights(rows: int) -> tuple[int, ...]:
    """Heights of register tiles that share so many rows evenly."""
    tiles = max(-(-rows // largest_height()), 1)
    return tuple(sorted({-(-rows // tiles), rows // tiles} - {0}, reverse=True)) or (1,)


@functools.cache
def _largest_block() -> tuple[tuple[int, ...], int]:
    """Heights of blocks, and vectors in a row of them."""
    if vector_bytes() == 64:
        return (14, 8, 4, 2, 1), 2
    if "neon" in _features():
        return (7, 4, 2, 1), 3
    return (6, 4, 2, 1), 2


@functools.cache
def _features() -> frozenset[str]:
    flags = llvm.get_host_cpu_features()
    return frozenset(name for name, is_there in flags.items() if is_there)
