import numpy as np
import pytest

from numbanet.ir import NO_ATTRS, REGISTRY, DType
from numbanet.kernels.cpu.registry import LOWERINGS
from numbanet.ops.convolution import (
    CONV2D,
    CONV2D_TRANSPOSE,
    CONV2D_WEIGHT_GRAD,
    Conv2dAttrs,
    Conv2dTransposeAttrs,
    Conv2dWeightGradAttrs,
)
from numbanet.ops.expression import Expression, Step
from tests.kernels.cpu.lowered import check, compute, leaves

NONE = ((0, 0), (0, 0))
ONE = ((1, 1), (1, 1))

CASES = {
    # images, weights, attributes
    "lenet first": ((3, 28, 28, 1), (16, 3, 3, 1), Conv2dAttrs()),
    "lenet second": ((2, 13, 13, 16), (32, 3, 3, 16), Conv2dAttrs()),
    "residual": ((2, 32, 32, 16), (16, 3, 3, 16), Conv2dAttrs(padding=ONE)),
    "few patches": ((1, 4, 4, 32), (48, 3, 3, 32), Conv2dAttrs(padding=ONE)),
    "many images of few patches": ((37, 8, 8, 16), (16, 3, 3, 16), Conv2dAttrs(padding=ONE)),
    "patches that reach over": ((3, 22, 13, 32), (32, 3, 3, 32), Conv2dAttrs(padding=ONE)),
    "patches inside": ((3, 18, 30, 32), (16, 3, 3, 32), Conv2dAttrs()),
    "patches with uneven padding": (
        (3, 20, 19, 16),
        (32, 3, 3, 16),
        Conv2dAttrs(padding=((0, 2), (2, 1))),
    ),
    "patches of many channels": ((8, 8, 16, 80), (272, 3, 3, 80), Conv2dAttrs(padding=ONE)),
    "strided": ((2, 16, 15, 5), (33, 3, 3, 5), Conv2dAttrs((2, 2), ONE)),
    "pointwise": ((2, 9, 7, 6), (5, 1, 1, 6), Conv2dAttrs()),
    "pointwise strided": ((2, 9, 8, 6), (5, 1, 1, 6), Conv2dAttrs((2, 3))),
    "one of all": ((1, 1, 1, 1), (1, 1, 1, 1), Conv2dAttrs()),
    "no images": ((0, 4, 4, 2), (3, 3, 3, 2), Conv2dAttrs()),
    "no images, one channel": ((0, 4, 4, 1), (3, 3, 3, 1), Conv2dAttrs()),
    "asymmetric": ((1, 7, 6, 3), (4, 2, 3, 3), Conv2dAttrs((1, 2), ((0, 2), (3, 1)))),
    "dilated": ((2, 12, 11, 3), (4, 3, 3, 3), Conv2dAttrs((1, 1), ONE, (2, 3))),
    "dilated and strided": ((1, 17, 18, 2), (3, 3, 4, 2), Conv2dAttrs((2, 3), ONE, (3, 2))),
    "even dilation and stride": (
        (1, 17, 18, 2),
        (3, 3, 4, 2),
        Conv2dAttrs((2, 4), ONE, (2, 2)),
    ),
    "grouped": ((2, 7, 8, 6), (9, 3, 2, 2), Conv2dAttrs((1, 2), ONE, groups=3)),
    "grouped and dilated": ((1, 7, 8, 4), (6, 2, 3, 2), Conv2dAttrs((1, 2), ONE, (2, 3), 2)),
    "depthwise": ((2, 9, 8, 37), (37, 3, 3, 1), Conv2dAttrs((1, 1), ONE, groups=37)),
    "depthwise turned and spread": (
        (2, 11, 12, 5),
        (5, 3, 2, 1),
        Conv2dAttrs((2, 3), ((0, 2), (1, 1)), (1, 2), 5),
    ),
    "depthwise twofold": ((1, 6, 5, 3), (6, 3, 3, 1), Conv2dAttrs((2, 1), ONE, groups=3)),
    "much padding": ((1, 3, 2, 2), (3, 2, 2, 2), Conv2dAttrs((3, 3), ((4, 5), (5, 3)))),
    "larger stride than window": ((1, 11, 13, 2), (3, 2, 1, 2), Conv2dAttrs((4, 3))),
    "many strips": ((1, 150, 60, 9), (4, 5, 3, 9), Conv2dAttrs((2, 1), ((2, 2), (1, 1)))),
}


