"""CSE: common subexpressions. Nodes that compute the same become one."""

from __future__ import annotations

from numbanet.ir import Graph, Node, Value, rebuild, rewrite
from numbanet.ops.leaf import INPUT


def cse(graph: Graph) -> Graph:
    """``graph`` in which no two nodes have the same op, attributes and inputs.

    Equal constants become one, and so do reads of one variable. Randomness is no obstacle:
    a random op's numbers are a function of its attributes and inputs.

    Inputs are compared by identity, producers first, so that no comparison walks the graph.
    """
    known: dict[object, tuple[Value, ...]] = {}

    def replace(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op is INPUT:
            return None
        operands = sorted(inputs, key=id) if node.op.commutative else inputs
        key = (node.op, node.attrs, tuple(operands))
        if key not in known:
            known[key] = rebuild(node, inputs).outputs
        return known[key]

    return rewrite(graph, replace)
