import numpy as np
import pytest

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.testing import check_gradients, evaluate, inputs_like

X = np.random.default_rng(0).normal(size=(2, 5, 3))


def compute(function, *arrays):
    inputs = inputs_like(arrays)
    return evaluate(function(*inputs), dict(zip(inputs, arrays, strict=True)))


POSITIONS = [
    [0, 1, 2, 3, 4],
    [4, 2, 0],
    [3],
    [0, 0, 0, 1, 2, 3, 4, 4],
    [2, 1, 0, 1, 2, 3, 4, 3],
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4],
    np.random.default_rng(1).integers(0, 5, 29).tolist(),
]


@pytest.mark.parametrize("positions", POSITIONS, ids=str)
def test_positions_are_picked(positions):
    np.testing.assert_array_equal(
        compute(lambda x: ops.pick(x, positions, 1), X), X[:, positions]
    )
    check_gradients(lambda x: ops.pick(x, positions, -2), X)


def test_few_runs_need_no_gathering():
    (x,) = inputs_like([X])
    assert ops.pick(x, range(5), 1) is x
    assert ops.pick(x, [4, 2, 0], 1).node.op.name == "slice"
    assert ops.pick(x, [0, 0, 0, 1, 2], 1).node.op.name == "concatenate"
    assert ops.repeat(x, 1, 0) is x


@pytest.mark.parametrize("positions", [[5], [-1, 0], [], [[0, 1]]], ids=str)
def test_positions_that_are_not_there(positions):
    (x,) = inputs_like([X])
    with pytest.raises(ArgumentError, match="positions from 0 to 4"):
        ops.pick(x, positions, 1)


WINDOWS = [(2, 1, 1), (3, 2, 1), (2, 2, 1), (2, 1, 3), (1, 3, 1), (5, 1, 1)]


@pytest.mark.parametrize(("window", "stride", "dilation"), WINDOWS)
def test_windows_and_their_overlap(window, stride, dilation):
    count = (5 - (window - 1) * dilation - 1) // stride + 1
    rows = np.arange(count)[:, None] * stride + np.arange(window) * dilation
    found = compute(lambda x: ops.windows(x, 1, window, stride, dilation), X)
    np.testing.assert_array_equal(found, X[:, rows])
    expected = np.zeros_like(X)
    np.add.at(expected, (slice(None), rows), found)
    again = compute(lambda y: ops.overlap_add(y, 1, 5, stride, dilation), found)
    np.testing.assert_allclose(again, expected)
    check_gradients(lambda y: ops.overlap_add(y, 1, 5, stride, dilation), found)


def test_windows_that_do_not_fit():
    (x,) = inputs_like([X])
    with pytest.raises(ShapeError, match="does not fit"):
        ops.windows(x, 1, 3, dilation=3)
    with pytest.raises(ShapeError, match="overlap_add"):
        ops.overlap_add(ops.windows(x, 1, 2), 1, 6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_resampling_multiplies_along_an_axis(axis):
    matrix = np.random.default_rng(2).normal(size=(4, X.shape[axis]))
    expected = np.moveaxis(np.tensordot(matrix, X, (1, axis)), 0, axis)
    np.testing.assert_allclose(compute(lambda x: ops.resample(x, matrix, axis), X), expected)
    check_gradients(lambda x: ops.resample(x, matrix, axis), X)


def test_linear_resizing_by_hand():
    x = np.array([0.0, 4.0, 8.0])
    doubled = compute(lambda x: ops.resize(x, 0, 6), x)
    np.testing.assert_allclose(doubled, [0, 1, 3, 5, 7, 8])
    corners = compute(lambda x: ops.resize(x, 0, 5, align_corners=True), x)
    np.testing.assert_allclose(corners, [0, 2, 4, 6, 8])


@pytest.mark.parametrize("method", ["nearest", "nearest-exact", "linear", "cubic"])
def test_a_size_that_stays_changes_nothing(method):
    (x,) = inputs_like([X])
    assert ops.resize(x, 1, 5, method) is x


def test_bad_resizing():
    (x,) = inputs_like([X])
    with pytest.raises(ArgumentError, match="lanczos"):
        ops.resize(x, 1, 7, "lanczos")
    with pytest.raises(ArgumentError, match="positive size"):
        ops.resize(x, 1, 0)
    unknown = ops.input_value("x", (None, 3))
    with pytest.raises(ShapeError, match="known"):
        ops.resize(unknown, 0, 7)


def test_the_batch_size_may_be_unknown():
    x = ops.input_value("x", (None, 5, 3))
    assert ops.pick(x, np.random.default_rng(1).integers(0, 5, 29), 1).shape == (None, 29, 3)
    assert ops.repeat(x, 2, 2).shape == (None, 5, 6)
    assert ops.overlap_add(ops.windows(x, 1, 2, 2), 1, 5, 2).shape == (None, 5, 3)
    assert ops.resize(x, 1, 7).shape == (None, 7, 3)
    assert ops.resize(x, 2, 7).shape == (None, 5, 7)
