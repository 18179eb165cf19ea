"""Grouping: independent small calls become one launch.

Which calls depend on each other follows from the memory that they read and write. Calls keep
their order but for those that join a group: they run earlier, together with others that are
ready by then. A call that nothing waits for has a choice of groups, and takes one whose blocks
have as many threads as its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from numbanet.ir import Graph, Node, Value
from numbanet.kernels.kernel import Call
from numbanet.plan.dependencies import needs

Join = Callable[[Sequence[Call]], Call | None]
"""One call that does the work of several independent ones; None if that would not pay."""

MOST_EARLY_BYTES = 1 << 20
"""A call that writes more does not run much earlier than its turn: memory would fill up with
what nobody reads for long."""


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
    slack = _slack(needed)
    groups: list[list[Lowered]] = []
    joined: list[Call] = []
    place: list[int] = []
    for i, each in enumerate(calls):
        earliest = max((place[j] + 1 for j in needed[i]), default=0)
        if _written(each.call) > MOST_EARLY_BYTES:
            earliest = max(earliest, len(groups) - 1)
        chosen = _choose(each, joined, groups, earliest, slack[i], join)
        if chosen is None:
            chosen = (len(groups), each.call)
            groups.append([])
            joined.append(each.call)
        position, joined[chosen[0]] = chosen
        groups[position].append(each)
        place.append(position)
    return [
        Lowered(call, tuple(dict.fromkeys(node for each in members for node in each.nodes)))
        for call, members in zip(joined, groups, strict=True)
    ]


def _choose(
    each: Lowered,
    joined: list[Call],
    groups: list[list[Lowered]],
    earliest: int,
    slack: int,
    join: Join,
) -> tuple[int, Call] | None:
    """The group that a call joins, and what becomes of it; None if it is to be a new one."""
    found: list[tuple[int, Call]] = []
    for position in range(earliest, len(groups)):
        together = join([*(member.call for member in groups[position]), each.call])
        if together is not None:
            found.append((position, together))
            if joined[position].kernel.threads == each.call.kernel.threads:
                return found[-1]
        if len(found) > slack:
            break
    return found[0] if found else None


def _written(call: Call) -> int:
    """Bytes of the values that a call writes."""
    values = (call.arguments[position] for position in call.writes)
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
