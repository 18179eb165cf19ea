"""Attention finds its operands where they are parts of something larger."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.ir import DType, Graph
from numbanet.passes.algebra import algebra
from numbanet.passes.cse import cse
from numbanet.passes.decompose import decompose
from numbanet.passes.fold import fold
from numbanet.passes.reads import reads
from numbanet.testing import evaluate

N, L, H, E = 2, 3, 2, 4
NATIVE = frozenset({"attention", "attention_grad", "slice", "concatenate", "pad"})


def packed(x):
    parts = ops.reshape(x, (N, L, 3, H, E))
    return [parts[:, :, i] for i in range(3)]


def split(x):
    return [ops.reshape(each, (N, L, H, E)) for each in ops.split(x, 3, -1)]


def length_first(x):
    parts = ops.split(ops.reshape(x, (L, N, 3 * H * E)), 3, -1)
    return [ops.transpose(ops.reshape(each, (L, N, H, E)), (1, 0, 2, 3)) for each in parts]


def heads_first(x):
    parts = ops.transpose(ops.reshape(x, (N, 3, H, L, E)), (0, 1, 3, 2, 4))
    return [parts[:, i] for i in range(3)]


def graph_of(make):
    x = ops.input_value("x", (N, L, 3 * H * E), DType.FLOAT64)
    mixed = ops.attention(*make(x))
    (slope,) = differentiate([ops.sum(ops.square(mixed))], [x])
    return decompose(Graph((x,), {"mixed": mixed, "slope": slope}), NATIVE)


@pytest.mark.parametrize("make", [packed, split, length_first, heads_first])
def test_reads_in_place_and_computes_the_same(make):
    before = graph_of(make)
    after = reads(cse(algebra(fold(before))))
    found = [node for node in after.nodes if node.op.name.startswith("attention")]
    assert len(found) == 2
    for node in found:
        assert all(value is after.inputs[0] for value in node.inputs[:3])
    feeds = {"x": np.random.default_rng(0).normal(size=(N, L, 3 * H * E))}
    expected, got = (evaluate(graph, feeds) for graph in (before, after))
    for name in expected:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-12, atol=1e-12)


def test_gradients_of_parts_are_put_side_by_side():
    names = [node.op.name for node in algebra(fold(graph_of(packed))).nodes]
    assert names.count("concatenate") == 1
    assert "pad" not in names


def test_leaves_rows_that_are_spread_to_a_copy():
    x = ops.input_value("x", (N, L, E, H))
    q = ops.transpose(x, (0, 1, 3, 2))
    (node,) = (
        n
        for n in reads(Graph((x,), {"y": ops.attention(q, q, q)})).nodes
        if n.op.name == "attention"
    )
    assert all(value.node.op.name == "transpose" for value in node.inputs)
