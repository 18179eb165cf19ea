"""Pools: pooling takes the elementwise ops around it along, and becomes one node with them.

What reads the pooled pixels one by one (dropout, an activation) is computed where they are
found. So is what reads the gradient of pooling (the mask of an activation), and what only makes
the gradient that is spread over the windows: each of them is taken by one pixel.
"""

from __future__ import annotations

from numbanet.ir import Graph, Node
from numbanet.ir.op import attrs_of
from numbanet.ops.composite import POOLED, reading
from numbanet.ops.fused import FUSED, FusedAttrs
from numbanet.passes.composite import compose
from numbanet.passes.grouping import Groups

POOLS = frozenset({"max_pool2d", "max_pool2d_grad", "avg_pool2d", "avg_pool2d_grad"})
SPREAD = ("max_pool2d_grad", 2)
"""Op and position of the input that may be computed as it is read."""
MOST_OPS = 4


def pools(graph: Graph) -> Graph:
    """``graph`` with a node for each pooling and the elementwise nodes around it."""
    nodes = [node for node in graph.nodes if node.op.name in POOLS or _is_simple(node)]
    groups = _PoolGroups(graph, nodes)
    chains = {node: groups.members(node) for node in nodes if len(groups.members(node)) > 1}
    return compose(graph, POOLED, chains)


def _is_simple(node: Node) -> bool:
    """Whether a fused node computes element after element of images from what is at hand."""
    if node.op is not FUSED or any(not value.dtype.is_floating for value in node.outputs):
        return False
    attrs = attrs_of(node, FusedAttrs)
    if attrs.reduction is not None or len(attrs.shape) != 4:
        return False
    return all(reading(access, attrs.shape) is not None for access in attrs.accesses)


class _PoolGroups(Groups):
    """One pooling each, and what goes with it."""

    def __init__(self, graph: Graph, nodes: list[Node]) -> None:
        self._graph = graph
        super().__init__(graph, nodes)

    def _fits(self, first: Node, second: Node) -> bool:
        group = [*self._members[first], *self._members[second]]
        seeds = [node for node in group if node.op is not FUSED]
        if len(seeds) != 1 or len(group) > MOST_OPS:
            return False
        made = {value for node in group for value in node.outputs}
        return all(
            self._follows(node, seeds[0], made) or self._feeds(node, seeds[0], made)
            for node in group
            if node.op is FUSED
        )

    def _follows(self, node: Node, seed: Node, made: set) -> bool:
        """Whether ``node`` reads results of the group, element by element of the result."""
        attrs = attrs_of(node, FusedAttrs)
        reads = [
            (value, access)
            for value, access in zip(node.inputs, attrs.accesses, strict=True)
            if value in made
        ]
        return bool(reads) and all(
            value.type.sizes == attrs.shape == seed.output.type.sizes
            and reading(access, attrs.shape) == "whole"
            for value, access in reads
        )

    def _feeds(self, node: Node, seed: Node, made: set) -> bool:
        """Whether ``node`` computes what ``seed`` reads once, and nothing else."""
        name, position = SPREAD
        if seed.op.name != name or len(node.outputs) != 1 or made.intersection(node.inputs):
            return False
        value = node.output
        is_private = value not in self._graph.results and all(
            reader is seed for reader in self._graph.consumers[value]
        )
        return is_private and [i for i, v in enumerate(seed.inputs) if v is value] == [position]
