"""Composition: groups of nodes become one composite node each."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from numbanet.ir import Graph, Node, Op, Update, Value
from numbanet.ir.scope import common_path
from numbanet.ops.composite import CompositeAttrs, Member


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


class _Composer:
    """Emits the new graph, from its results backwards, with an explicit stack."""

    def __init__(
        self,
        graph: Graph,
        op: Op,
        chains: Mapping[Node, tuple[Node, ...]],
        heads: Collection[Node],
    ) -> None:
        self.graph = graph
        self.op = op
        self.chains = chains
        self.heads = heads
        self.kept = set(graph.results)
        self.new: dict[Value, Value] = {}

    def run(self) -> Graph:
        graph = self.graph
        for value in (*graph.inputs, *(u.old for u in graph.updates), *graph.results):
            self._emit(value)
        return Graph(
            inputs=tuple(self.new[value] for value in graph.inputs),
            outputs={name: self.new[value] for name, value in graph.outputs.items()},
            updates=tuple(Update(self.new[u.old], self.new[u.new]) for u in graph.updates),
        )

    def _emit(self, target: Value) -> None:
        stack = [target]
        while stack:
            node = stack[-1].node
            if stack[-1] in self.new:
                stack.pop()
                continue
            members = self.chains.get(node, (node,))
            made = {value for member in members for value in member.outputs}
            inputs = dict.fromkeys(v for member in members for v in member.inputs)
            sources = tuple(value for value in inputs if value not in made)
            missing = [source for source in sources if source not in self.new]
            if missing:
                stack.extend(reversed(missing))
            else:
                self._build(members, sources)

    def _build(self, members: tuple[Node, ...], sources: tuple[Value, ...]) -> None:
        if len(members) == 1:
            (node,) = members
            inputs = tuple(self.new[value] for value in node.inputs)
            is_same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
            made = node if is_same else node.op.node(*inputs, attrs=node.attrs, path=node.path)
            self.new.update(zip(node.outputs, made.outputs, strict=True))
            return
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
