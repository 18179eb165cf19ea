"""Measured convolutions: one node with the moments of their results, which batch normalisation
takes. Whoever stores a number can add it to a sum, and nobody has to read it again for that."""

from __future__ import annotations

from numbanet.ir import Graph, Node
from numbanet.ops.batch_norm import BATCH_MOMENTS
from numbanet.ops.composite import MEASURED
from numbanet.ops.convolution import CONV2D
from numbanet.passes.composite import compose


def measured(graph: Graph) -> Graph:
    """``graph`` with a node for each convolution and the moments that are taken of it first."""
    chains: dict[Node, tuple[Node, ...]] = {}
    for node in graph.nodes:
        if node.op is BATCH_MOMENTS and _is_fit(graph, node):
            source = node.inputs[0].node
            if source not in chains:
                chains[source] = chains[node] = (source, node)
    return compose(graph, MEASURED, chains)


def _is_fit(graph: Graph, node: Node) -> bool:
    """Whether ``node`` measures a convolution that somebody else reads, too, and takes nothing
    that could depend on it."""
    x, *running = node.inputs
    if x.node.op is not CONV2D or x.dtype is not x.node.inputs[0].dtype:
        return False
    is_read = x in graph.results or any(each is not node for each in graph.consumers[x])
    return is_read and all(value.node.op.is_leaf for value in running)
