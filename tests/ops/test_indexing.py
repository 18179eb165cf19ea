import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import ArgumentError, DataError, DTypeError, ShapeError
from numbanet.ir import DType
from numbanet.testing import check_gradients, evaluate, inputs_like


def compute(function, *arrays):
    inputs = inputs_like(arrays)
    return evaluate(function(*inputs), dict(zip(inputs, arrays, strict=True)))


TABLE = np.arange(12.0).reshape(4, 3)


def test_take_reads_rows_in_the_shape_of_the_ids():
    rows = compute(ops.take, TABLE, np.array([[3, 0], [1, 3]]))
    np.testing.assert_array_equal(rows[:, :, 0], [[9, 0], [3, 9]])


def test_rows_that_are_read_twice_add_up_their_gradients():
    ids = np.array([2, 0, 2, 2])

    def gradient(table, ids, seed):
        return differentiate([ops.take(table, ids)], [table], [seed])[0]

    seed = np.arange(12.0).reshape(4, 3)
    expected = [seed[1], [0, 0, 0], seed[0] + seed[2] + seed[3], [0, 0, 0]]
    np.testing.assert_array_equal(compute(gradient, TABLE, ids, seed), expected)
    check_gradients(gradient, TABLE, ids, seed)


def test_scatter_add_adds_in_the_order_of_the_ids():
    # In float32 only this order gives one: the small number is lost beside the large.
    g = np.array([1e8, 1.0, -1e8, 1.0], np.float32)
    total = compute(lambda g, ids: ops.scatter_add(g, ids, 1), g, np.zeros(4, np.int64))
    np.testing.assert_array_equal(total, [1.0])


@pytest.mark.parametrize(("ids", "nearest"), [([0, 4], [0, 3]), ([-1, 2], [0, 2])])
def test_ids_that_name_no_row_name_the_nearest(ids, nearest):
    np.testing.assert_array_equal(compute(ops.take, TABLE, np.array(ids)), TABLE[nearest])
    total = compute(lambda g, ids: ops.scatter_add(g, ids, 4), TABLE[:2], np.array(ids))
    np.testing.assert_array_equal(total[nearest], TABLE[:2])


def test_a_table_without_rows_has_no_nearest():
    with pytest.raises(ShapeError, match="without rows"):
        compute(ops.take, TABLE[:0], np.array([0]))


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_one_hot_marks_the_id(dtype):
    ids = np.array([[2, 0], [-1, 3]], np.int32)
    codes = compute(lambda ids: ops.one_hot(ids, 3, dtype), ids)
    expected = np.array([[[0, 0, 1], [1, 0, 0]], [[0, 0, 0], [0, 0, 0]]])
    np.testing.assert_array_equal(codes, expected)
    assert codes.dtype == dtype


def test_one_hot_codes_need_ids_that_can_count_so_far():
    (ids,) = inputs_like((np.zeros(3, np.uint8),))
    assert ops.one_hot(ids, 256).shape == (3, 256)
    with pytest.raises(ArgumentError, match="cannot count"):
        ops.one_hot(ids, 257)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_argmax_is_the_first_maximum(axis):
    x = np.random.default_rng(0).integers(0, 3, (5, 4, 6)).astype(float)
    largest = x.max(axis=axis, keepdims=True)
    first = (x == largest).argmax(axis=axis)
    result = compute(lambda x: ops.argmax(x, axis), x)
    assert result.dtype == np.int64
    np.testing.assert_array_equal(result, first)


def test_a_batch_is_gathered_by_the_permutation():
    data = np.arange(10.0).reshape(5, 2)
    permutation = np.array([4, 2, 0, 1, 3])
    batch = compute(lambda *args: ops.gather_batch(*args, 3), data, permutation, np.array(1))
    np.testing.assert_array_equal(batch, data[[2, 0, 1]])
    with pytest.raises(DataError, match="outside of the permutation"):
        compute(lambda *args: ops.gather_batch(*args, 3), data, permutation, np.array(3))


def test_the_batch_size_may_be_unknown():
    ids = ops.input_value("ids", (None, 7), DType.INT32)
    assert ops.take(ops.input_value("table", (9, 4)), ids).shape == (None, 7, 4)
    assert ops.one_hot(ids, 5).shape == (None, 7, 5)
    assert ops.argmax(ops.input_value("x", (None, 7))).shape == (None,)


def test_operands_of_other_types_are_refused():
    table, scalar, ids, numbers = inputs_like(
        (TABLE, np.zeros(()), np.zeros(2, np.int64), np.zeros(2))
    )
    with pytest.raises(DTypeError, match="integer"):
        ops.take(table, numbers)
    with pytest.raises(ShapeError, match="rows"):
        ops.take(scalar, ids)
    with pytest.raises(ShapeError, match="leading axes"):
        ops.scatter_add(table, ids, 3)
    with pytest.raises(ArgumentError, match="axis 2"):
        ops.argmax(table, 2)
    with pytest.raises(ShapeError, match="known"):
        ops.argmax(ops.input_value("x", (None, 2)), 0)
    with pytest.raises(DTypeError, match="gather_batch"):
        ops.gather_batch(table, numbers, scalar, 1)
    with pytest.raises(ShapeError, match="a start"):
        ops.gather_batch(table, ids, ids, 1)
