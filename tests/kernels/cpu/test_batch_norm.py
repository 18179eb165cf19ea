"""Batch normalisation's sums over rows against NumPy in float64."""

import numpy as np
import pytest

from numbanet.ir import NO_ATTRS, REGISTRY
from numbanet.kernels.cpu.registry import LOWERINGS
from numbanet.ops.batch_norm import BatchNormAttrs
from tests.kernels.cpu.lowered import check, compute, leaves

ATTRS = BatchNormAttrs(0.9, 1e-3, unbiased=True)
SHAPES = [
    (1, 1),
    (1, 5),
    (5, 1),
    (3, 2, 7),
    (1000, 3),
    (2, 31, 33, 16),
    (4099, 17),
    (700, 255),
    (9, 256),
    (40, 600),
    (3, 1025),
]
"""Rows of one number and of more than a tile has columns; blocks full and not so full."""
KINDS = [(shape, np.float32) for shape in SHAPES] + [
    ((5, 3), np.float64),
    ((999, 70), np.float64),
]


def numbers(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def moments(x, mean=None, var=None, attrs=ATTRS):
    zero = np.zeros(x.shape[-1:], x.dtype)
    arrays = [x, zero if mean is None else mean, zero if var is None else var]
    return REGISTRY["batch_moments"].node(*leaves(arrays), attrs=attrs), arrays


@pytest.mark.parametrize(("shape", "dtype"), KINDS)
def test_batch_moments(shape, dtype):
    vectors = (numbers(shape[-1:], dtype, seed) + dtype(3) for seed in (1, 2))
    check(*moments(numbers(shape, dtype) + dtype(2), *vectors))


@pytest.mark.parametrize(("shape", "dtype"), [*KINDS, ((0, 4), np.float32)])
def test_batch_norm_sums(shape, dtype):
    shapes = (shape, shape[-1:], shape[-1:], shape)
    arrays = [numbers(each, dtype, seed) for seed, each in enumerate(shapes)]
    check(REGISTRY["batch_norm_sums"].node(*leaves(arrays)), arrays)


@pytest.mark.parametrize("columns", [1, 3, 300])
def test_a_large_mean_leaves_a_small_variance_right(columns):
    """To 1e-5 of the variance, which is 1e-12 of the squared mean: sums of squares, or one mean
    in float32 that blocks share, would leave nothing of it."""
    x = (numbers((5000, columns)) * np.float32(0.01) + np.float32(1e4)).astype(np.float32)
    node, arrays = moments(x, attrs=BatchNormAttrs(0.0, 1e-12))
    mean, rstd, new_mean, var = compute(node, arrays)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(axis=0), rtol=1e-7)
    np.testing.assert_array_equal(new_mean, mean)
    np.testing.assert_allclose(var, wide.var(axis=0), rtol=1e-5)
    np.testing.assert_allclose(rstd, 1 / wide.std(axis=0), rtol=1e-5)


def test_blocks_with_far_means_are_put_together():
    x = numbers((20000, 4))
    x[9000:] += 1000
    x[0] = 1e4
    node, arrays = moments(x, attrs=BatchNormAttrs(0.0, 1e-3))
    mean, _, _, var = compute(node, arrays)
    np.testing.assert_allclose(mean, x.mean(axis=0, dtype=np.float64), rtol=1e-5)
    np.testing.assert_allclose(var, x.var(axis=0, dtype=np.float64), rtol=1e-5)


def test_a_channel_with_nan_leaves_the_others_alone():
    x = numbers((3000, 5))
    x[2000, 3] = np.nan
    node, arrays = moments(x)
    mean, rstd, *_ = compute(node, arrays)
    for result in (mean, rstd):
        assert np.isnan(result).tolist() == [False, False, False, True, False]


@pytest.mark.parametrize("name", ["batch_moments", "batch_norm_sums"])
def test_kernels_depend_on_no_size(name):
    def keys(shape):
        vectors = [shape[-1:]] * 2
        shapes = [shape, *vectors, *([shape] if name == "batch_norm_sums" else [])]
        attrs = ATTRS if name == "batch_moments" else NO_ATTRS
        arrays = [np.empty(each, np.float32) for each in shapes]
        node = REGISTRY[name].node(*leaves(arrays), attrs=attrs)
        return [call.kernel.key for call in LOWERINGS[name](node)]

    assert keys((3, 5)) == keys((40, 7, 700))
