"""CUDA's pooling against NumPy in float64, on the simulator."""

import numpy as np
import pytest

from numbanet.ir import REGISTRY
from numbanet.kernels.cuda import pooling
from numbanet.ops.pooling import AvgPoolAttrs, PoolAttrs
from tests.kernels.cuda.lowered import (
    calls_of,
    case_arrays,
    check_node,
    node_of,
    normal,
    run_calls,
)

NAMES = ("max_pool2d", "max_pool2d_grad", "avg_pool2d", "avg_pool2d_grad")
CASES = [(name, number) for name in NAMES for number in range(len(REGISTRY[name].cases))]


@pytest.mark.simulator
@pytest.mark.parametrize(("name", "number"), CASES)
def test_agrees_with_its_reference(name, number):
    op = REGISTRY[name]
    check_node(op, op.cases[number].attrs, case_arrays(op.cases[number], np.float32))


@pytest.mark.simulator
@pytest.mark.parametrize("name", NAMES)
def test_computes_in_float64(name):
    op = REGISTRY[name]
    check_node(op, op.cases[2].attrs, case_arrays(op.cases[2], np.float64))


@pytest.mark.simulator
def test_gradient_goes_to_the_first_of_equal_maxima_in_overlapping_windows():
    attrs = PoolAttrs((3, 2), (1, 1), ((1, 0), (0, 1)))
    x = np.random.default_rng(0).integers(0, 3, (1, 5, 4, 2)).astype(np.float32)
    y = REGISTRY["max_pool2d"].reference(attrs, x)
    check_node(REGISTRY["max_pool2d_grad"], attrs, (x, y, normal(*y.shape)))


@pytest.mark.simulator
def test_a_maximum_of_nan_is_nan():
    x = np.zeros((1, 2, 4, 1), np.float32)
    x[0, 1, 0, 0] = np.nan
    node = node_of(REGISTRY["max_pool2d"], PoolAttrs((2, 2), (2, 2)), (x,))
    (y,) = run_calls(node, calls_of(node), (x,))
    np.testing.assert_array_equal(y.ravel(), [np.nan, 0])


@pytest.mark.simulator
def test_windows_may_leave_pixels_out():
    """With a stride beyond the window some pixels are in no window: their gradient is zero."""
    attrs = AvgPoolAttrs((1, 1), (2, 3))
    check_node(REGISTRY["avg_pool2d"], attrs, (normal(1, 5, 7, 2),))


def test_another_batch_size_is_the_same_kernel():
    op, attrs = REGISTRY["max_pool2d"], PoolAttrs((2, 2), (2, 2))
    first, second = (
        pooling.lower_pooling(node_of(op, attrs, (normal(batch, 4, 4, 3),)))[0]
        for batch in (1, 9)
    )
    assert first.kernel.key == second.kernel.key
