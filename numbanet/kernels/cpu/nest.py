"""The loops of a reduction, and how they are cut into tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from numbanet.kernels.iteration import Dims, Step

PART_ELEMENTS = 16384
"""Elements that a result folds along the columns before it is split into parts."""

PART_ROWS = 1024
"""Rows that results fold across the columns before they are split into parts."""

SHARED_PART_ELEMENTS = 65536
"""The like in elements, where there are too few results to give every thread some."""

ENOUGH_TILES = 16

LANES = 64
"""Results in flight along the columns; a power of two."""

FEW_LANES = 16
MOST_COLUMNS = 512
"""Columns of a tile across which is folded: so many sums stay in the first-level cache."""


@dataclass(frozen=True)
class Walk:
    """How an operand steps through memory: strides of outer and middle axes and of columns."""

    outer: tuple[int, ...]
    middle: tuple[int, ...]
    column: int


@dataclass(frozen=True)
class Form:
    """The part of a nest that is written into a kernel's text.

    ``walk_of[operand]`` numbers an operand's walk, and ``steps[walk]`` is the kind of its
    stride along the columns.
    """

    is_along: bool
    lanes: int
    outer_rank: int
    middle_rank: int
    walk_of: tuple[int, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Nest:
    """Outer rows, middle rows and columns; a tile is ``height``, ``depth``, ``width`` of them.

    Along the columns (``is_along``) a result folds middle rows and columns, across them middle
    rows only.
    """

    is_along: bool
    lanes: int
    outer: tuple[int, ...]
    middle: tuple[int, ...]
    columns: int
    walks: tuple[Walk, ...]
    height: int
    depth: int
    width: int

    @classmethod
    def along(cls, kept: Dims, reduced: Dims) -> Nest:
        columns = reduced.sizes[-1]
        width = max(1, min(columns, PART_ELEMENTS))
        middle, middle_strides = _without_last(reduced)
        return cls(
            True,
            LANES if columns >= 4 * LANES else FEW_LANES,
            kept.sizes,
            middle,
            columns,
            tuple(map(Walk, kept.strides, middle_strides, _last(reduced))),
            height=max(1, PART_ELEMENTS // max(1, reduced.size)),
            depth=max(1, PART_ELEMENTS // width),
            width=width,
        )

    @classmethod
    def across(cls, kept: Dims, reduced: Dims) -> Nest:
        columns = kept.sizes[-1]
        width = min(columns, MOST_COLUMNS)
        outer, outer_strides = _without_last(kept)
        depth = PART_ROWS
        if math.prod(outer) * _pieces(columns, width) < ENOUGH_TILES:
            depth = min(PART_ROWS, max(64, SHARED_PART_ELEMENTS // width))
        return cls(
            False,
            MOST_COLUMNS,
            outer,
            reduced.sizes,
            columns,
            tuple(map(Walk, outer_strides, reduced.strides, _last(kept))),
            height=max(1, PART_ELEMENTS // max(1, width * min(reduced.size, depth))),
            depth=depth,
            width=width,
        )

    @property
    def tiles(self) -> int:
        blocks = _pieces(math.prod(self.outer), self.height)
        return blocks * self._middle_parts * _pieces(self.columns, self.width)

    @property
    def parts(self) -> int:
        """How many partial results each result is put together from."""
        if self.is_along:
            return self._middle_parts * _pieces(self.columns, self.width)
        return self._middle_parts

    @property
    def partial_shape(self) -> tuple[tuple[int, int], int]:
        """Shape of the partial results, and its axis that remains to be folded."""
        rows = math.prod(self.outer)
        if self.is_along:
            return (rows, self.parts), 1
        return (self.parts, rows * self.columns), 0

    @property
    def _middle_parts(self) -> int:
        return _pieces(math.prod(self.middle), self.depth)

    @property
    def form(self) -> Form:
        walks = list(dict.fromkeys(self.walks))
        return Form(
            self.is_along,
            self.lanes,
            len(self.outer),
            len(self.middle),
            tuple(walks.index(walk) for walk in self.walks),
            tuple(Step.of(walk.column) for walk in walks),
        )

    @property
    def numbers(self) -> tuple[int, ...]:
        """Arguments of the kernel, in the order of `numbanet.kernels.cpu.reduce_source`."""
        found = [self.height, self.depth, self.width, self._middle_parts, self.columns]
        found += [*self.outer, *self.middle]
        for walk in dict.fromkeys(self.walks):
            found += [*walk.outer, *walk.middle]
            if Step.of(walk.column) is Step.ANY:
                found.append(walk.column)
        return tuple(found)


def _pieces(size: int, piece: int) -> int:
    """Pieces of a size; one of nothing, for an empty fold has a result too."""
    return max(1, -(-size // piece))


def _last(dims: Dims) -> list[int]:
    return [strides[-1] for strides in dims.strides]


def _without_last(dims: Dims) -> tuple[tuple[int, ...], Sequence[tuple[int, ...]]]:
    """Sizes and strides of all axes but the last; never none."""
    if dims.rank == 1:
        return (1,), [(0,)] * len(dims.strides)
    return dims.sizes[:-1], [strides[:-1] for strides in dims.strides]
