"""Inference: what training recorded, as it is outside of training."""

from __future__ import annotations

from collections.abc import Set

from numbanet.ir import Graph, Node, Value, at_path, rebuild, rewrite


def inference(graph: Graph, kept: Set[Node] = frozenset()) -> Graph:
    """``graph`` with every op in its inference form, no dropout and running statistics, but for
    those that are ``kept`` as they are."""

    def replace(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op.inference is None or node in kept:
            return None
        with at_path(node.path):
            return node.op.inference(rebuild(node, inputs))

    return rewrite(graph, replace)
