"""Composition: groups of nodes become one composite node each."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from numbanet.ir import Graph, Node, Op, Value
from numbanet.ir.scope import common_path
from numbanet.ops.composite import CompositeAttrs, Member
from numbanet.passes.rebuild import Rebuild


def compose(
    graph: Graph,
    op: Op,
    chains: Mapping[Node, tuple[Node, ...]],
    heads: Collection[Node] = (),
) -> Graph:
    """``graph`` with a node of ``op`` in the place of each chain.

    Parameters
    ----------
    chains : mapping of Node to tuple of Node
        For each node that is in one, all nodes of its chain, in an order in which they can run.
        No path leaves a chain and comes back to it.
    heads : collection of Node
        Chains that start with one of these say so, see `CompositeAttrs`.
    """
    return _Composer(graph, op, chains, heads).run() if chains else graph


class _Composer(Rebuild):
    """Emits a composite node for each chain."""

    def __init__(
        self,
        graph: Graph,
        op: Op,
        chains: Mapping[Node, tuple[Node, ...]],
        heads: Collection[Node],
    ) -> None:
        super().__init__(graph)
        self.op = op
        self.chains = chains
        self.heads = heads

    def sources(self, node: Node) -> tuple[Value, ...]:
        members = self.chains.get(node, (node,))
        made = {value for member in members for value in member.outputs}
        inputs = dict.fromkeys(value for member in members for value in member.inputs)
        return tuple(value for value in inputs if value not in made)

    def build(self, node: Node) -> None:
        members = self.chains.get(node, (node,))
        if len(members) == 1:
            self.keep(node)
            return
        sources = self.sources(node)
        results = [value for member in members for value in member.outputs]
        slots = {value: slot for slot, value in enumerate((*sources, *results))}
        steps = tuple(
            Member(node.op, node.attrs, tuple(slots[value] for value in node.inputs))
            for node in members
        )
        wanted = tuple(value for value in results if self._is_wanted(value, members))
        outputs = tuple(slots[value] for value in wanted)
        attrs = CompositeAttrs(steps, outputs, has_head=members[0] in self.heads)
        path = common_path(node.path for node in members)
        inputs = tuple(self.new[value] for value in sources)
        made = self.op.node(*inputs, attrs=attrs, path=path)
        self.new.update(zip(wanted, made.outputs, strict=True))

    def _is_wanted(self, value: Value, members: tuple[Node, ...]) -> bool:
        """Whether anybody outside of the new node reads ``value``."""
        readers = self.graph.consumers[value]
        return value in self.kept or any(reader not in members for reader in readers)
