"""Measured convolutions: one node with what batch normalisation sums up of their results.

Of a convolution these are mean and variance, of a data gradient the gradients of scale and
shift. Whoever stores a number can add it to a sum, and nobody reads it again for that.
"""

from __future__ import annotations

from numbanet.ir import Graph, Node, Op
from numbanet.ops.batch_norm import BATCH_MOMENTS, BATCH_NORM_SUMS
from numbanet.ops.composite import MEASURED
from numbanet.ops.convolution import CONV2D, CONV2D_TRANSPOSE
from numbanet.passes.composite import compose

_MEASURES: dict[Op, tuple[Op, int]] = {
    BATCH_MOMENTS: (CONV2D, 0),
    BATCH_NORM_SUMS: (CONV2D_TRANSPOSE, 3),
}
"""Ops whose results are measured, and by which input."""


def measured(graph: Graph) -> Graph:
    """``graph`` with a node for each convolution and the first sums that are taken of it."""
    order = {node: number for number, node in enumerate(graph.nodes)}
    chains: dict[Node, tuple[Node, ...]] = {}
    for node in graph.nodes:
        if node.op in _MEASURES and _is_fit(graph, node, order):
            source = node.inputs[_MEASURES[node.op][1]].node
            if source not in chains:
                chains[source] = chains[node] = (source, node)
    return compose(graph, MEASURED, chains)


def _is_fit(graph: Graph, node: Node, order: dict[Node, int]) -> bool:
    """Whether ``node`` measures what somebody else reads, too, and takes nothing that could
    depend on it."""
    op, position = _MEASURES[node.op]
    x, others = node.inputs[position], node.inputs[:position] + node.inputs[position + 1 :]
    if x.node.op is not op or x.dtype is not x.node.inputs[0].dtype:
        return False
    is_read = x in graph.results or any(each is not node for each in graph.consumers[x])
    return is_read and all(
        value.dtype is x.dtype and (value.node.op.is_leaf or order[value.node] < order[x.node])
        for value in others
    )
