"""Linking: a recorded graph's stand-ins are replaced by the state that a run keeps.

A layer records a leaf for each use of a variable, random states that stand for a seed and a
step, and running statistics that each use would replace. Linking makes of these one leaf a
variable, parts of the flat variable, one seed and step, and one chain of updates.
"""

from __future__ import annotations

from numbanet.errors import GraphError
from numbanet.ir import Graph, Node, Update, Value, Variable, rewrite
from numbanet.ops.leaf import variable_of, variable_value
from numbanet.ops.random import RANDOM_STATE, RandomStateAttrs, number_streams
from numbanet.state.flat import FlatState


class Leaves:
    """One value for each variable, made when it is first asked for."""

    def __init__(self, seed: Variable | None, step: Variable | None) -> None:
        self._states = {"seed": seed, "step": step}
        self._values: dict[Variable, Value] = {}

    def of(self, variable: Variable) -> Value:
        """A leaf, or a segment of the leaf of the flat variable where ``variable`` lives."""
        if variable not in self._values:
            home = variable.home
            if isinstance(home, FlatState):
                self._values[variable] = home.value(self.of(home.flat), variable)
            else:
                self._values[variable] = variable_value(variable)
        return self._values[variable]

    def random(self, node: Node) -> Value:
        """The seed or the step that a random state stands for."""
        attrs = node.attrs
        kind = attrs.kind if isinstance(attrs, RandomStateAttrs) else ""
        variable = self._states[kind]
        if variable is None:
            raise GraphError(
                "something random in a graph that has no random state", layer=node.path or None
            )
        return self.of(variable)


def link(
    graph: Graph,
    *,
    seed: Variable | None = None,
    step: Variable | None = None,
) -> tuple[Graph, Leaves]:
    """Replace the stand-ins of ``graph``.

    Variables whose home is a flat state become its segments.

    Parameters
    ----------
    graph : Graph
        A forward pass, not yet differentiated.
    seed, step : Variable, optional
        int64 scalars behind random states. Not needed if nothing is random.

    Returns
    -------
    Graph, Leaves
        The graph, and what its variables are read as.

    Raises
    ------
    GraphError
        If something is random and no seed and step are given.
    """
    leaves = Leaves(seed, step)
    chains: dict[Variable, Value] = {}

    def replace(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        variable = variable_of(node.outputs[0])
        if variable is not None:
            return (leaves.of(variable),)
        if node.op is RANDOM_STATE:
            return (leaves.random(node),)
        if node.op.updates is not None:
            return _chain(node, inputs, chains)
        return None

    linked = rewrite(number_streams(graph), replace)
    updates = [Update(leaves.of(variable), new) for variable, new in chains.items()]
    return Graph(linked.inputs, linked.outputs, (*linked.updates, *updates)), leaves


def _chain(
    node: Node, inputs: tuple[Value, ...], chains: dict[Variable, Value]
) -> tuple[Value, ...]:
    """``node`` reading what earlier nodes made of the variables that it updates."""
    updates = node.op.updates
    if updates is None:
        return node.outputs
    pairs = [(old, new, variable_of(old)) for old, new in updates(node)]
    variables = {old: variable for old, _, variable in pairs if variable is not None}
    current = tuple(
        chains.get(variable, value) if (variable := variables.get(first)) else value
        for first, value in zip(node.inputs, inputs, strict=True)
    )
    outputs = node.op.node(*current, attrs=node.attrs, path=node.path).outputs
    for _, new, variable in pairs:
        if variable is not None:
            chains[variable] = outputs[new.index]
    return outputs