def arrays_of(name, dtype="float32"):
    """Images, weights, and something of the output's shape."""
    shape, weights, attrs = CASES[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(dtype)
    w = rng.standard_normal(weights).astype(dtype)
    y = CONV2D.node(*leaves([x, w]), attrs=attrs).output.type.sizes
    return x, w, rng.standard_normal(y).astype(dtype), attrs


@pytest.mark.parametrize("name", CASES)
def test_convolutions(name):
    x, w, _, attrs = arrays_of(name)
    check(CONV2D.node(*leaves([x, w]), attrs=attrs), [x, w])


@pytest.mark.parametrize("name", CASES)
def test_data_gradients(name):
    x, w, g, attrs = arrays_of(name)
    attrs = Conv2dTransposeAttrs(*attrs.geometry, x.shape[1:3])
    check(CONV2D_TRANSPOSE.node(*leaves([g, w]), attrs=attrs), [g, w])


@pytest.mark.parametrize("name", CASES)
def test_weight_gradients(name):
    x, w, g, attrs = arrays_of(name)
    attrs = Conv2dWeightGradAttrs(*attrs.geometry, w.shape[1:3])
    check(CONV2D_WEIGHT_GRAD.node(*leaves([x, g]), attrs=attrs), [x, g], rtol=1e-4)


def test_double_precision():
    x, w, g, attrs = arrays_of("strided", "float64")
    check(CONV2D.node(*leaves([x, w]), attrs=attrs), [x, w])
    transpose = Conv2dTransposeAttrs(*attrs.geometry, x.shape[1:3])
    check(CONV2D_TRANSPOSE.node(*leaves([g, w]), attrs=transpose), [g, w])
    weight_grad = Conv2dWeightGradAttrs(*attrs.geometry, w.shape[1:3])
    check(CONV2D_WEIGHT_GRAD.node(*leaves([x, g]), attrs=weight_grad), [x, g])


@pytest.mark.parametrize("name", ["residual", "patches that reach over"])
def test_patches_in_double_precision(name):
    x, w, g, attrs = arrays_of(name, "float64")
    check(CONV2D.node(*leaves([x, w]), attrs=attrs), [x, w])
    transpose = Conv2dTransposeAttrs(*attrs.geometry, x.shape[1:3])
    check(CONV2D_TRANSPOSE.node(*leaves([g, w]), attrs=transpose), [g, w])


def test_patches_are_as_exact_as_sums():
    """Of 64 channels, to 2e-6 of the largest result, where a plain sum in float32 is as far."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((4, 16, 16, 64)).astype(np.float32)
    w = rng.standard_normal((64, 3, 3, 64)).astype(np.float32)
    node = CONV2D.node(*leaves([x, w]), attrs=Conv2dAttrs(padding=ONE))
    assert "winograd" in [call.kernel.name for call in LOWERINGS["conv2d"](node)]
    (y,) = compute(node, [x, w])
    expected = CONV2D.reference(node.attrs, x.astype(np.float64), w.astype(np.float64))
    assert np.abs(y - expected).max() < 2e-6 * np.abs(expected).max()


def test_an_infinite_pixel_is_not_lost():
    x = np.ones((16, 8, 8, 16), np.float32)
    x[3, 4, 4, 3] = np.inf
    w = np.ones((16, 3, 3, 16), np.float32)
    (y,) = compute(CONV2D.node(*leaves([x, w]), attrs=Conv2dAttrs(padding=ONE)), [x, w])
    assert not np.isfinite(y[3, 3:6, 3:6]).any()
    assert np.isfinite(np.delete(y, 3, axis=0)).all()


PATCHES = [name for name in CASES if "patches" in name or name == "residual"]


def test_the_cases_of_patches_are_computed_so():
    """But for too few of them, whose transformed weights would cost more than they save."""

    def is_by_patches(name):
        x, w, _, attrs = arrays_of(name)
        calls = LOWERINGS["conv2d"](CONV2D.node(*leaves([x, w]), attrs=attrs))
        return "winograd" in [call.kernel.name for call in calls]

    assert {name for name in CASES if is_by_patches(name)} == {*PATCHES} - {"few patches"}


def epilogue():
    """Sum, times a number, plus a vector, plus a tensor, or 0 if that is less."""
    steps = (("multiply", 0, 1), ("add", 4, 2), ("add", 5, 3), ("relu", 6))
    made = tuple(
        Step(REGISTRY[name], NO_ATTRS, tuple(args), DType.FLOAT32) for name, *args in steps
    )
    return Expression((DType.FLOAT32,) * 4, made, (7,))


@pytest.mark.parametrize(
    "name", ["lenet first", "strided", "grouped", "many strips", "patches that reach over"]
)
def test_epilogues(name):
    x, w, y, attrs = arrays_of(name)
    rng = np.random.default_rng(1)
    extras = [np.float32(0.5), rng.standard_normal(len(w)).astype("float32"), y]
    extras[0] = np.asarray(extras[0])
    attrs = Conv2dAttrs(*attrs.geometry, epilogue=epilogue())
    arrays = [x, w, *extras]
    check(CONV2D.node(*leaves(arrays), attrs=attrs), arrays)


@pytest.mark.parametrize(
    "name", ["lenet first", "strided", "pointwise strided", "patches that reach over"]
)
def test_epilogues_of_data_gradients(name):
    x, w, g, attrs = arrays_of(name)
    rng = np.random.default_rng(2)
    vector = rng.standard_normal(x.shape[3]).astype("float32")
    extras = [np.asarray(np.float32(0.5)), vector, x]
    attrs = Conv2dTransposeAttrs(*attrs.geometry, x.shape[1:3], epilogue())
    arrays = [g, w, *extras]
    check(CONV2D_TRANSPOSE.node(*leaves(arrays), attrs=attrs), arrays)
