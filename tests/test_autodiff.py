"""The driver of gradients: fan-out, broadcasting, seeds, what is not reached."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import GraphError
from numbanet.ir import DType, Op, scope, topological
from numbanet.testing import check_gradients, evaluate

F64 = DType.FLOAT64


def test_contributions_of_all_consumers_add_up():
    def shared(x):
        h = ops.tanh(x)
        return h * h + ops.exp(h) / (1 + abs(h)) + x

    check_gradients(shared, np.array([-1.3, 0.4, 2.0]))


def test_value_used_twice_by_one_node():
    x = ops.input_value("x", (), F64)
    (gradient,) = differentiate([x * x], [x])
    assert evaluate(gradient, {x: 3.0}) == 6.0


@pytest.mark.parametrize(
    "shapes",
    [((3, 4), (4,)), ((3, 1), (1, 4)), ((), (2, 3)), ((2, 1, 4), (3, 1)), ((0, 3), (3,))],
)
def test_broadcasting_is_undone(shapes):
    rng = np.random.default_rng(0)
    check_gradients(lambda a, b: ops.sin(a * b + a), *(rng.normal(size=s) for s in shapes))


def test_several_outputs_and_seeds():
    x = ops.input_value("x", (2,), F64)
    seeds = [ops.constant([1.0, 10.0]), ops.constant(100.0)]
    (gradient,) = differentiate([x * 2.0, ops.sum(x)], [x], seeds)
    np.testing.assert_array_equal(evaluate(gradient, {x: [0.0, 0.0]}), [102.0, 120.0])


def test_one_output_named_twice_counts_twice():
    x = ops.input_value("x", (), F64)
    y = x * 3.0
    (gradient,) = differentiate([y, y], [x])
    assert evaluate(gradient, {x: 1.0}) == 6.0


def test_output_itself_and_intermediate_values_have_gradients():
    x = ops.input_value("x", (), F64)
    h = ops.exp(x)
    y = h * h
    by_h, by_y = differentiate([y], [h, y])
    assert evaluate(by_h, {x: 0.0}) == 2.0
    assert evaluate(by_y, {x: 0.0}) == 1.0


def test_zeros_where_nothing_depends_on_it():
    x, other = ops.input_value("x", (), F64), ops.input_value("o", (2, 3), F64)
    (gradient,) = differentiate([x * 2.0], [other])
    np.testing.assert_array_equal(evaluate(gradient), np.zeros((2, 3)))


def test_integers_pass_nothing_on():
    x = ops.input_value("x", (3,), F64)
    counted = ops.cast(ops.sum(ops.cast(x > 0, "int64")), F64)
    (gradient,) = differentiate([counted * x], [x])
    np.testing.assert_array_equal(evaluate(gradient, {x: [1.0, -1.0, 2.0]}), [2.0, 2.0, 2.0])


def test_nodes_off_the_path_are_not_recorded():
    x, w = ops.input_value("x", (3,), F64), ops.input_value("w", (3,), F64)
    (gradient,) = differentiate([ops.sum(ops.erf(x) * w)], [w])
    assert "exp" not in {node.op.name for node in topological([gradient])}


def test_gradients_carry_the_path_of_their_layer():
    x = ops.input_value("x", (3,), F64)
    with scope("encoder"):
        y = ops.exp(x)
    (gradient,) = differentiate([ops.sum(y)], [x])
    assert gradient.path == "encoder"


def test_op_without_gradient_is_named():
    opaque = Op("opaque", infer=lambda attrs, x: x, reference=lambda attrs, x: x)
    x = ops.input_value("x", (3,), F64)
    with scope("head"):
        y = opaque(x)
    with pytest.raises(GraphError, match=r"head: opaque\(\) has no gradient"):
        differentiate([y], [x])


def test_second_order():
    x = ops.input_value("x", (), F64)
    (first,) = differentiate([ops.exp(x * x)], [x])
    (second,) = differentiate([first], [x])
    at = 0.7
    assert evaluate(second, {x: at}) == pytest.approx(
        (4 * at**2 + 2) * np.exp(at**2), rel=1e-12
    )


def test_relu_keeps_only_its_output_for_the_backward_pass():
    x = ops.input_value("x", (3,), F64)
    h = x * 2.0
    y = ops.relu(h)
    (gradient,) = differentiate([y], [x])
    readers = [node.op.name for node in topological([gradient]) if h in node.inputs]
    assert readers == ["relu"]
