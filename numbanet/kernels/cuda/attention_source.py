"""Attention on CUDA as source text: what its forward and backward kernels have in common.

A block owns some *rows*, and goes through tiles of *columns*: queries and keys, or where the
gradients of keys and values are computed the reverse. Scores of a tile are products along the
heads' width, carried to shared memory in stages; they stay in registers until something is
made of them. That goes through shared memory once, to be multiplied with the columns' rows of
a third operand: a product along the columns, whose sums stay in registers from tile to tile.

Of what is wider than those sums, each block computes some columns; the scores are then computed
more than once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from numbanet.ir import DType
from numbanet.kernels.cuda.product import PADDING
from numbanet.kernels.cuda.registers import (
    QUAD,
    Tile,
    accumulate_for,
    fill_for,
    scale_for,
    share_for,
)
from numbanet.kernels.cuda.simulate import SIMULATED
from numbanet.kernels.cuda.tiling import Tiling
from numbanet.kernels.cuda.tuning import TUNING


@dataclass(frozen=True)
class Shape:
    """How large tiles are: of scores, ``depth`` of the width a stage, and of the results."""

    scores: Tiling
    sums: Tiling

    @property
    def threads(self) -> int:
        return self.scores.threads

    def blocks(self, rows: int, width: int) -> int:
        """Of one head."""
        return math.ceil(rows / self.scores.rows) * math.ceil(width / self.sums.columns)


_LARGE = Shape(Tiling(128, 32, 16, 8, 4, 16), Tiling(128, 64, 32, 8, 8, 8))
_LARGE_GRAD = Shape(Tiling(128, 32, 8, 8, 4, 8), Tiling(128, 64, 32, 8, 8, 8))
_SMALL = Shape(Tiling(32, 32, 16, 4, 4, 16), Tiling(32, 64, 32, 4, 8, 8))
_SMALL_GRAD = Shape(Tiling(32, 32, 8, 4, 4, 8), Tiling(32, 64, 32, 4, 8, 8))
_DOUBLE = Shape(Tiling(32, 32, 8, 4, 4, 8), Tiling(32, 32, 32, 4, 4, 8))
_SIMULATED = Shape(Tiling(8, 8, 4, 2, 2, 4), Tiling(8, 8, 8, 2, 2, 8))
"""The simulator's threads are slow: few of them, and several tiles in small tests."""

SHAPES = {DType.FLOAT32: (_LARGE, _SMALL), DType.FLOAT64: (_DOUBLE,)}
"""Each is taken where it makes as many blocks as fill a GPU, or else the last."""

GRAD_SHAPES = {DType.FLOAT32: (_LARGE_GRAD, _SMALL_GRAD), DType.FLOAT64: (_DOUBLE,)}
"""Two tiles of scores leave few registers for what is on its way to shared memory."""


@dataclass(frozen=True)
class Matrix:
    """Rows of one head: ``{name}_base`` is the first, ``{name}_row`` the distance.

    Attributes
    ----------
    count, width : str
        How many rows, and how long they are.
    load : int
        Numbers to load at once.
    """

    name: str
    count: str
    width: str
    load: int


def shape_for(
    choices: dict[DType, tuple[Shape, ...]],
    dtype: DType,
    operands: Iterable[Matrix],
    rows: int,
    width: int,
    heads: int,
) -> Shape:
    """How to cut so many rows of so many heads; it never depends on the GPU at hand.

    Loading number by number takes registers that large tiles do not leave.
    """
    shapes = (_SIMULATED,) if SIMULATED else choices[dtype]
    if any(each.load == 1 for each in operands):
        return shapes[-1]
    enough = (each for each in shapes if each.blocks(rows, width) * heads >= TUNING.blocks)
    return next(enough, shapes[-1])


@dataclass(frozen=True)
class Side:
    """Whether the rows are the ``queries`` or the keys, and what scores look like.

    ``mask`` is the mask's dtype, if there is one.
    """

    queries_are_rows: bool
    is_causal: bool
    mask: DType | None


