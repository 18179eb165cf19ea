"""A graph: what can be reached from its outputs and updates. Immutable, walked iteratively."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from numbanet.errors import GraphError
from numbanet.ir.value import Node, Value


@dataclass(frozen=True, eq=False)
class Update:
    """At the end of the step, the variable behind ``old`` (a leaf) takes the value ``new``."""

    old: Value
    new: Value


@dataclass(frozen=True, eq=False)
class Graph:
    """Named inputs and outputs, and the variables that a run replaces.

    Attributes
    ----------
    inputs : tuple of Value
        Leaves of op ``input``, in the order in which a caller feeds them.
    outputs : dict of str to Value
        What a run returns.
    updates : tuple of Update
        Variables and their next values. All are read before any is replaced.
    """

    inputs: tuple[Value, ...]
    outputs: Mapping[str, Value]
    updates: tuple[Update, ...] = ()

    @property
    def results(self) -> tuple[Value, ...]:
        """Every value that a run must compute: outputs, then new values of variables."""
        return (*self.outputs.values(), *(update.new for update in self.updates))

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, leaves included, each after the nodes it reads."""
        leaves = (*self.inputs, *(update.old for update in self.updates))
        return topological((*leaves, *self.results))

    @cached_property
    def consumers(self) -> Mapping[Value, tuple[Node, ...]]:
        """The nodes that read each value; once per occurrence among the inputs."""
        found: dict[Value, list[Node]] = {v: [] for node in self.nodes for v in node.outputs}
        for node in self.nodes:
            for value in node.inputs:
                found[value].append(node)
        return {value: tuple(nodes) for value, nodes in found.items()}

    def __str__(self) -> str:
        from numbanet.ir.printer import print_graph

        return print_graph(self)


def topological(values: Iterable[Value]) -> tuple[Node, ...]:
    """Nodes behind ``values``, producers first, in depth-first order.

    The walk keeps its own stack, so a chain of any length is fine.
    """
    done: set[Node] = set()
    open_: set[Node] = set()
    order: list[Node] = []
    for value in values:
        stack = [(value.node, False)]
        while stack:
            node, is_expanded = stack.pop()
            if is_expanded:
                open_.discard(node)
                done.add(node)
                order.append(node)
            elif node not in done:
                if node in open_:
                    raise GraphError("the graph has a cycle", layer=node.path or node.op.name)
                open_.add(node)
                stack.append((node, True))
                # A producer may be pushed twice before it is visited; it is opened once.
                stack.extend(
                    (source.node, False)
                    for source in reversed(node.inputs)
                    if source.node not in done
                )
    return tuple(order)


Replacement = Callable[[Node, tuple[Value, ...]], tuple[Value, ...] | None]
"""Given a node and its new inputs: values for its outputs, or None to keep the node."""


def rewrite(graph: Graph, replace: Replacement) -> Graph:
    """A new graph in which ``replace`` has had its say about each node, producers first.

    Nodes that nothing replaced and whose inputs did not change are kept as they are.
    """
    new: dict[Value, Value] = {}
    for node in graph.nodes:
        inputs = tuple(new[value] for value in node.inputs)
        outputs = replace(node, inputs)
        if outputs is None:
            outputs = rebuild(node, inputs).outputs
        new.update(zip(node.outputs, outputs, strict=True))
    return Graph(
        inputs=tuple(new[value] for value in graph.inputs),
        outputs={name: new[value] for name, value in graph.outputs.items()},
        updates=tuple(Update(new[u.old], new[u.new]) for u in graph.updates),
    )


def rebuild(node: Node, inputs: tuple[Value, ...]) -> Node:
    """``node`` on other inputs, its types inferred anew; itself if the inputs are its own."""
    if all(a is b for a, b in zip(node.inputs, inputs, strict=True)):
        return node
    return node.op.node(*inputs, attrs=node.attrs, path=node.path)


def substitute(graph: Graph, mapping: Mapping[Value, Value]) -> Graph:
    """``graph`` with single-output leaves or nodes replaced by the given values."""

    def replace(node: Node, _: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not any(value in mapping for value in node.outputs):
            return None
        return tuple(mapping[value] for value in node.outputs)

    return rewrite(graph, replace)
