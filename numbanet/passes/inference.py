"""Inference: what training recorded, as it is outside of training."""

from __future__ import annotations

from numbanet.ir import Graph, Node, Value, at_path, rebuild, rewrite


def inference(graph: Graph) -> Graph:
    """``graph`` with every op in its inference form: no dropout, running statistics."""

    def replace(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op.inference is None:
            return None
        with at_path(node.path):
            return node.op.inference(rebuild(node, inputs))

    return rewrite(graph, replace)
