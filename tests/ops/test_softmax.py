import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.testing import check_gradients, evaluate, inputs_like


def compute(function, *arrays):
    inputs = inputs_like(arrays)
    return evaluate(function(*inputs), dict(zip(inputs, arrays, strict=True)))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_agrees_with_pytorch_over_any_axis(name, axis):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(3, 4, 5)) * 4
    expected = getattr(torch, name)(torch.tensor(x), axis).numpy()
    np.testing.assert_allclose(compute(lambda x: getattr(ops, name)(x, axis), x), expected)


@pytest.mark.parametrize("function", [ops.softmax, ops.log_softmax])
def test_gradients_flow_over_any_axis_and_twice(function):
    x, seed = np.random.default_rng(0).normal(size=(2, 3, 4))

    def gradient(x, seed):
        return differentiate([function(x, 0)], [x], [seed])

    check_gradients(lambda x: function(x, 0), x)
    check_gradients(gradient, x, seed)


def test_huge_numbers_overflow_nowhere():
    x = np.array([[1e4, -1e4, 1e4], [-1e38, 0.0, -1e38]], np.float32)
    np.testing.assert_array_equal(compute(ops.softmax, x), [[0.5, 0, 0.5], [0, 1, 0]])
    log_probabilities = compute(ops.log_softmax, x)
    np.testing.assert_allclose(log_probabilities[0], [-np.log(2), -2e4, -np.log(2)], rtol=1e-4)


def test_the_batch_size_may_be_unknown():
    assert ops.softmax(ops.input_value("x", (None, 5))).shape == (None, 5)
    assert ops.log_softmax(ops.input_value("x", (None, 5, 3)), 1).shape == (None, 5, 3)


def test_bad_arguments():
    x, empty, scalar, labels = inputs_like(
        (np.zeros((2, 3)), np.zeros((2, 0)), np.zeros(()), np.zeros((2, 3), np.int64))
    )
    with pytest.raises(ArgumentError, match="axis 2"):
        ops.softmax(x, 2)
    with pytest.raises(ShapeError, match="elements along the last axis"):
        ops.log_softmax(empty)
    with pytest.raises(ArgumentError, match="no axis"):
        ops.softmax(scalar)
    with pytest.raises(DTypeError, match="softmax"):
        ops.softmax(labels)
    with pytest.raises(ShapeError, match="known size"):
        ops.softmax(ops.input_value("x", (None,)))
