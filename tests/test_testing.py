"""The oracles themselves: they compute, and they refuse."""

import numpy as np
import pytest

from numbanet import ops, testing
from numbanet.errors import GraphError, ShapeError, VerificationError
from numbanet.ir import DType, Graph, Op, TensorType, Update, Variable


def test_feeds_by_value_and_by_name():
    x, y = ops.input_value("x", (None,)), ops.input_value("y", ())
    np.testing.assert_array_equal(
        testing.evaluate(x + y, {x: [1.0, 2.0], "y": 3.0}), np.float32([4.0, 5.0])
    )


def test_variables_are_read_unless_fed():
    leaf = ops.variable_value(Variable(np.array([1.0]), "v"))
    np.testing.assert_array_equal(testing.evaluate(leaf), [1.0])
    np.testing.assert_array_equal(testing.evaluate(leaf, {leaf: [5.0]}), [5.0])


def test_missing_and_misshapen_feeds_are_refused():
    x = ops.input_value("images", (None, 3))
    with pytest.raises(GraphError, match="images is not fed"):
        testing.evaluate(x)
    with pytest.raises(ShapeError, match=r"images, got \(2, 4\)"):
        testing.evaluate(x, {x: np.zeros((2, 4))})


@pytest.mark.parametrize("wrong", [np.zeros((4,)), np.zeros((3,), np.float32)])
def test_reference_that_breaks_its_shape_rule_is_refused(wrong):
    liar = Op(
        "liar",
        infer=lambda attrs: TensorType((3,), DType.FLOAT64),
        reference=lambda attrs: wrong,
    )
    with pytest.raises(VerificationError, match="liar"):
        testing.evaluate(liar())


def test_run_reads_all_variables_before_it_replaces_any():
    a, b = Variable(np.array(1.0), "a"), Variable(np.array(2.0), "b")
    old_a, old_b = ops.variable_value(a), ops.variable_value(b)
    graph = Graph((), {"sum": old_a + old_b}, (Update(old_a, old_b), Update(old_b, old_a)))
    assert testing.run(graph)["sum"] == 3.0
    assert (a.numpy(), b.numpy()) == (2.0, 1.0)


def test_wrong_gradient_is_caught():
    wrong = Op(
        "wrong",
        infer=lambda attrs, x: x,
        reference=lambda attrs, x: x**3,
        gradient=lambda node, g: (g * node.inputs[0],),
    )
    with pytest.raises(AssertionError, match="argument 0"):
        testing.check_gradients(lambda x: wrong(x), np.array([0.5, 2.0]))


def test_gradient_of_each_output_counts():
    with pytest.raises(AssertionError):
        testing.check_gradients(
            lambda x: (ops.exp(x), ops.stop_gradient(x)), np.array([0.5, 2.0])
        )
