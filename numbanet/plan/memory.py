"""The memory plan: where every value lies, decided before anything runs.

A block is a piece of memory with a lifetime, counted in calls. Some blocks are fixed
(variables, inputs, outputs), some lie inside of another block (parts of a packed buffer,
in-place results), and the rest get an offset in the arena such that no two blocks that live at
once overlap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numbanet.errors import VerificationError
from numbanet.plan.program import Buffer


class Block:
    """Memory for one value, or for the scratch of one lowered node.

    Attributes
    ----------
    nbytes : int
    buffer : Buffer or None
        The buffer that it is bound to, if it is not for the arena.
    parent : (Block, int) or None
        The block that it lies in, and the byte offset there.
    start, end : int
        First and last call that touch it. ``start > end``: nothing touches it.
    calls : set of int
        All that touch it.
    """

    __slots__ = ("buffer", "calls", "end", "nbytes", "parent", "start")

    def __init__(self, nbytes: int, buffer: Buffer | None = None) -> None:
        self.nbytes = nbytes
        self.buffer = buffer
        self.parent: tuple[Block, int] | None = None
        self.start = 1 << 62
        self.end = -1
        self.calls: set[int] = set()

    def resolve(self) -> tuple[Block, int]:
        """The outermost block that it lies in, and the offset there."""
        block, offset = self, 0
        while block.parent is not None:
            block, inner = block.parent
            offset += inner
        return block, offset

    def touch(self, call: int) -> None:
        self.calls.add(call)
        self._live(call, call)

    def _live(self, start: int, end: int) -> None:
        self.start = min(self.start, start)
        self.end = max(self.end, end)

    def outlive(self, windows: Sequence[tuple[int, int]]) -> None:
        """Live as long as any call may run that can run while one does that touches this.

        ``windows`` has the first and the last of them for each call.
        """
        for call in self.calls:
            self._live(*windows[call])

    def put_inside(self, outer: Block, offset: int = 0) -> None:
        """From now on this block is a part of ``outer``, which lives at least as long."""
        self.parent = (outer, offset)
        outermost = outer.resolve()[0]
        outermost.calls |= self.calls
        outermost._live(self.start, self.end)


@dataclass(frozen=True)
class Layout:
    """Offsets of blocks in an arena of ``nbytes``.

    ``lower_bound`` is the largest sum of block sizes that live at once: no layout is smaller.
    """

    offsets: dict[Block, int]
    nbytes: int
    lower_bound: int


def arrange(blocks: Sequence[Block], alignment: int, *, reuse: bool = True) -> Layout:
    """Offsets for ``blocks``; without ``reuse`` no two of them share memory.

    Tries largest-first (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
    Inference", 2020) and first-come, each into the tightest gap, and keeps the smaller arena.
    """
    alive = [block for block in blocks if block.start <= block.end]
    size = {block: -(-block.nbytes // alignment) * alignment for block in alive}
    bound = _lower_bound(alive, size)
    if not reuse:
        return _one_after_another(alive, size, bound)
    by_size = sorted(alive, key=lambda block: (-size[block], block.start))
    by_time = sorted(alive, key=lambda block: (block.start, -size[block]))
    by_span = sorted(alive, key=lambda block: (block.start - block.end, -size[block]))
    layouts = (_fit(order, size, bound) for order in (by_size, by_time, by_span))
    return min(layouts, key=lambda layout: layout.nbytes)


def _one_after_another(blocks: list[Block], size: dict[Block, int], bound: int) -> Layout:
    offsets = {}
    end = 0
    for block in blocks:
        offsets[block] = end
        end += size[block]
    return Layout(offsets, end, bound)


def _fit(order: list[Block], size: dict[Block, int], bound: int) -> Layout:
    starts = np.array([block.start for block in order])
    ends = np.array([block.end for block in order])
    sizes = np.array([size[block] for block in order])
    offsets = np.zeros(len(order), np.int64)
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        is_neighbour = (starts[:i] <= end) & (ends[:i] >= start)
        taken = offsets[:i][is_neighbour]
        offsets[i] = _tightest_gap(taken, taken + sizes[:i][is_neighbour], sizes[i])
    total = int(np.max(offsets + sizes, initial=0))
    return Layout(dict(zip(order, offsets.tolist(), strict=True)), total, bound)


def _tightest_gap(lows: np.ndarray, highs: np.ndarray, size: int) -> int:
    """Start of the smallest gap between taken ranges that holds ``size``, else their end."""
    order = np.lexsort((highs, lows))
    reached = np.maximum.accumulate(highs[order], dtype=np.int64)
    end = int(reached[-1]) if len(reached) else 0
    before = np.concatenate(([0], reached[:-1])) if len(reached) else reached
    gaps = lows[order] - before
    (fitting,) = np.nonzero(gaps >= size)
    return int(before[fitting[np.argmin(gaps[fitting])]]) if len(fitting) else end


def _lower_bound(blocks: list[Block], size: dict[Block, int]) -> int:
    change: dict[int, int] = defaultdict(int)
    for block in blocks:
        change[block.start] += size[block]
        change[block.end + 1] -= size[block]
    live = peak = 0
    for call in sorted(change):
        live += change[call]
        peak = max(peak, live)
    return peak


def check(layout: Layout) -> None:
    """Raise VerificationError if two blocks that live at once overlap."""
    blocks = sorted(layout.offsets, key=lambda block: layout.offsets[block])
    for i, block in enumerate(blocks):
        end = layout.offsets[block] + block.nbytes
        for other in blocks[i + 1 :]:
            if layout.offsets[other] >= end:
                break
            if other.nbytes and other.start <= block.end and block.start <= other.end:
                raise VerificationError(
                    f"two live blocks overlap: {block.nbytes} bytes at {layout.offsets[block]} "
                    f"and {other.nbytes} bytes at {layout.offsets[other]}"
                )
