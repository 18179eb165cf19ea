"""Pooling kernels against NumPy in float64: windows inside, at edges, overlapping, apart."""

import numpy as np
import pytest

from numbanet.ir import REGISTRY
from numbanet.kernels.cpu.registry import LOWERINGS
from numbanet.ops.pooling import AvgPoolAttrs, AvgPoolGradAttrs, PoolAttrs
from tests.kernels.cpu.lowered import check, compute, leaves

NONE = ((0, 0), (0, 0))
POOLS = [
    ((3, 26, 26, 16), (2, 2), (2, 2), NONE),
    ((2, 7, 9, 5), (2, 2), (2, 2), NONE),
    ((2, 6, 40, 1), (2, 2), (2, 2), NONE),
    ((2, 7, 41, 3), (2, 2), (2, 2), NONE),
    ((2, 4, 20, 4), (2, 2), (2, 2), NONE),
    ((1, 4, 4, 70), (2, 2), (2, 2), NONE),
    ((2, 9, 8, 3), (3, 3), (2, 2), ((1, 1), (1, 1))),
    ((1, 14, 15, 33), (3, 3), (2, 2), ((1, 1), (1, 1))),
    ((2, 5, 5, 300), (3, 2), (1, 1), ((0, 2), (1, 0))),
    ((2, 7, 7, 40), (7, 7), (7, 7), NONE),
    ((1, 11, 9, 2), (5, 4), (5, 4), ((2, 3), (1, 3))),
    ((1, 10, 13, 6), (1, 2), (3, 4), ((0, 0), (0, 1))),
    ((1, 3, 30, 2), (2, 5), (2, 3), ((1, 1), (4, 4))),
    ((1, 1, 1, 1), (1, 1), (1, 1), NONE),
    ((1, 2, 2, 1), (5, 5), (1, 1), ((4, 4), (4, 4))),
    ((0, 4, 4, 2), (2, 2), (2, 2), NONE),
    ((1, 300, 60, 8), (2, 3), (2, 3), ((1, 1), (0, 2))),
]


def numbers(shape, dtype="float32"):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def ties(shape, dtype="float32"):
    return np.random.default_rng(0).integers(0, 3, shape).astype(dtype)


def node_of(name, arrays, attrs):
    return REGISTRY[name].node(*leaves(arrays), attrs=attrs)


@pytest.mark.parametrize(
    ("shape", "window", "stride", "padding", "dtype"),
    [(*pool, "float32") for pool in POOLS] + [(*pool, "float64") for pool in POOLS[1::5]],
)
class TestPooling:
    def test_maxima(self, shape, window, stride, padding, dtype):
        x = numbers(shape, dtype)
        check(node_of("max_pool2d", [x], PoolAttrs(window, stride, padding)), [x])

    def test_first_of_equal_maxima_takes_the_gradient(
        self, shape, window, stride, padding, dtype
    ):
        attrs, x = PoolAttrs(window, stride, padding), ties(shape, dtype)
        y = REGISTRY["max_pool2d"].reference(attrs, x)
        arrays = [x, y, numbers(y.shape, dtype)]
        check(node_of("max_pool2d_grad", arrays, attrs), arrays)

    @pytest.mark.parametrize("counts_all", [False, True])
    def test_means(self, shape, window, stride, padding, dtype, counts_all):
        x, attrs = numbers(shape, dtype), AvgPoolAttrs(window, stride, padding, counts_all)
        check(node_of("avg_pool2d", [x], attrs), [x])

    @pytest.mark.parametrize("counts_all", [False, True])
    def test_gradient_of_means(self, shape, window, stride, padding, dtype, counts_all):
        forward = AvgPoolAttrs(window, stride, padding, counts_all)
        pooled = node_of("avg_pool2d", [numbers(shape, dtype)], forward).output.type.sizes
        g = numbers(pooled, dtype)
        attrs = AvgPoolGradAttrs(window, stride, padding, counts_all, shape[1:3])
        check(node_of("avg_pool2d_grad", [g], attrs), [g])


@pytest.mark.parametrize("channels", [1, 3, 20])
@pytest.mark.parametrize("padding", [NONE, ((1, 1), (1, 1))])
def test_maxima_of_extremes(channels, padding):
    """NaN is the maximum of its windows; windows of minus infinity have one too."""
    x = numbers((1, 12, 12, channels))
    x[0, 2, 2] = x[0, 7, 7, 0] = np.nan
    x[0, 4:6, 4:6] = -np.inf
    x[0, :2, :2] = -np.inf
    x[0, 9, 9] = np.inf
    attrs = PoolAttrs((2, 2), (2, 2), padding)
    (y,) = compute(node_of("max_pool2d", [x], attrs), [x])
    np.testing.assert_array_equal(y, REGISTRY["max_pool2d"].reference(attrs, x))
    arrays = [x, y, numbers(y.shape)]
    (dx,) = compute(node_of("max_pool2d_grad", arrays, attrs), arrays)
    expected = REGISTRY["max_pool2d_grad"].reference(attrs, *arrays)
    np.testing.assert_array_equal(dx, expected)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_agrees_with_torch(name):
    torch = pytest.importorskip("torch")
    x = numbers((2, 11, 13, 6))
    last = torch.tensor(x).movedim(-1, 1).requires_grad_()
    kinds = {"max_pool2d": PoolAttrs, "avg_pool2d": AvgPoolAttrs}
    padding = ((1, 1), (1, 1))
    more = {"count_include_pad": False} if name == "avg_pool2d" else {}
    attrs = kinds[name]((3, 3), (2, 2), padding, **more)
    expected = getattr(torch.nn.functional, name)(last, 3, 2, 1, **more)
    (y,) = compute(node_of(name, [x], attrs), [x])
    np.testing.assert_allclose(y, expected.movedim(1, -1).detach(), rtol=1e-6, atol=1e-6)
    g = numbers(y.shape)
    expected.backward(torch.tensor(g).movedim(-1, 1))
    if name == "max_pool2d":
        arrays = [x, y, g]
    else:
        arrays, attrs = [g], AvgPoolGradAttrs((3, 3), (2, 2), padding, False, x.shape[1:3])
    (dx,) = compute(node_of(f"{name}_grad", arrays, attrs), arrays)
    np.testing.assert_allclose(dx, last.grad.movedim(1, -1), rtol=1e-6, atol=1e-6)


def test_the_kernel_does_not_depend_on_the_images_but_for_their_channels():
    attrs = PoolAttrs((2, 2), (2, 2))
    first, second = (
        LOWERINGS["max_pool2d"](node_of("max_pool2d", [numbers(shape)], attrs))[0]
        for shape in ((2, 8, 8, 16), (5, 26, 30, 16))
    )
    assert first.kernel.key == second.kernel.key
