"""Decompose: composite ops become simpler ones, until a device has a kernel for each."""

from __future__ import annotations

from numbanet.errors import DeviceError, VerificationError
from numbanet.ir import Graph, Node, Value, at_path, rebuild, rewrite
from numbanet.ops.fused import is_fusable
from numbanet.ops.state import PACK

MAX_ROUNDS = 16
"""How deeply ops may be made of ops; more is a rule that makes what it decomposes."""


def decompose(graph: Graph, native: frozenset[str]) -> Graph:
    """``graph`` in ops that a device has.

    Parameters
    ----------
    graph : Graph
    native : frozenset of str
        Names of the ops that the device lowers. Elementwise and fused ones are understood, and
        those that only place values in memory.

    Raises
    ------
    DeviceError
        If an op is not native and has no decomposition.
    """
    for _ in range(MAX_ROUNDS):
        if not any(_is_composite(node, native) for node in graph.nodes):
            return graph
        graph = rewrite(graph, lambda node, inputs: _replace(node, inputs, native))
    raise VerificationError(f"ops are still composite after {MAX_ROUNDS} rounds")


def _is_composite(node: Node, native: frozenset[str]) -> bool:
    op = node.op
    is_memory_only = op is PACK or (op.view is not None and op.view(node) is not None)
    is_known = op.is_leaf or is_fusable(op) or is_memory_only
    return not is_known and op.name not in native


def _replace(
    node: Node, inputs: tuple[Value, ...], native: frozenset[str]
) -> tuple[Value, ...] | None:
    if not _is_composite(node, native):
        return None
    if node.op.decompose is None:
        raise DeviceError(
            f"the device has no kernel for {node.op.name}(), which has no decomposition",
            layer=node.path or None,
        )
    with at_path(node.path):
        return node.op.decompose(rebuild(node, inputs))
