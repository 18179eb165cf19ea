"""Constant folding."""

import numpy as np

from numbanet import ops
from numbanet.ir import DType, Graph
from numbanet.ops.leaf import constant_number
from numbanet.passes.fold import MAX_ELEMENTS, fold


def names(graph):
    return [node.op.name for node in graph.nodes]


def test_chain_of_constants_becomes_one():
    value = ops.exp(ops.constant(0.0)) + 2.0
    graph = fold(Graph((), {"y": value}))
    assert names(graph) == ["constant"]
    assert constant_number(graph.outputs["y"]) == 3.0
    assert graph.outputs["y"].type == value.type


def test_what_depends_on_an_input_stays():
    x = ops.input_value("x", (3,))
    graph = fold(Graph((x,), {"y": x * (ops.constant(2.0, x.dtype) + 1.0)}))
    assert names(graph) == ["input", "constant", "multiply"]


def test_filled_tensor_stays_one_number():
    graph = fold(Graph((), {"y": ops.full((5, 7), 2.0)}))
    assert names(graph) == ["constant", "expand"]


def test_large_result_is_left_to_the_step():
    small = ops.iota(MAX_ELEMENTS) * 2
    large = ops.iota(MAX_ELEMENTS + 1) * 2
    assert names(fold(Graph((), {"y": small}))) == ["constant"]
    assert "multiply" in names(fold(Graph((), {"y": large})))


def test_invalid_operations_fold_as_they_compute():
    value = ops.log(ops.constant(np.array([-1.0, 0.0]), DType.FLOAT64))
    graph = fold(Graph((), {"y": value}))
    np.testing.assert_array_equal(
        graph.outputs["y"].node.attrs.numbers.array, [np.nan, -np.inf]
    )