@dataclass(frozen=True)
class AttentionSource:
    """Text of a kernel, and the registers that it speaks of."""

    text: str
    shape: Shape
    is_heavy: bool = True

    def functions(self) -> dict[str, Any]:
        scores, sums = tiles(self.shape)
        rows = self.shape.sums.thread_rows
        quad = min(QUAD, rows)
        return {
            "fill_scores": fill_for(scores),
            "accumulate_scores": accumulate_for(scores),
            "fill_sums": fill_for(sums),
            "accumulate_sums": accumulate_for(sums),
            "scale_rows": scale_for(sums),
            **{f"share{first}": share_for(sums, first, quad) for first in range(0, rows, quad)},
        }


def tiles(shape: Shape) -> tuple[Tile, Tile]:
    """Registers of scores, and of sums."""
    rows = shape.scores.rows + PADDING
    return (
        Tile(shape.scores, rows, shape.scores.columns + PADDING),
        Tile(shape.sums, rows, shape.sums.columns),
    )


class Writer:
    """Lines of one kernel, from its parts."""

    def __init__(self, dtype: DType, shape: Shape, side: Side) -> None:
        self.real, self.shape, self.side = str(dtype), shape, side
        self.scores, self.sums = tiles(shape)
        tile = self.shape.scores
        self.right = tile.depth * self.scores.a_stride
        self.made = self.right + tile.depth * self.scores.b_stride
        self.beside = self.made + tile.columns * self.sums.a_stride
        self.size = self.beside + tile.columns * self.shape.sums.columns
        self.row_count, self.column_count = (
            ("length", "keys") if side.queries_are_rows else ("keys", "length")
        )

    def start(self, width: str, operands: str) -> Iterator[str]:
        """Which rows, and which of the result's ``width`` columns, this block computes.

        ``operands`` are the names of those that have a base.
        """
        tile, sums = self.shape.scores, self.shape.sums
        across = tile.threads_across
        yield f"shared = cuda.shared.array({self.size}, {self.real}, ALIGNMENT)"
        yield f"zero = {self.real}(0)"
        yield "thread = thread_index()"
        yield "tile = tile_index()"
        yield f"down = uint32(uint32({self.row_count} + {tile.rows - 1}) // {tile.rows})"
        yield f"parts = uint32(uint32({width} + {sums.columns - 1}) // {sums.columns})"
        yield f"first_row = int32(tile % down * {tile.rows})"
        yield "tile = uint32(tile // down)"
        yield f"first_part = int32(tile % parts * {sums.columns})"
        yield "tile = uint32(tile // parts)"
        yield "head = int32(tile % uint32(heads))"
        yield "sample = int32(tile // uint32(heads))"
        yield f"thread_row = int32(thread // {across} * {min(QUAD, tile.thread_rows)})"
        yield f"thread_col = int32(thread % {across} * {min(QUAD, tile.thread_columns)})"
        yield f"thread_part = int32(thread % {across} * {min(QUAD, sums.thread_columns)})"
        for x in operands:
            yield f"{x}_base = int32({x}_start + sample * {x}_sample + head * {x}_head)"
        if self.side.mask is not None:
            yield "mask_base = int32(mask_start + sample * mask_sample + head * mask_head)"
        yield "sums = fill_sums(zero)"

    def columns(self, body: Iterator[str]) -> Iterator[str]:
        """``body`` for each tile of columns that the block's rows see."""
        tile = self.shape.scores
        yield "first_col = int32(0)"
        yield f"end = int32({self.column_count})"
        if self.side.is_causal and self.side.queries_are_rows:
            yield f"end = int32(min(end, int32(first_row + {tile.rows})))"
        elif self.side.is_causal:
            yield f"first_col = int32(first_row // {tile.columns} * {tile.columns})"
        yield "while first_col < end:"
        yield from indented(body)
        yield f"    first_col = int32(first_col + {tile.columns})"

    def dot(self, name: str, a: Matrix, b: Matrix) -> Iterator[str]:
        """``name``, the tile of products of rows of ``a`` and ``b``."""
        tile = self.shape.scores
        yield f"{name} = fill_scores(zero)"
        yield "k0 = int32(0)"
        yield f"while k0 < {a.width}:"
        fetch_a, put_a = self._across(a, "a", "first_row", tile.rows, 0, self.scores.a_stride)
        fetch_b, put_b = self._across(
            b, "b", "first_col", tile.columns, self.right, self.scores.b_stride
        )
        body = [*fetch_a, *fetch_b, "cuda.syncthreads()", *put_a, *put_b, "cuda.syncthreads()"]
        body.append(
            f"{name} = accumulate_scores({name}, shared, uint64(thread_row), "
            f"uint64({self.right} + thread_col))"
        )
        yield from indented(body)
        yield f"    k0 = int32(k0 + {tile.depth})"

    def _across(
        self, x: Matrix, mark: str, first: str, rows: int, base: int, stride: int
    ) -> tuple[list[str], list[str]]:
        """Statements that fetch a stage of rows, zero beyond the last one and beyond the width,
        and that put them across."""
        lanes, fetch, put = self.shape.scores.depth // x.load, [], []
        total = rows * lanes
        for i in range(-(-total // self.shape.threads)):
            item = f"(thread + {i * self.shape.threads})"
            names = [f"{mark}{i}_{j}" for j in range(x.load)]
            fetch += [
                f"{mark}_k = int32(k0 + {item} % {lanes} * {x.load})",
                f"{mark}_row = int32({first} + {item} // {lanes})",
                f"{mark}_at = int32({x.name}_base + {mark}_row * {x.name}_row + {mark}_k)",
                *self._load(
                    x, names, f"{mark}_k < {x.width} and {mark}_row < {x.count}", f"{mark}_at"
                ),
            ]
            inside = self._inside(i, total, item)
            lines = [
                f"{mark}_to = uint64({base} + {item} % {lanes} * {x.load * stride}"
                f" + {item} // {lanes})",
                *(
                    f"shared[uint64({mark}_to + {j * stride})] = {name}"
                    for j, name in enumerate(names)
                ),
            ]
            put += [inside, *indented(lines)] if inside else lines
        return fetch, put

    def _load(self, x: Matrix, names: list[str], condition: str, at: str) -> list[str]:
        if x.load == 1:
            return [f"{names[0]} = {x.name}[{at}] if {condition} else zero"]
        return [
            f"{' = '.join(names)} = zero",
            f"if {condition}:",
            f"    {', '.join(names)} = load4({x.name}, {at})",
        ]

    def _inside(self, i: int, total: int, item: str) -> str:
        """A condition, where the last round has threads that carry nothing."""
        return f"if {item} < {total}:" if (i + 1) * self.shape.threads > total else ""

    def elements(self) -> Iterator[tuple[int, int, int]]:
        """Row, column and place in the tuple of a thread's scores."""
        columns = len(self.scores.columns)
        for i in range(len(self.scores.rows)):
            for j in range(columns):
                yield i, j, i * columns + j

    def places(self) -> Iterator[str]:
        """Which rows and columns a thread's scores are of; ``open`` is minus infinity beyond
        the last column."""
        for i, row in enumerate(self.scores.rows):
            yield f"row{i} = int32(first_row + thread_row + {row})"
        for j, column in enumerate(self.scores.columns):
            yield f"col{j} = int32(first_col + thread_col + {column})"
            yield f"open{j} = zero if col{j} < {self.column_count} else {self.real}(-inf)"

    def score(self, i: int, j: int, at: int) -> Iterator[str]:
        """``s{at}``: minus infinity for what takes no part."""
        query, key = f"row{i}", f"col{j}"
        if not self.side.queries_are_rows:
            query, key = key, query
        yield f"s{at} = scores[{at}] * scale + open{j}"
        if self.side.mask is not None:
            yield (
                f"m = mask[int32(mask_base + min({query}, int32(length - 1)) * mask_row"
                f" + min({key}, int32(keys - 1)) * mask_key)]"
            )
            is_open = self.side.mask is DType.BOOL
            yield (
                f"s{at} = s{at} if m else {self.real}(-inf)"
                if is_open
                else f"s{at} = s{at} + m"
            )
        if self.side.is_causal:
            yield f"s{at} = s{at} if {key} <= {query} else {self.real}(-inf)"

    def put(self, i: int, j: int, value: str) -> str:
        """A statement that makes ``value`` an element of what `mix` multiplies."""
        offset = self.made + self.scores.columns[j] * self.sums.a_stride + self.scores.rows[i]
        return f"shared[uint64(made_at + {offset})] = {value}"

    @property
    def made_at(self) -> str:
        return f"made_at = uint64(thread_col * {self.sums.a_stride} + thread_row)"

    def mix(self, x: Matrix) -> Iterator[str]:
        """Add to the sums what was put, times rows of ``x``, the columns' own."""
        tile, sums = self.shape.scores, self.shape.sums
        lanes = sums.columns // x.load
        total = tile.columns * lanes
        for i in range(-(-total // self.shape.threads)):
            item = f"(thread + {i * self.shape.threads})"
            names = [f"c{i}_{j}" for j in range(x.load)]
            lines = [
                f"c_part = int32(first_part + {item} % {lanes} * {x.load})",
                f"c_row = int32(first_col + {item} // {lanes})",
                f"c_at = int32({x.name}_base + c_row * {x.name}_row + c_part)",
                # What was put is zero beyond the last column, but zero times NaN is not.
                *self._load(x, names, f"c_part < {x.width} and c_row < {x.count}", "c_at"),
                f"c_to = uint64({self.beside} + {item} // {lanes} * {sums.columns}"
                f" + {item} % {lanes} * {x.load})",
                *(f"shared[uint64(c_to + {j})] = {name}" for j, name in enumerate(names)),
            ]
            inside = self._inside(i, total, item)
            yield from [inside, *indented(lines)] if inside else lines
        yield "cuda.syncthreads()"
        yield f"left = uint64({self.made} + thread_row)"
        yield f"beside = uint64({self.beside} + thread_part)"
        yield "step = int32(0)"
        yield f"while step < {tile.columns}:"
        yield "    sums = accumulate_sums(sums, shared, left, beside)"
        yield f"    left = uint64(left + {sums.unroll * self.sums.a_stride})"
        yield f"    beside = uint64(beside + {sums.unroll * sums.columns})"
        yield f"    step = int32(step + {sums.unroll})"

    def store(self, out: str, width: str) -> Iterator[str]:
        """The sums, some rows of every thread at a time by way of shared memory, to rows of
        heads that lie beside each other."""
        tile, quad = self.shape.sums, self.shared_rows
        line = quad * tile.columns
        for first in range(0, tile.thread_rows, quad):
            yield "cuda.syncthreads()"
            yield f"to = uint64(thread // {tile.threads_across} * {line} + thread_part)"
            yield f"share{first}(sums, shared, to)"
            yield "cuda.syncthreads()"
            yield "item = uint32(thread)"
            yield f"while item < {tile.threads_down * line}:"
            yield f"    line = uint32(item // {tile.columns})"
            yield (
                f"    row = int32(first_row + {self.sums.rows[first]} + line // {quad} * {quad}"
                f" + line % {quad})"
            )
            yield f"    part = int32(first_part + item % {tile.columns})"
            yield f"    if row < {self.row_count} and part < {width}:"
            yield f"        at = int32((sample * {self.row_count} + row) * heads + head)"
            yield f"        {out}[int32(at * {width} + part)] = shared[item]"
            yield f"    item = uint32(item + {tile.threads})"

    @property
    def shared_rows(self) -> int:
        return min(QUAD, self.shape.sums.thread_rows)


def indented(lines: Iterator[str] | list[str]) -> Iterator[str]:
    for line in lines:
        yield f"    {line}"
