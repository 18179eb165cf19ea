"""Sizes of blocks of the generated kernels.

They never depend on the GPU at hand: sums keep their order on all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from numbanet.kernels.cuda.simulate import SIMULATED


@dataclass(frozen=True)
class Tuning:
    """
    Attributes
    ----------
    threads : int
        Of a block; a power of two.
    columns : int
        Neighbouring outputs that a block folds at once where neighbours lie side by side in
        memory; a power of two.
    blocks : int
        Folds into fewer outputs than fill this many blocks are cut into parts.
    run : int
        Elements that each thread of a part folds at least.
    warp : int
        Threads that exchange numbers without shared memory: not a choice, but the machine's.
    """

    threads: int
    columns: int
    blocks: int
    run: int
    warp: int


REAL = Tuning(threads=256, columns=32, blocks=264, run=16, warp=32)
"""Two blocks for each of an H200's 132 multiprocessors."""

SMALL = Tuning(threads=8, columns=4, blocks=3, run=2, warp=4)
"""For the simulator, whose threads are slow, so that small tests have several blocks."""

TUNING = SMALL if SIMULATED else REAL
