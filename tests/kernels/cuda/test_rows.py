"""CUDA's row kernels against NumPy in float64, on the simulator."""

import numpy as np
import pytest

from numbanet.ir import NO_ATTRS, REGISTRY
from numbanet.kernels.cuda import rows
from numbanet.ops.indexing import ArgmaxAttrs
from tests.kernels.cuda.lowered import (
    calls_of,
    case_arrays,
    check_node,
    node_of,
    normal,
    run_calls,
)

NAMES = ("softmax", "log_softmax", "cross_entropy", "argmax")
CASES = [(name, number) for name in NAMES for number in range(len(REGISTRY[name].cases))]


@pytest.mark.simulator
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "number"), CASES)
def test_agrees_with_its_reference(name, number, dtype):
    op = REGISTRY[name]
    check_node(op, op.cases[number].attrs, case_arrays(op.cases[number], dtype))


@pytest.mark.simulator
@pytest.mark.parametrize("columns", [2, 4, 5, 8, 9, 33, 70])
def test_any_number_of_lanes_shares_a_row(columns):
    x = 5 * normal(5, columns)
    check_node(REGISTRY["softmax"], NO_ATTRS, (x,))
    check_node(REGISTRY["log_softmax"], NO_ATTRS, (x,))
    labels = np.arange(5, dtype=np.int32) % columns
    check_node(REGISTRY["cross_entropy"], NO_ATTRS, (x, labels))
    check_node(REGISTRY["argmax"], ArgmaxAttrs(1), (x,))


@pytest.mark.simulator
def test_large_logits_do_not_overflow():
    x = np.array([[1e4, 0, -1e4], [88, 89, 90]], np.float32)
    check_node(REGISTRY["softmax"], NO_ATTRS, (x,))
    check_node(REGISTRY["cross_entropy"], NO_ATTRS, (x, np.array([2, 0])))


@pytest.mark.simulator
def test_rows_with_nan_are_nan_and_others_are_not():
    x = normal(3, 17)
    x[1, 13] = np.nan
    node = node_of(REGISTRY["softmax"], NO_ATTRS, (x,))
    (y,) = run_calls(node, calls_of(node), (x,))
    assert np.isnan(y[1]).all()
    assert not np.isnan(y[[0, 2]]).any()


@pytest.mark.simulator
def test_labels_that_name_no_class_give_nan():
    """Who feeds labels checks them; should it fail to, nothing beyond the row is read."""
    x, labels = normal(3, 4), np.array([4, -1, 1])
    node = node_of(REGISTRY["cross_entropy"], NO_ATTRS, (x, labels))
    loss, unit = run_calls(node, calls_of(node), (x, labels))
    np.testing.assert_array_equal(np.isnan(loss), [True, True, False])
    assert not np.isnan(unit).any()


@pytest.mark.simulator
def test_the_largest_is_the_first_of_equals_and_nan_is_larger():
    x = np.zeros((4, 40), np.float32)
    x[0, [7, 31]] = 1
    x[1, [39, 20]] = np.nan
    x[2] = -np.inf
    check_node(REGISTRY["argmax"], ArgmaxAttrs(1), (x,))
    check_node(REGISTRY["argmax"], ArgmaxAttrs(0), (x.T.copy(),))


@pytest.mark.simulator
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, bool])
def test_argmax_takes_any_numbers(dtype):
    x = np.random.default_rng(0).integers(0, 2, (3, 21)).astype(dtype)
    check_node(REGISTRY["argmax"], ArgmaxAttrs(1), (x,))


def test_lanes_depend_on_the_length_of_rows_alone():
    lanes = [rows._Rows.of(columns).lanes for columns in (1, 4, 5, 10, 1000)]
    assert lanes == sorted(lanes)
    assert lanes[:3] == [1, 1, 2]
