"""Grouping: which elementwise nodes may become one node without making a cycle."""

from __future__ import annotations

from collections.abc import Sequence

from numbanet.ir import Graph, Node, TensorType

MAX_NODES = 48
"""Nodes in one group: larger kernels run no faster and take longer to compile."""

MAX_INPUTS = 20
"""Values that one group reads: more of them than registers for their addresses helps nobody."""


class Groups:
    """Convex groups of same-shaped elementwise nodes, found greedily in graph order.

    A group is convex if no path leaves it and comes back: only then can it run as one node.
    """

    def __init__(self, graph: Graph, pointwise: Sequence[Node]) -> None:
        self._position = {node: i for i, node in enumerate(graph.nodes)}
        self._leader: dict[Node, Node] = {}
        self._members: dict[Node, list[Node]] = {}
        self._sources: dict[Node, set[Node]] = {}
        self._numbers: Node | None = None
        eligible = set(pointwise)
        for node in graph.nodes:
            if node in eligible:
                self._enter(node, eligible)

    def members(self, node: Node) -> tuple[Node, ...]:
        """The nodes that run together with ``node``, in graph order; itself if alone."""
        leader = self._leader.get(node)
        return (node,) if leader is None else tuple(self._members[leader])

    def _enter(self, node: Node, eligible: set[Node]) -> None:
        for leader in self._candidates(node, eligible):
            if self._fits(node, leader):
                self._leader[node] = leader
                self._members[leader].append(node)
                added = self._units_read_by(node) - {leader}
                self._sources[leader] = self._reads(leader) | added
                return
        self._leader[node] = node
        self._members[node] = [node]
        if _is_number(node):
            self._numbers = node

    def _candidates(self, node: Node, eligible: set[Node]) -> list[Node]:
        """Leaders of groups that ``node`` might join: those it reads, the latest first."""
        sources = {value.node for value in node.inputs if value.node in eligible}
        leaders = {self._leader[source] for source in sources}
        if self._numbers is not None and _is_number(node):
            leaders.add(self._numbers)
        return sorted(leaders, key=lambda leader: -self._position[leader])

    def _fits(self, node: Node, leader: Node) -> bool:
        group = self._members[leader]
        if node.outputs[0].shape != leader.outputs[0].shape or len(group) >= MAX_NODES:
            return False
        inside = {value for member in group for value in member.outputs}
        read = {v for member in (*group, node) for v in member.inputs if v not in inside}
        return len(read) <= MAX_INPUTS and not self._depends_from_outside(node, leader)

    def _depends_from_outside(self, node: Node, leader: Node) -> bool:
        """Whether some path leads from the group to ``node`` through a node outside of it.

        The walk goes backwards over whole groups, since a group waits for all that any of its
        members reads.
        """
        inside = set(self._members[leader])
        stack = [v.node for v in node.inputs if v.node not in inside and not v.node.op.is_leaf]
        seen = {self._leader.get(start, start) for start in stack}
        stack = list(seen)
        while stack:
            for source in self._reads(stack.pop()):
                if source is leader:
                    return True
                if source not in seen:
                    seen.add(source)
                    stack.append(source)
        return False

    def _reads(self, unit: Node) -> set[Node]:
        """The units (leaders of groups, and single nodes) that ``unit`` reads."""
        known = self._sources.get(unit)
        if known is None:
            known = self._sources[unit] = self._units_read_by(unit)
        return known

    def _units_read_by(self, node: Node) -> set[Node]:
        producers = (value.node for value in node.inputs)
        return {self._leader.get(p, p) for p in producers if not p.op.is_leaf}


def _is_number(node: Node) -> bool:
    type_: TensorType = node.outputs[0].type
    return type_.shape == ()
