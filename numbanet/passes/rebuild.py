"""Emitting a graph anew, with other nodes in the place of some."""

from __future__ import annotations

from abc import ABC, abstractmethod

from numbanet.ir import Graph, Node, Update, Value


class Rebuild(ABC):
    """Emits the new graph, from its results backwards, with an explicit stack.

    Attributes
    ----------
    kept : set of Value
        Those of the old graph that are read from outside of it.
    new : dict of Value to Value
        What stands in the place of a value of the old graph, as far as it was emitted.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.kept = set(graph.results)
        self.new: dict[Value, Value] = {}

    @abstractmethod
    def sources(self, node: Node) -> tuple[Value, ...]:
        """Values that have to be emitted before what stands in the place of ``node``."""

    @abstractmethod
    def build(self, node: Node) -> None:
        """Emit what stands in the place of ``node``, and enter its outputs into ``new``."""

    def run(self) -> Graph:
        graph = self.graph
        for value in (*graph.inputs, *(u.old for u in graph.updates), *graph.results):
            self._emit(value)
        return Graph(
            inputs=tuple(self.new[value] for value in graph.inputs),
            outputs={name: self.new[value] for name, value in graph.outputs.items()},
            updates=tuple(Update(self.new[u.old], self.new[u.new]) for u in graph.updates),
        )

    def keep(self, node: Node) -> None:
        """Emit ``node`` as it is, on what its inputs have become."""
        inputs = tuple(self.new[value] for value in node.inputs)
        is_same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        made = node if is_same else node.op.node(*inputs, attrs=node.attrs, path=node.path)
        self.new.update(zip(node.outputs, made.outputs, strict=True))

    def _emit(self, target: Value) -> None:
        stack = [target]
        while stack:
            value = stack[-1]
            if value in self.new:
                stack.pop()
                continue
            missing = [each for each in self.sources(value.node) if each not in self.new]
            if missing:
                stack.extend(reversed(missing))
            else:
                stack.pop()
                self.build(value.node)
