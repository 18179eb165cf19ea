"""Algebraic rules: what goes, and what must stay."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.ir import DType, Graph
from numbanet.ops.random import dropout
from numbanet.passes.algebra import algebra
from numbanet.testing import evaluate


def names(graph):
    return [node.op.name for node in graph.nodes if not node.op.is_leaf]


def simplify(value, *inputs):
    return algebra(Graph(inputs, {"y": value}))


X = ops.input_value("x", (3, 4))

IDENTITIES = {
    "x + 0": X + 0.0,
    "0 + x": 0.0 + X,
    "x - 0": X - 0.0,
    "x * 1": X * 1.0,
    "1 * x": 1.0 * X,
    "x / 1": X / 1.0,
    "x ** 1": X**1.0,
    "--x": ops.negative(-X),
    "where(c, x, x)": ops.where(X > 0, X, X),
    "stop_gradient": ops.stop_gradient(X),
    "there and back": ops.reshape(ops.reshape(X, (2, 6)), (3, 4)),
    "transposed twice": ops.transpose(ops.transpose(X)),
    "wider and back": ops.cast(ops.cast(X, "float64"), "float32"),
    "plus zeros": X + ops.full((3, 4), 0.0),
    "times ones": ops.ones_like(X) * X,
    "several": ops.negative(-(X * 1.0 + 0.0)) / 1.0,
}


@pytest.mark.parametrize("value", IDENTITIES.values(), ids=IDENTITIES)
def test_identity_leaves_nothing(value):
    assert names(simplify(value, X)) == []


STAYING = {
    "x * 0 may be NaN": X * 0.0,
    "narrower and back": ops.cast(ops.cast(X, "int32"), "float32"),
    "the zero broadcasts": ops.input_value("s", ())
    + ops.constant(np.zeros((2,)), DType.FLOAT32),
    "0 - x": 0.0 - X,
    "1 / x": 1.0 / X,
    "a transpose": ops.transpose(X),
}


@pytest.mark.parametrize("value", STAYING.values(), ids=STAYING)
def test_no_identity_stays(value):
    inputs = tuple(v for v in (X, *value.node.inputs) if v.node.op.name == "input")
    assert names(simplify(value, *dict.fromkeys(inputs)))


BECOMING = {
    "square": (X**2.0, ["square"]),
    "subtract": (X + -ops.exp(X), ["exp", "subtract"]),
    "add": (X - -ops.exp(X), ["exp", "add"]),
    "multiply by the reciprocal": (X / 8.0, ["multiply"]),
    "divide": (X / 3.0, ["divide"]),
    "one reshape": (ops.reshape(ops.reshape(X, (12,)), (2, 6)), ["reshape"]),
    "reshape for a transpose": (
        ops.transpose(ops.reshape(X, (1, 12))),
        ["reshape"],
    ),
    "one expand": (ops.expand(ops.expand(ops.sum(X), (4,)), (3, 4)), ["sum", "expand"]),
    "no expand": (X * ops.expand(ops.sum(X), (3, 4)), ["sum", "multiply"]),
    "expand last": (ops.exp(ops.expand(ops.sum(X), (3, 4))), ["sum", "exp", "expand"]),
    "number reshaped": (
        ops.reshape(ops.expand(ops.sum(X), (6,)), (3, 2)),
        ["sum", "expand"],
    ),
    "number cut": (ops.expand(ops.sum(X), (6,))[1:3], ["sum", "expand"]),
    "number transposed": (
        ops.transpose(ops.expand(ops.sum(X), (6, 2))) * 2.0,
        ["sum", "multiply", "expand"],
    ),
    "reshape for a sum": (ops.sum(ops.reshape(X, (3, 1, 4)), 1), []),
}


@pytest.mark.parametrize(("value", "expected"), BECOMING.values(), ids=BECOMING)
def test_simpler_form(value, expected):
    graph = simplify(value, X)
    assert names(graph) == expected
    feeds = {"x": np.random.default_rng(0).uniform(-2, 2, (3, 4)).astype(np.float32)}
    np.testing.assert_array_equal(evaluate(graph.outputs["y"], feeds), evaluate(value, feeds))


def test_random_op_draws_for_the_whole_shape():
    seed, step = ops.constant(1, DType.INT64), ops.constant(2, DType.INT64)
    row = ops.input_value("row", (1, 4))
    value = dropout(ops.expand(row, (3, 4)), 0.5, seed, step)
    graph = algebra(Graph((row,), {"y": value}))
    assert names(graph) == ["expand", "dropout"]


def test_parts_side_by_side_among_zeros_are_one():
    a, b, c = (
        ops.input_value(name, (2, size)) for name, size in zip("abc", (1, 3, 2), strict=True)
    )
    padded = ops.pad(c, [(0, 0), (5, 0)]) + ops.pad(b, [(0, 0), (2, 2)])
    graph = simplify(padded + ops.pad(a, [(0, 0), (1, 5)]), a, b, c)
    assert names(graph) == ["concatenate", "pad"]
    apart = simplify(ops.pad(a, [(0, 0), (0, 2)]) + ops.pad(a, [(0, 0), (2, 0)]), a)
    assert names(apart) == ["pad", "pad", "add"]
    overlapping = simplify(ops.pad(b, [(0, 0), (0, 1)]) + ops.pad(b, [(0, 0), (1, 0)]), b)
    assert names(overlapping) == ["pad", "pad", "add"]
