"""How a product is cut into tiles, chosen from its sizes alone.

The choice never depends on the GPU at hand, so that sums have the same order on all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from numbanet.ir import DType
from numbanet.kernels.cuda.simulate import SIMULATED
from numbanet.kernels.cuda.sizes import MOST_ELEMENTS


@dataclass(frozen=True)
class Tiling:
    """``rows x columns`` of the result a block, ``depth`` terms of the sums a stage.

    Attributes
    ----------
    thread_rows, thread_columns : int
        What one thread computes: in quads of four, spread over the tile.
    unroll : int
        Terms that are written out in a row; the depth is a multiple of them.
    """

    rows: int
    columns: int
    depth: int
    thread_rows: int
    thread_columns: int
    unroll: int

    @property
    def threads_down(self) -> int:
        return self.rows // self.thread_rows

    @property
    def threads_across(self) -> int:
        return self.columns // self.thread_columns

    @property
    def threads(self) -> int:
        return self.threads_down * self.threads_across


@dataclass(frozen=True)
class Plan:
    """A tiling, and how many blocks share each tile's sums, ``chunk`` terms each."""

    tiling: Tiling
    splits: int
    chunk: int


@dataclass(frozen=True)
class _Choice:
    """``resident`` blocks fit a multiprocessor, which then reaches ``share`` of its peak.

    Products of fewer than ``least_rows`` rows are cut otherwise.
    """

    tiling: Tiling
    resident: int
    share: float
    least_rows: int = 0


_MULTIPROCESSORS = 132
_TALL = 128 * _MULTIPROCESSORS
"""Rows of which tiles of 128 fill the machine, though they are few channels wide: pixels."""
_BY_QUADS = (
    _Choice(Tiling(64, 64, 16, 4, 4, 16), 3, 0.65),
    _Choice(Tiling(32, 32, 16, 4, 4, 16), 10, 0.5),
    _Choice(Tiling(64, 16, 16, 4, 4, 16), 10, 0.4),
    _Choice(Tiling(16, 64, 16, 4, 4, 16), 10, 0.4),
)
_CHOICES = {
    DType.FLOAT32: (
        _Choice(Tiling(128, 128, 8, 8, 8, 8), 2, 0.9),
        _Choice(Tiling(128, 64, 16, 8, 8, 8), 3, 0.85),
        _Choice(Tiling(64, 128, 16, 8, 8, 8), 3, 0.85),
        _Choice(Tiling(128, 32, 16, 8, 4, 16), 4, 0.6, _TALL),
        _Choice(Tiling(128, 16, 16, 8, 4, 16), 6, 0.5, _TALL),
        *_BY_QUADS,
    ),
    DType.FLOAT64: _BY_QUADS,
}
_SIMULATED = _Choice(Tiling(8, 8, 8, 2, 2, 4), 1, 1.0)
"""The simulator's threads are slow: few of them, and several tiles in small tests."""

_LANES = 128
"""Fused multiply-adds that a multiprocessor finishes in a cycle."""
_STAGE_CYCLES = 600
"""What a stage takes at the least: memory answers, everybody meets at the barrier."""
_SUM_CYCLES = 3000
"""What a launch that adds up split sums costs, beside their way to memory and back."""
_READ_CYCLES = 500
"""The same for a kernel that runs anyway: it waits once more for memory."""
_BYTES = 2400
"""What memory moves in a cycle."""
_MOST_SPLITS = 64


def tilings(dtype: DType) -> tuple[Tiling, ...]:
    """All tilings that `choose` chooses from."""
    return tuple(choice.tiling for choice in _choices(dtype))


def choose(
    rows: int,
    columns: int,
    terms: int,
    count: int,
    dtype: DType,
    *,
    is_added_by_reader: bool = False,
    is_measured: bool = False,
) -> Plan:
    """The fastest plan, by a rough estimate, for ``count`` products of these sizes.

    Split sums are added up by one more launch, or by whoever reads them. Whole results can be
    measured as they are stored, others are read once more for that.
    """
    sum_cycles = _READ_CYCLES if is_added_by_reader else _SUM_CYCLES
    if is_measured:
        sum_cycles += _SUM_CYCLES + dtype.itemsize * rows * columns * count / _BYTES
    sizes = (rows, columns, terms, count)
    plans = [
        (*_estimate(choice, splits, *sizes, sum_cycles), choice.tiling, splits)
        for choice in _choices(dtype)
        if rows >= choice.least_rows
        for splits in _splits(choice.tiling, terms, rows * columns * count)
    ]
    *_, tiling, splits = min(plans, key=lambda plan: plan[:2])
    return divide(tiling, splits, terms)


def divide(tiling: Tiling, splits: int, terms: int) -> Plan:
    """At most ``splits`` chunks of whole stages that cover ``terms``."""
    stages = max(1, math.ceil(terms / tiling.depth))
    chunk = math.ceil(stages / splits) * tiling.depth
    return Plan(tiling, max(1, math.ceil(terms / chunk)), chunk)


def _choices(dtype: DType) -> tuple[_Choice, ...]:
    return (_SIMULATED,) if SIMULATED else _CHOICES[dtype]


def _splits(tiling: Tiling, terms: int, results: int) -> list[int]:
    """Powers of two that leave every block four stages or more, and that leave all partial
    results within the reach of 32 bits."""
    most = min(_MOST_SPLITS, terms // (4 * tiling.depth), MOST_ELEMENTS // max(1, results))
    return [1 << i for i in range(max(1, most.bit_length()))]


def _estimate(
    choice: _Choice,
    splits: int,
    rows: int,
    columns: int,
    terms: int,
    count: int,
    sum_cycles: float,
) -> tuple[float, int]:
    """Cycles, and elements that are computed, if only to be thrown away.

    Blocks are thought to come in rounds that fill the machine, and a last one that does not.
    """
    tiling = choice.tiling
    tiles = math.ceil(rows / tiling.rows) * math.ceil(columns / tiling.columns) * count
    rounds, rest = divmod(tiles * splits, _MULTIPROCESSORS * choice.resident)
    stages = divide(tiling, splits, terms).chunk // tiling.depth
    last = math.ceil(rest / _MULTIPROCESSORS)
    cycles = stages * (rounds * _stage(choice, choice.resident) + _stage(choice, last))
    if splits > 1:
        cycles += sum_cycles + 2 * 4 * splits * rows * columns * count / _BYTES
    return cycles, tiles * tiling.rows * tiling.columns


def _stage(choice: _Choice, together: int) -> float:
    """Cycles of a stage where ``together`` blocks share a multiprocessor."""
    if together == 0:
        return 0
    tiling = choice.tiling
    work = together * tiling.rows * tiling.columns * tiling.depth
    return max(_STAGE_CYCLES, work / (_LANES * choice.share))
