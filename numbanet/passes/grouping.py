"""Grouping: which elementwise nodes may become one node without making a cycle."""

from __future__ import annotations

from collections.abc import Sequence

from numbanet.ir import Graph, Node

MAX_NODES = 48
"""Nodes in one group: larger kernels run no faster and take longer to compile."""

MAX_INPUTS = 20
"""Values that one group reads: more of them than registers for their addresses helps nobody."""


class Groups:
    """Convex groups of same-shaped elementwise nodes, found greedily in graph order.

    A group is convex if no path leaves it and comes back: only then can it run as one node.
    Groups are known by a leader; a *unit* is a leader, or a node that is in no group. Sets of
    nodes are the bits of integers: a walk through the graph for each pair of groups would take
    time that grows with its square.
    """

    def __init__(self, graph: Graph, pointwise: Sequence[Node]) -> None:
        self._leader: dict[Node, Node] = {}
        self._members: dict[Node, list[Node]] = {}
        self._sources: dict[Node, set[Node]] = {}
        self._position = {node: i for i, node in enumerate(graph.nodes)}
        self._bits: dict[Node, int] = {}
        self._above: dict[Node, int] = {}
        self._ancestors: dict[Node, int] = {}
        eligible = set(pointwise)
        self._tensors = 0
        numbers: dict[bool, Node] = {}
        for node in graph.nodes:
            self._enter(node)
            if node not in eligible:
                continue
            self._leader[node] = node
            self._members[node] = [node]
            partners = self._groups_read_by(node)
            if node.outputs[0].shape == ():
                # Counters do not wait for the loss, nor what reads them.
                waits = bool(self._ancestors[node] & self._tensors)
                partners += [numbers[waits]] if waits in numbers else []
                numbers[waits] = node
            for partner in partners:
                self._join(partner, node)

    def members(self, node: Node) -> tuple[Node, ...]:
        """The nodes that run together with ``node``, in graph order; itself if alone."""
        return tuple(self._members.get(self._unit(node), (node,)))

    def _groups_read_by(self, node: Node) -> list[Node]:
        """A member of each group that ``node`` reads, the latest first."""
        sources = {v.node for v in node.inputs if v.node in self._leader}
        return sorted(sources, key=lambda source: -self._position[source])

    def _join(self, a: Node, b: Node) -> None:
        """Make the groups of ``a`` and ``b`` one, if that leaves it small and convex."""
        first, second = self._unit(a), self._unit(b)
        if first is second or not self._fits(first, second):
            return
        if self._leads_around(first, second) or self._leads_around(second, first):
            return
        joined = [*self._members[first], *self._members.pop(second)]
        self._members[first] = sorted(joined, key=lambda node: self._position[node])
        self._sources[first] = self._reads(first) | self._reads(second)
        for node in joined:
            self._leader[node] = first
        self._bits[first] |= self._bits.pop(second)
        self._above[first] |= self._above.pop(second)

    def _enter(self, node: Node) -> None:
        """Note what ``node`` depends on, node by node."""
        self._bits[node] = 1 << self._position[node]
        self._above[node] = 0
        for source in {value.node for value in node.inputs}:
            self._above[node] |= self._ancestors[source] | (1 << self._position[source])
        self._ancestors[node] = self._above[node]
        if not node.op.is_leaf and any(value.shape != () for value in node.outputs):
            self._tensors |= self._bits[node]

    def _fits(self, first: Node, second: Node) -> bool:
        if first.outputs[0].shape != second.outputs[0].shape:
            return False
        group = (*self._members[first], *self._members[second])
        inside = {value for member in group for value in member.outputs}
        read = {v for member in group for v in member.inputs if v not in inside}
        return len(group) <= MAX_NODES and len(read) <= MAX_INPUTS

    def _leads_around(self, start: Node, end: Node) -> bool:
        """Whether some path leads from group ``start`` to group ``end`` through another unit.

        A group waits for all that any of its members reads.
        """
        between = self._reads(end) - {start, end}
        reached = 0
        for unit in between:
            reached |= self._above[unit] | self._bits[unit]
        while not reached & self._bits[start]:
            more = reached
            for leader, members in self._members.items():
                if len(members) > 1 and leader is not end and reached & self._bits[leader]:
                    more |= self._above[leader] | self._bits[leader]
            if more == reached:
                return False
            reached = more
        return True

    def _unit(self, node: Node) -> Node:
        """The leader of the group that ``node`` is in, or was in before groups joined."""
        return self._leader.get(node, node)

    def _reads(self, unit: Node) -> set[Node]:
        """The units that ``unit`` reads."""
        known = self._sources.get(unit)
        if known is None:
            nodes = self._members.get(unit, [unit])
            known = {v.node for node in nodes for v in node.inputs if not v.node.op.is_leaf}
        current = self._sources[unit] = {self._unit(node) for node in known} - {unit}
        return current
