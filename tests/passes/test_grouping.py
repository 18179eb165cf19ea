"""Groups of elementwise ops: which numbers are computed together."""

from __future__ import annotations

from numbanet import ops
from numbanet.ir import Graph
from numbanet.ops.fused import FUSED
from numbanet.passes.fuse import fuse


def fused(graph: Graph) -> list[int]:
    """Of each fused node how many results it has."""
    return sorted(len(node.outputs) for node in fuse(graph).nodes if node.op is FUSED)


def test_unrelated_numbers_are_computed_together() -> None:
    a, b = ops.input_value("a", ()), ops.input_value("b", ())
    assert fused(Graph((a, b), {"x": ops.exp(a), "y": ops.sin(b)})) == [2]


def test_numbers_do_not_wait_for_tensors_that_they_do_not_need() -> None:
    x, a, b = ops.input_value("x", (5, 5)), ops.input_value("a", ()), ops.input_value("b", ())
    loss = ops.sum(ops.matmul(x, x))
    outputs = {"x": ops.exp(loss), "y": ops.sin(loss), "a": ops.exp(a), "b": ops.sin(b)}
    assert fused(Graph((x, a, b), outputs)) == [1, 2, 2]
