"""How long calls take on several lanes, by an estimate of what each of them takes."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from numbanet.kernels.kernel import Cost

HANDOVER = 1e-6
"""Seconds that a call waits longer for one of another lane than for one of its own."""


def span(costs: Sequence[Cost], needs: Sequence[Collection[int]], lane: Sequence[int]) -> float:
    """Seconds until all calls are done, and the first lane has waited for the others.

    Calls of a lane run in order, each when those that it needs are done. Those that run at once
    share the device: if they want more than there is of it, all of them go slower alike.

    Parameters
    ----------
    costs, lane : sequence
        Of each call, in an order in which they can run.
    needs : sequence of collections of int
        Of each call those that must be done when it starts; all of them come before it.
    """
    queues = {each: [i for i in range(len(lane)) if lane[i] == each] for each in set(lane)}
    for queue in queues.values():
        queue.reverse()
    ends: list[float] = [math.inf] * len(costs)
    left: dict[int, float] = {}
    now = 0.0
    while any(queues.values()):
        due = math.inf
        for queue in queues.values():
            if not queue or queue[-1] in left:
                continue
            start = _start(queue[-1], needs, lane, ends)
            if start <= now:
                left[queue[-1]] = costs[queue[-1]].seconds
            else:
                due = min(due, start)
        if not left:
            now = due
            continue
        pace = 1 / max(1.0, sum(costs[i].share for i in left))
        passed = min(min(left.values()) / pace, due - now)
        now += passed
        for i in list(left):
            left[i] -= passed * pace
            if left[i] <= 1e-12:
                del left[i]
                ends[queues[lane[i]].pop()] = now
    waits = (HANDOVER if each else 0.0 for each in lane)
    return max((end + wait for end, wait in zip(ends, waits, strict=True)), default=0.0)


def _start(
    call: int, needs: Sequence[Collection[int]], lane: Sequence[int], ends: Sequence[float]
) -> float:
    """When a call that is the next of its lane can start; infinity if nobody knows yet."""
    return max(
        (ends[i] + (HANDOVER if lane[i] != lane[call] else 0.0) for i in needs[call]),
        default=0.0,
    )


def bound(costs: Sequence[Cost], needs: Sequence[Collection[int]]) -> float:
    """Seconds that no number of lanes can save: the longest chain, and the work in all."""
    ends: list[float] = []
    for cost, needed in zip(costs, needs, strict=True):
        ends.append(cost.seconds + max((ends[i] for i in needed), default=0.0))
    return max(max(ends, default=0.0), sum(cost.seconds * cost.share for cost in costs))
