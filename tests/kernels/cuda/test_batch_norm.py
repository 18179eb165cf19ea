"""Batch normalisation's sums on CUDA: against NumPy in float64, compiled for all targets."""

import numpy as np
import pytest

from numbanet.ir import NO_ATTRS, REGISTRY, DType
from numbanet.kernels.cuda import LOWERINGS, tuning
from numbanet.ops import input_value
from numbanet.ops.batch_norm import BatchNormAttrs
from tests.kernels.cuda.lowered import calls_of, check_node, node_of, normal, run_calls

ATTRS = BatchNormAttrs(0.9, 1e-3, unbiased=True)
SHAPES = [(1, 1), (1, 3), (3, 1), (9, 2), (2, 3, 7), (70, 3), (160, 5), (600, 1)]
"""With the simulator's small blocks: channels in one block and several, rows in one part and
several, and a last part with fewer rows than lanes."""


def moments_of(shape, dtype=np.float32):
    vectors = [normal(*shape[-1:], dtype=dtype, seed=seed) + dtype(3) for seed in (1, 2)]
    return [normal(*shape, dtype=dtype) + dtype(2), *vectors]


def sums_of(shape, dtype=np.float32):
    shapes = (shape, shape[-1:], shape[-1:], shape)
    return [normal(*each, dtype=dtype, seed=seed) for seed, each in enumerate(shapes)]


@pytest.mark.simulator
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_moments(shape, dtype):
    check_node(REGISTRY["batch_moments"], ATTRS, moments_of(shape, dtype))


@pytest.mark.simulator
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [*SHAPES, (0, 3)])
def test_batch_norm_sums(shape, dtype):
    tolerance = 1e-4 if dtype is np.float32 else None
    check_node(
        REGISTRY["batch_norm_sums"], NO_ATTRS, sums_of(shape, dtype), tolerance=tolerance
    )


@pytest.mark.simulator
def test_the_sizes_take_both_ways():
    """One launch where there is one part, two where there are several."""
    counts = {
        len(calls_of(node_of(REGISTRY["batch_moments"], ATTRS, moments_of(shape))))
        for shape in SHAPES
    }
    assert counts == {1, 2}


@pytest.mark.simulator
@pytest.mark.parametrize("shape", [(12, 3), (300, 2)])
def test_a_large_mean_leaves_a_small_variance_right(shape):
    x = (normal(*shape) * np.float32(0.01) + np.float32(1e4)).astype(np.float32)
    arrays = [x, *(np.zeros(shape[-1], np.float32) for _ in range(2))]
    node = node_of(REGISTRY["batch_moments"], BatchNormAttrs(0.0, 1e-12), arrays)
    mean, rstd, new_mean, var = run_calls(node, calls_of(node), arrays)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(axis=0), rtol=1e-7)
    np.testing.assert_array_equal(new_mean, mean)
    np.testing.assert_allclose(var, wide.var(axis=0), rtol=1e-5)
    np.testing.assert_allclose(rstd, 1 / wide.std(axis=0), rtol=1e-5)


@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.FLOAT64])
@pytest.mark.parametrize("rows", [64, 131072])
@pytest.mark.parametrize("columns", [1, 16, 100])
def test_compiled(assert_clean, monkeypatch, rows, columns, dtype):
    monkeypatch.setattr(tuning, "TUNING", tuning.REAL)
    x, g = (input_value(name, (rows, columns), dtype) for name in "xg")
    a, b = (input_value(name, (columns,), dtype) for name in "ab")
    moments = REGISTRY["batch_moments"].node(x, a, b, attrs=ATTRS)
    sums = REGISTRY["batch_norm_sums"].node(x, a, b, g)
    for node in (moments, sums):
        calls = LOWERINGS[node.op.name](node)
        assert len(calls) == (1 if rows == 64 else 2)
        for call in calls:
            assert_clean(call.kernel)
