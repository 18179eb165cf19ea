"""CUDA's reading and adding of rows by index against NumPy, on the simulator."""

import numpy as np
import pytest

from numbanet.ir import NO_ATTRS, REGISTRY
from numbanet.ops.indexing import GatherBatchAttrs, ScatterAddAttrs
from tests.kernels.cuda.lowered import (
    calls_of,
    case_arrays,
    check_node,
    node_of,
    normal,
    run_calls,
)

NAMES = ("take", "scatter_add", "gather_batch")
CASES = [(name, number) for name in NAMES for number in range(len(REGISTRY[name].cases))]


@pytest.mark.simulator
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "number"), CASES)
def test_agrees_with_its_reference(name, number, dtype):
    op = REGISTRY[name]
    check_node(op, op.cases[number].attrs, case_arrays(op.cases[number], dtype))


@pytest.mark.simulator
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, bool])
def test_takes_rows_of_any_dtype(dtype):
    table = np.arange(12).reshape(4, 3).astype(dtype)
    check_node(REGISTRY["take"], NO_ATTRS, (table, np.array([3, 3, 0], np.int32)))


@pytest.mark.simulator
def test_adds_rows_that_are_longer_than_a_block():
    g, ids = normal(21, 11), np.random.default_rng(0).integers(0, 3, 21)
    check_node(REGISTRY["scatter_add"], ScatterAddAttrs(4), (g, ids))


@pytest.mark.simulator
def test_equal_ids_are_added_in_their_order():
    """1e8 + 1 is 1e8 in float32: another order would give another sum."""
    g = np.array([1, 1e8, -1e8, 1], np.float32)
    ids = np.zeros(4, np.int64)
    node = node_of(REGISTRY["scatter_add"], ScatterAddAttrs(1), (g, ids))
    (total,) = run_calls(node, calls_of(node), (g, ids))
    assert total == np.float32(1)


@pytest.mark.simulator
@pytest.mark.parametrize("row", [4, 8, 6])
def test_rows_of_quads_are_read_in_quads(row):
    table, ids = normal(5, row), np.array([4, 0, 4, -9, 77])
    check_node(REGISTRY["take"], NO_ATTRS, (table, ids))
    arrays = (normal(9, row // 2, 2), np.random.default_rng(0).permutation(9), np.int64(2))
    check_node(REGISTRY["gather_batch"], GatherBatchAttrs(3), arrays)


@pytest.mark.parametrize(("row", "threads_of_a_row"), [(784, 196), (783, 783)])
def test_a_thread_reads_a_quad_where_it_can(row, threads_of_a_row):
    arrays = (normal(10, row), np.arange(10), np.int64(0))
    (call,) = calls_of(node_of(REGISTRY["gather_batch"], GatherBatchAttrs(7), arrays))
    assert call.arguments[-2:] == (7 * threads_of_a_row, threads_of_a_row)
