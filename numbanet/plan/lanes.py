"""Lanes: which calls run side by side, where the device can do that and it pays.

Calls of a lane run one after the other, and wait for those calls of other lanes that they
depend on. The first lane is the main one: the others start from it and end in it. A branch is
moved to another lane if that makes the estimated time shorter, waiting for each other included.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from numbanet.kernels.kernel import Call, Cost
from numbanet.plan.timeline import HANDOVER, bound, span

Estimate = Callable[[Call], Cost | None]
"""What a call takes; None where calls cannot run side by side."""

MOST = 3
"""Lanes: small steps have no more branches, and large ones fill the device."""

REACH = 8
"""A call waits for all that are so many calls before it: what runs long before its turn, or
long after it, keeps memory from others."""

_WORTH = 0.05
"""Part of the time that lanes must save: estimates are rough."""


@dataclass(frozen=True)
class Lanes:
    """Where calls run, and what they wait for.

    Attributes
    ----------
    of : tuple of int
        The lane of each call, in an order in which they could run one by one.
    waits : tuple of tuples of int
        Of each call those of other lanes that it waits for: no more than it takes to be sure of
        all that it needs.
    """

    of: tuple[int, ...]
    waits: tuple[tuple[int, ...], ...]

    @cached_property
    def before(self) -> list[int]:
        """Of each call a set of those that are done when it starts, as bits of a number."""
        found: list[int] = []
        last: dict[int, int] = {}
        for i, (lane, waits) in enumerate(zip(self.of, self.waits, strict=True)):
            known = 0
            for j in (*waits, *([last[lane]] if lane in last else [])):
                known |= found[j] | 1 << j
            found.append(known)
            last[lane] = i
        return found

    def is_after(self, call: int, others: Collection[int]) -> bool:
        """Whether all ``others`` are done when ``call`` starts."""
        return all(self.before[call] >> other & 1 for other in others)

    @cached_property
    def windows(self) -> list[tuple[int, int]]:
        """Of each call the first and the last of those that may run while it does, in order."""
        if not any(self.of):
            return [(i, i) for i in range(len(self.of))]
        windows = [[i, i] for i in range(len(self.of))]
        for j, before in enumerate(self.before):
            beside = [i for i in range(j) if not before >> i & 1]
            for i in beside:
                windows[i][1] = j
            windows[j][0] = min(beside, default=j)
        return [(first, last) for first, last in windows]


def assign(
    calls: Sequence[Call], needs: Sequence[Collection[int]], estimate: Estimate | None
) -> Lanes:
    """Lanes for ``calls``, of which each ``needs`` some of those before it."""
    costs = [] if estimate is None else [estimate(call) for call in calls]
    known = [cost for cost in costs if cost is not None]
    lane = [0] * len(calls)
    if known and len(known) == len(calls):
        needs = _kept_together(needs)
        lane = _chosen(known, needs)
    return with_waits(lane, needs)


def _kept_together(needs: Sequence[Collection[int]]) -> list[Collection[int]]:
    """``needs``, and those before that follow from them by `REACH`."""
    return [
        {*needed, *range(max(0, i - 2 * REACH), i - REACH + 1)}
        for i, needed in enumerate(needs)
    ]


def with_waits(lane: Sequence[int], needs: Sequence[Collection[int]]) -> Lanes:
    """Lanes as given, and the fewest waits that make every call wait for what it needs."""
    waits: list[tuple[int, ...]] = []
    before: list[int] = []
    last: dict[int, int] = {}
    for i, mine in enumerate(lane):
        known, found = 0, []
        if mine in last:
            known = before[last[mine]] | 1 << last[mine]
        for j in sorted(needs[i], reverse=True):
            if not known >> j & 1:
                found.append(j)
                known |= before[j] | 1 << j
        waits.append(tuple(reversed(found)))
        before.append(known)
        last[mine] = i
    return Lanes(tuple(lane), tuple(waits))


def _chosen(costs: Sequence[Cost], needs: Sequence[Collection[int]]) -> list[int]:
    """The lane of each call: branches are tried in order, each on every lane."""
    lane = [0] * len(costs)
    alone = shortest = span(costs, needs, lane)
    if bound(costs, needs) > (1 - _WORTH) * alone:
        return lane
    for start in range(len(costs)):
        if lane[start] or not _is_fork(start, needs):
            continue
        tried = [
            (span(costs, needs, other), other)
            for branch in _branches(start, needs, lane)
            for other in _moved(lane, branch)
        ]
        seconds, best = min(tried, key=lambda each: each[0])
        if seconds < shortest - HANDOVER / 2:
            shortest, lane = seconds, best
    return lane if shortest < (1 - _WORTH) * alone else [0] * len(costs)


def _is_fork(call: int, needs: Sequence[Collection[int]]) -> bool:
    """Whether a call could run beside the one before it or the one after it."""
    is_alone_before = call == 0 or call - 1 in needs[call]
    is_alone_after = call + 1 == len(needs) or call in needs[call + 1]
    return not (is_alone_before and is_alone_after)


def _branches(
    start: int, needs: Sequence[Collection[int]], lane: Sequence[int]
) -> Iterator[list[int]]:
    """Chains of calls of the main lane, each of which needs the one before: short and long."""
    chain, length = [start], 1
    for i in range(start + 1, len(needs)):
        if not lane[i] and chain[-1] in needs[i]:
            chain.append(i)
    while length < len(chain):
        yield chain[:length]
        length *= 2
    yield chain


def _moved(lane: Sequence[int], branch: Sequence[int]) -> Iterator[list[int]]:
    """``lane`` with ``branch`` on each other lane: those in use, and a new one."""
    for other in range(1, min(MOST, max(lane) + 2)):
        moved = list(lane)
        for i in branch:
            moved[i] = other
        yield moved
