"""Grouping: independent small calls become one launch.

Which calls depend on each other follows from the memory that they read and write. Calls keep
their order but for those that join a group: they run earlier, together with others that are
ready by then. A call that nothing waits for has a choice of groups, and takes one whose blocks
have as many threads as its own. One that found no group runs later, if there is one then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from numbanet.ir import Graph, Node, Value
from numbanet.kernels.kernel import Call
from numbanet.plan.dependencies import needs

Join = Callable[[Sequence[Call]], Call | None]
"""One call that does the work of several independent ones; None if that would not pay."""

MOST_MOVED_BYTES = 1 << 20
"""A call that writes more does not run much earlier than its turn, nor one later that touches
more: memory would fill up with what nobody reads for long."""


@dataclass(frozen=True)
class Lowered:
    """A call, and the nodes that it helps to compute."""

    call: Call
    nodes: tuple[Node, ...]


def group(calls: Sequence[Lowered], graph: Graph, join: Join) -> list[Lowered]:
    """``calls``, in order, with those as one that ``join`` takes together.

    Parameters
    ----------
    calls : sequence of Lowered
        In an order in which they can run.
    graph : Graph
        What they compute, materialised.
    """
    needed = needs([each.call for each in calls], graph)
    groups = _Groups(calls, needed, join)
    for i in range(len(calls)):
        groups.enter(i)
    for i in range(len(calls)):
        groups.delay(i)
    return groups.lowered()


class _Groups:
    """Groups of calls so far, by position, and what becomes of each as one call."""

    def __init__(
        self, calls: Sequence[Lowered], needed: Sequence[set[int]], join: Join
    ) -> None:
        self._calls = calls
        self._needed = needed
        self._join = join
        self._slack = _slack(needed)
        self._members: list[list[int]] = []
        self._joined: list[Call] = []
        self._place: list[int] = []

    def enter(self, i: int) -> None:
        """Put the next call into the first group that it may and can join, or a new one."""
        call = self._calls[i].call
        last = len(self._members)
        first = max((self._place[j] + 1 for j in self._needed[i]), default=0)
        if _touched(call, call.writes) > MOST_MOVED_BYTES:
            first = max(first, last - 1)
        self._place.append(last)
        if not self._enter_one_of(i, range(first, last)):
            self._members.append([i])
            self._joined.append(call)

    def delay(self, i: int) -> None:
        """Put a call that is a group of its own into a later one, if nobody waits for it."""
        call, place = self._calls[i].call, self._place[i]
        is_small = _touched(call, range(len(call.arguments))) <= MOST_MOVED_BYTES
        if len(self._members[place]) > 1 or not is_small:
            return
        waiting = (self._place[j] for j, needed in enumerate(self._needed) if i in needed)
        if self._enter_one_of(i, range(place + 1, min(waiting, default=len(self._members)))):
            self._members[place].remove(i)

    def _enter_one_of(self, i: int, positions: range) -> bool:
        chosen = self._choose(i, positions)
        if chosen is None:
            return False
        position, self._joined[chosen[0]] = chosen
        self._members[position].append(i)
        self._place[i] = position
        return True

    def _choose(self, i: int, positions: range) -> tuple[int, Call] | None:
        """The group that a call joins, and what becomes of it."""
        call = self._calls[i].call
        found: list[tuple[int, Call]] = []
        for position in positions:
            members = [self._calls[j].call for j in self._members[position]]
            together = self._join([*members, call]) if members else None
            if together is not None:
                found.append((position, together))
                if self._joined[position].kernel.threads == call.kernel.threads:
                    return found[-1]
            if len(found) > self._slack[i]:
                break
        return found[0] if found else None

    def lowered(self) -> list[Lowered]:
        return [
            Lowered(
                call, tuple(dict.fromkeys(n for i in members for n in self._calls[i].nodes))
            )
            for call, members in zip(self._joined, self._members, strict=True)
            if members
        ]


def _touched(call: Call, positions: Iterable[int]) -> int:
    """Bytes of the values among some arguments."""
    values = (call.arguments[position] for position in positions)
    return sum(value.type.nbytes for value in values if isinstance(value, Value))


def _slack(needs: Sequence[set[int]]) -> list[int]:
    """How many launches each call could wait without making the longest chain longer."""
    ahead = [0] * len(needs)
    for i, needed in enumerate(needs):
        ahead[i] = max((ahead[j] + 1 for j in needed), default=0)
    behind = [0] * len(needs)
    for i in reversed(range(len(needs))):
        for j in needs[i]:
            behind[j] = max(behind[j], behind[i] + 1)
    longest = max(ahead, default=0)
    return [longest - a - b for a, b in zip(ahead, behind, strict=True)]
