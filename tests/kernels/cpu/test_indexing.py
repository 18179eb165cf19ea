"""Indexing kernels against NumPy: every element type, repeated ids, ties and NaN."""

import numpy as np
import pytest

from numbanet.ir import REGISTRY
from numbanet.kernels.cpu.registry import LOWERINGS
from numbanet.ops.indexing import ArgmaxAttrs, GatherBatchAttrs, ScatterAddAttrs
from tests.kernels.cpu.lowered import check, compute, leaves

DTYPES = ["float32", "float64", "int32", "int64", "uint8", "bool"]
IDS = ["int64", "int32", "uint8"]


def numbers(shape, dtype="float32"):
    return np.random.default_rng(0).integers(-100, 100, shape).astype(dtype)


def ids_of(shape, count, dtype="int64"):
    return np.random.default_rng(1).integers(0, count, shape).astype(dtype)


def node_of(name, arrays, attrs=None):
    return REGISTRY[name].node(*leaves(arrays), **({"attrs": attrs} if attrs else {}))


def check_exactly(name, arrays, attrs=None):
    """Nothing is rounded: compared as it is, and however tiles are shared."""
    node = node_of(name, arrays, attrs)
    expected = REGISTRY[name].reference(attrs, *arrays)
    for is_backwards in (False, True):
        (result,) = compute(node, arrays, is_backwards=is_backwards)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", [(), (1,), (3,), (5, 7), (4000,)])
def test_take(row, dtype, ids):
    check_exactly("take", [numbers((9, *row), dtype), ids_of((2, 13), 9, ids)])


def test_take_of_many_single_elements():
    check_exactly("take", [numbers((500,)), ids_of((20_000,), 500)])


@pytest.mark.parametrize(("table", "ids"), [((5, 2), (0,)), ((5, 0), (3,)), ((5, 2), ())])
def test_take_of_nothing_and_of_one(table, ids):
    check_exactly("take", [numbers(table), ids_of(ids, 5)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", [(), (28, 28), (3001,)])
def test_gather_batch(row, dtype):
    data, permutation = numbers((41, *row), dtype), np.random.default_rng(2).permutation(41)
    for start, size in ((0, 41), (7, 20), (40, 1), (41, 0)):
        check_exactly(
            "gather_batch", [data, permutation, np.int64(start)], GatherBatchAttrs(size)
        )


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("rows", "row"), [(1, ()), (7, ()), (7, (3,)), (100, (65,)), (2, (9000,)), (200, (5, 31))]
)
def test_scatter_add(rows, row, dtype, ids):
    g = np.random.default_rng(3).standard_normal((3, 67, *row)).astype(dtype)
    attrs = ScatterAddAttrs(rows)
    arrays = [g, ids_of((3, 67), rows, ids)]
    check(node_of("scatter_add", arrays, attrs), arrays)


@pytest.mark.parametrize("rows", [1, 500])
def test_scatter_add_of_nothing_is_zero(rows):
    check_exactly("scatter_add", [numbers((0, 40)), ids_of((0,), rows)], ScatterAddAttrs(rows))


def test_scatter_add_of_empty_rows():
    check_exactly("scatter_add", [numbers((3, 0)), ids_of((3,), 5)], ScatterAddAttrs(5))


def test_scatter_add_adds_in_the_order_of_the_ids():
    """Rounding tells the order: 2 ** 24 swallows a one that comes after it."""
    ids = np.zeros(3, np.int64)
    for column, total in (([2**24, 1, 1], 2**24), ([1, 1, 2**24], 2**24 + 2)):
        g = np.array(column, np.float32)[:, np.newaxis].repeat(500, 1)
        (result,) = compute(node_of("scatter_add", [g, ids], ScatterAddAttrs(1)), [g, ids])
        np.testing.assert_array_equal(result, np.full((1, 500), total, np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((1,), 0),
        ((1000,), 0),
        ((33, 10), 1),
        ((9, 64), 1),
        ((9, 65), 1),
        ((3, 9000), 1),
        ((33, 10), 0),
        ((5, 600), 0),
        ((4, 5, 6), 1),
        ((3, 2, 257), 1),
        ((2, 3, 1), 2),
        ((0, 4), 1),
    ],
)
def test_argmax(shape, axis, dtype):
    """Among these numbers there are many ties."""
    check_exactly("argmax", [numbers(shape, dtype)], ArgmaxAttrs(axis))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1])
def test_argmax_of_extremes(axis, dtype):
    x = numbers((200, 200), dtype)
    x[3, 5] = x[3, 150] = x[77, 5] = np.nan
    x[10] = -np.inf
    x[:, 10] = np.inf
    x[11] = np.nan
    check_exactly("argmax", [x], ArgmaxAttrs(axis))


@pytest.mark.parametrize("name", ["take", "gather_batch", "scatter_add", "argmax"])
def test_cases(name):
    for case in REGISTRY[name].cases:
        arrays = [
            np.random.default_rng(0).uniform(a.low, a.high, a.shape).astype(str(a.dtype))
            for a in case.args
        ]
        if name == "gather_batch":
            arrays[2] = np.int64(0)
        node = REGISTRY[name].node(*leaves(arrays), attrs=case.attrs)
        check(node, arrays)


def test_the_kernel_does_not_depend_on_the_size_of_the_batch():
    first, second = (
        LOWERINGS["take"](node_of("take", [numbers((7, 3)), ids_of((count,), 7)]))[0]
        for count in (3, 4000)
    )
    assert first.kernel.key == second.kernel.key
