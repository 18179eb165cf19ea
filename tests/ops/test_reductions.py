"""Reductions: axes, dtypes, ties, nothing to reduce."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import ShapeError
from numbanet.ir import DType
from numbanet.testing import check_gradients, evaluate

F64 = DType.FLOAT64
NUMBERS = np.random.default_rng(3).normal(size=(3, 4, 5))


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize("axes", [None, 0, -1, (0, 2), (-1, -2), (2, 0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reduction_is_numpys(name, axes, keepdims):
    x = ops.input_value("x", NUMBERS.shape, F64)
    value = getattr(ops, name)(x, axes, keepdims)
    expected = getattr(np, name)(NUMBERS, axis=axes, keepdims=keepdims)
    assert value.shape == expected.shape
    np.testing.assert_allclose(evaluate(value, {x: NUMBERS}), expected, rtol=1e-13)


def test_variance_is_numpys():
    x = ops.input_value("x", NUMBERS.shape, F64)
    shifted = NUMBERS + 1e6
    np.testing.assert_allclose(
        evaluate(ops.variance(x, (0, 2)), {x: shifted}), shifted.var(axis=(0, 2)), rtol=1e-9
    )
    check_gradients(lambda x: ops.variance(x, 1, keepdims=True), NUMBERS)


def test_no_axes_reduce_nothing():
    x = ops.input_value("x", ())
    assert ops.sum(x) is x
    y = ops.input_value("y", (3,))
    assert ops.max(y, ()) is y


def test_integers_keep_their_dtype():
    x = ops.input_value("x", (3,), DType.INT32)
    assert evaluate(ops.sum(x), {x: [1, 2, 3]}).dtype == np.int32


def test_sum_of_nothing_is_zero_and_mean_is_nan():
    x = ops.input_value("x", (0, 2), F64)
    empty = np.zeros((0, 2))
    np.testing.assert_array_equal(evaluate(ops.sum(x, 0), {x: empty}), [0, 0])
    np.testing.assert_array_equal(evaluate(ops.mean(x, 0), {x: empty}), [np.nan, np.nan])


@pytest.mark.parametrize("function", [ops.max, ops.min])
def test_extremum_of_nothing_is_refused(function):
    x = ops.input_value("x", (0, 2))
    assert function(x, 1).shape == (0,)
    with pytest.raises(ShapeError, match="no elements"):
        function(x, 0)


@pytest.mark.parametrize(("function", "extremum"), [(ops.max, 3.0), (ops.min, -3.0)])
def test_ties_share_the_gradient(function, extremum):
    x = ops.input_value("x", (2, 3), F64)
    (gradient,) = differentiate([function(x, 1)], [x])
    numbers = np.array([[extremum, 0.0, extremum], [0.0, extremum, 0.0]])
    np.testing.assert_array_equal(evaluate(gradient, {x: numbers}), [[0.5, 0, 0.5], [0, 1, 0]])


def test_nan_is_an_extremum():
    x = ops.input_value("x", (3,), F64)
    assert np.isnan(evaluate(ops.max(x), {x: [1.0, np.nan, 2.0]}))


@pytest.mark.parametrize("shape", [(3, 4, 5), (4, 5), (1, 5), (5,), (1, 1, 1), ()])
def test_sum_to_undoes_broadcasting(shape):
    x = ops.input_value("x", NUMBERS.shape, F64)
    value = ops.sum_to(x, shape)
    assert value.shape == shape
    small = np.random.default_rng(0).normal(size=shape)
    # The inner product with anything broadcast is that with its sum.
    np.testing.assert_allclose(
        (evaluate(value, {x: NUMBERS}) * small).sum(), (NUMBERS * small).sum(), rtol=1e-12
    )
