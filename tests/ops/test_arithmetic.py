"""Operands, dtypes and corner cases of elementwise ops."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.ir import DType
from numbanet.testing import check_gradients, evaluate

F64 = DType.FLOAT64


def slope(function, at):
    x = ops.input_value("x", np.shape(at), F64)
    (gradient,) = differentiate([function(x)], [x])
    return evaluate(gradient, {x: at})


def test_python_operators_compute_what_numpys_do():
    x, y = ops.input_value("x", (2, 3), F64), ops.input_value("y", (3,), F64)
    a = np.arange(6.0).reshape(2, 3) - 2.5
    b = np.array([1.0, -2.0, 4.0])
    pairs = [
        (x + y, a + b),
        (1 - x, 1 - a),
        (x * 2 / y, a * 2 / b),
        (abs(x) ** 1.5, np.abs(a) ** 1.5),
        (2.0**x, 2.0**a),
        (-x, -a),
        (x < y, a < b),
        (x >= 0.5, a >= 0.5),
        (b * x, b * a),
    ]
    for value, expected in pairs:
        result = evaluate(value, {x: a, y: b})
        assert result.dtype == expected.dtype
        np.testing.assert_allclose(result, expected, rtol=1e-14)


def test_numbers_take_the_dtype_of_the_value():
    assert (ops.input_value("x", (), DType.INT32) + 1).dtype is DType.INT32
    assert (1.5 * ops.input_value("x", (), DType.FLOAT32)).dtype is DType.FLOAT32


@pytest.mark.parametrize(
    ("dtype", "number"), [(DType.INT64, 1.5), (DType.UINT8, 300), (DType.UINT8, -1)]
)
def test_number_that_the_dtype_cannot_hold_is_refused(dtype, number):
    with pytest.raises(DTypeError):
        ops.input_value("x", (2,), dtype) + number


def test_dtypes_do_not_mix():
    with pytest.raises(DTypeError, match=r"add\(\) .* f32\[\] and f64\[\]"):
        ops.input_value("x", ()) + ops.input_value("y", (), F64)


@pytest.mark.parametrize("function", [ops.exp, ops.sqrt, ops.relu, ops.mean, lambda x: x / x])
def test_integers_have_no_floating_point_functions(function):
    with pytest.raises(DTypeError, match=r"ops\.cast"):
        function(ops.input_value("x", (3,), DType.INT64))


def test_bools_are_not_numbers():
    with pytest.raises(DTypeError):
        ops.input_value("x", (3,)) + (ops.input_value("x", (3,)) > 0)


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(ShapeError, match=r"f32\[2, 3\] and f32\[4\]"):
        ops.input_value("x", (2, 3)) * ops.input_value("y", (4,))


def test_unknown_batch_broadcasts_with_itself_and_one():
    x = ops.input_value("x", (None, 3))
    assert (x + x * ops.input_value("y", (1, 3))).shape == (None, 3)


def test_power_of_a_negative_base_has_a_slope():
    np.testing.assert_allclose(slope(lambda x: x**3, [-2.0, 0.0, 1.0]), [12.0, 0.0, 3.0])
    np.testing.assert_array_equal(slope(lambda x: x**0, [-2.0, 0.0, 1.0]), [0.0, 0.0, 0.0])
    np.testing.assert_array_equal(slope(lambda x: x**1, [-2.0, 0.0, 1.0]), [1.0, 1.0, 1.0])


def test_slope_of_zero_to_a_power():
    e = ops.input_value("e", (1,), F64)
    (gradient,) = differentiate([ops.constant([0.0]) ** e], [e])
    np.testing.assert_array_equal(evaluate(gradient, {e: [2.0]}), [0.0])


def test_ties_share_the_gradient():
    x = np.array([1.0, 2.0, 3.0])
    at_two = lambda x: ops.maximum(x, 2.0) + 10.0 * ops.minimum(x, 2.0)  # noqa: E731
    np.testing.assert_array_equal(slope(at_two, x), [10.0, 5.5, 1.0])


def test_clip_passes_gradients_on_its_bounds():
    at = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    np.testing.assert_array_equal(slope(lambda x: ops.clip(x, -1, 1), at), [0, 1, 1, 1, 0])
    np.testing.assert_array_equal(slope(lambda x: ops.clip(x, -np.inf, 1), at), [1, 1, 1, 1, 0])


def test_clip_refuses_crossed_bounds():
    with pytest.raises(ArgumentError, match="low=2"):
        ops.clip(ops.input_value("x", ()), 2.0, 1.0)


def test_extrema_and_sign_keep_nan():
    x = ops.input_value("x", (2,), F64)
    for function in (lambda x: ops.maximum(x, 0), lambda x: ops.minimum(0, x), ops.sign):
        np.testing.assert_array_equal(evaluate(function(x), {x: [np.nan, 0.0]}), [np.nan, 0.0])


@pytest.mark.parametrize(
    "function",
    [
        ops.exp,
        ops.log1p,
        ops.tanh,
        ops.erf,
        ops.rsqrt,
        ops.sqrt,
        ops.square,
        lambda x: 1 / x**3,
    ],
)
def test_second_derivative(function):
    check_gradients(
        lambda x: differentiate([function(x)], [x])[0],
        np.array([0.4, 0.9, 1.7]),
        tolerance=1e-5,
    )


def test_where_chooses_by_bools_only():
    x = ops.input_value("x", (3,))
    with pytest.raises(DTypeError, match="bool"):
        ops.where(x, x, x)


def test_gradient_reaches_only_what_where_chose():
    def safe_log(x):
        return ops.where(x > 0, ops.log(ops.where(x > 0, x, 1.0)), 0.0)

    np.testing.assert_array_equal(slope(safe_log, [-1.0, 0.0, 2.0]), [0.0, 0.0, 0.5])


def test_cast_passes_gradients_between_floating_dtypes_only():
    def through_float32(x):
        return ops.cast(ops.cast(x * 2, "float32"), F64)

    def through_int(x):
        return ops.cast(ops.cast(x * 2, "int64"), F64)

    np.testing.assert_array_equal(slope(through_float32, [1.0]), [2.0])
    np.testing.assert_array_equal(slope(through_int, [1.0]), [0.0])


def test_cast_to_an_unknown_dtype_is_refused():
    with pytest.raises(DTypeError, match="complex64"):
        ops.cast(ops.input_value("x", ()), "complex64")
