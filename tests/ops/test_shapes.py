"""Reshapes, transposes, expands, slices, pads and concatenations against NumPy."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import DType, Graph, TensorType
from numbanet.ops.slices import SLICE
from numbanet.passes.bind import bind
from numbanet.testing import check_gradients, evaluate

F64 = DType.FLOAT64
NUMBERS = np.arange(2 * 3 * 4 * 5, dtype=np.float64).reshape(2, 3, 4, 5)


def of_numbers(function):
    x = ops.input_value("x", NUMBERS.shape, F64)
    return evaluate(function(x), {x: NUMBERS})


KEYS = {
    "int": 1,
    "negative int": -1,
    "ints": (0, 2, -1),
    "slice": slice(1, 2),
    "slices": (slice(None), slice(1, None), slice(None, -1)),
    "steps": (slice(None), slice(None, None, 2), slice(1, None, 3)),
    "backwards": (slice(None, None, -1), Ellipsis, slice(3, 0, -2)),
    "ellipsis": (0, Ellipsis, 1),
    "new axes": (None, slice(None), None, 1, Ellipsis, None),
    "mixed": (slice(None), 1, None, Ellipsis, slice(0, 3)),
    "beyond the end": (slice(0, 99), slice(-99, 2)),
    "empty": (slice(2, 1), slice(None)),
    "empty backwards": (slice(0, 1, -1),),
    "everything": Ellipsis,
    "nothing": (),
    "numpy int": np.int64(1),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_indexing_is_numpys(key):
    np.testing.assert_array_equal(of_numbers(lambda x: x[key]), NUMBERS[key])


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_gradient_of_indexing(key):
    check_gradients(lambda x: x[key] * x[key], NUMBERS[:, :, :3, :4] / 10)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_view_of_a_slice_is_where_it_lies(key):
    x = ops.input_value("x", NUMBERS.shape, F64)
    node = x[key].node
    while node.op is not SLICE and node.inputs:
        node = node.inputs[0].node
    if node.op is not SLICE or node.output.type.size == 0:
        return
    part = evaluate(node.output, {x: NUMBERS})
    offset = node.op.view(node)
    is_contiguous = np.array_equal(part.ravel(), part.ravel()[0] + np.arange(part.size))
    assert offset == (part.ravel()[0] if is_contiguous else None)


@pytest.mark.parametrize(
    "key", [True, 1.0, [0, 1], np.array([0, 1]), "a", 2, -3, (0,) * 5, (Ellipsis, Ellipsis)]
)
def test_other_indices_are_refused(key):
    with pytest.raises(ArgumentError):
        ops.input_value("x", NUMBERS.shape)[key]


def bound(value, x, batch):
    """``value`` recorded again for a batch of this size."""
    graph = bind(Graph((x,), {"y": value}), {"x": TensorType((batch, *x.shape[1:]), F64)})
    return graph.outputs["y"]


UNKNOWN = {
    "flatten": (ops.flatten, (None, 12)),
    "squeeze": (lambda x: ops.squeeze(ops.expand_dims(x, (1, -1)), (1, -1)), (None, 3, 4)),
    "expand_dims": (lambda x: ops.expand_dims(x, 0), (1, None, 3, 4)),
    "transpose": (lambda x: ops.transpose(x, (2, 0, 1)), (4, None, 3)),
    "slice": (lambda x: x[:, 1:, -2], (None, 2)),
    "reshape": (lambda x: ops.reshape(x, (-1, 2, 6)), (None, 2, 6)),
    "merge": (lambda x: ops.reshape(x, (-1, 4)), (None, 4)),
    "merge and part": (
        lambda x: ops.reshape(ops.reshape(x, (-1, 4)), (-1, 3, 4)),
        (None, 3, 4),
    ),
    "expand": (lambda x: ops.expand(x[:, :1], (-1, 7, -1)), (None, 7, 4)),
    "pad": (lambda x: ops.pad(x, [(0, 0), (1, 0), (0, 2)]), (None, 4, 6)),
    "concatenate": (lambda x: ops.concatenate([x, x[..., :1]]), (None, 3, 5)),
    "stack": (lambda x: ops.stack([x, x], -1), (None, 3, 4, 2)),
    "split": (lambda x: ops.split(x, (1, 3), -1)[1], (None, 3, 3)),
    "sum": (lambda x: ops.sum(x, 0), (3, 4)),
    "full_like": (lambda x: ops.full_like(x, 0.5), (None, 3, 4)),
}


@pytest.mark.parametrize(("function", "shape"), UNKNOWN.values(), ids=UNKNOWN)
@pytest.mark.parametrize("batch", [0, 1, 5])
def test_batch_size_may_be_unknown_until_bound(function, shape, batch):
    x = ops.input_value("x", (None, 3, 4), F64)
    value = function(x)
    assert value.shape == shape
    known = function(ops.input_value("x", (batch, 3, 4), F64))
    assert bound(value, x, batch).type == known.type


@pytest.mark.parametrize(
    "cut",
    [lambda x: x[0], lambda x: x[1:], lambda x: x[::2], lambda x: ops.split(x, 2),
     lambda x: ops.pad(x, [(1, 0), (0, 0)]), lambda x: ops.concatenate([x, x], 0)],
)  # fmt: skip
def test_batch_of_unknown_size_is_not_cut(cut):
    with pytest.raises(ShapeError):
        cut(ops.input_value("x", (None, 4)))


def test_reshape_with_the_same_shape_records_nothing():
    x = ops.input_value("x", (None, 4))
    assert ops.reshape(x, (-1, 4)) is x
    assert ops.transpose(x, (0, -1)) is x
    assert ops.expand(x, (-1, 4)) is x
    assert x[:] is x
    assert ops.pad(x, [(0, 0), (0, 0)]) is x


@pytest.mark.parametrize(
    "wrong",
    [lambda x: ops.reshape(x, (5, -1)), lambda x: ops.reshape(x, (-1, -1)),
     lambda x: ops.reshape(x, (3, 5)), lambda x: ops.reshape(x, (-2, -6)),
     lambda x: ops.expand(x, (2, 3, 5)), lambda x: ops.expand(x, (4,)),
     lambda x: ops.expand(x, (-1, 3, 4)), lambda x: ops.squeeze(x, 0),
     lambda x: ops.pad(x, [(1, 1)]), lambda x: ops.pad(x, [(-1, 1), (0, 0)]),
     lambda x: ops.concatenate([x, x[:, :2]], 0), lambda x: ops.concatenate([x, x[0]]),
     lambda x: ops.split(x, 2), lambda x: ops.split(x, (1, 1)), lambda x: ops.split(x, 0)],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ShapeError):
        wrong(ops.input_value("x", (3, 4)))


@pytest.mark.parametrize(
    "wrong",
    [lambda x: ops.sum(x, 2), lambda x: ops.sum(x, (0, -2)), lambda x: ops.transpose(x, (0, 2)),
     lambda x: ops.expand_dims(x, 3), lambda x: ops.flip(x, -3), lambda x: ops.concatenate([]),
     lambda x: ops.stack([])],
)  # fmt: skip
def test_axes_out_of_range_are_refused(wrong):
    with pytest.raises(ArgumentError):
        wrong(ops.input_value("x", (3, 4)))


def test_split_stack_and_flip_are_numpys():
    parts = of_numbers(lambda x: ops.split(x, (1, 3), 2))
    for part, expected in zip(parts, np.split(NUMBERS, [1], 2), strict=True):
        np.testing.assert_array_equal(part, expected)
    np.testing.assert_array_equal(
        of_numbers(lambda x: ops.stack([x, 2 * x], 1)), np.stack([NUMBERS, 2 * NUMBERS], 1)
    )
    np.testing.assert_array_equal(of_numbers(lambda x: ops.flip(x, -2)), np.flip(NUMBERS, -2))


def test_iota_counts_along_its_axis():
    value = ops.iota((2, 3), axis=1, dtype="int32")
    result = evaluate(value)
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, [[0, 1, 2], [0, 1, 2]])
    np.testing.assert_array_equal(evaluate(ops.iota(3)), [0, 1, 2])


def test_full_and_its_kin():
    x = ops.input_value("x", (2, 3), DType.INT64)
    assert evaluate(ops.ones_like(x)).dtype == np.int64
    np.testing.assert_array_equal(evaluate(ops.full((2, 1), 2.5)), [[2.5], [2.5]])
    assert evaluate(ops.zeros_like(ops.input_value("s", ()))).shape == ()
