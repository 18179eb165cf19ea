"""CUDA's sliding-window weight gradients against NumPy in float64, on the simulator."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.ir import DType
from numbanet.kernels.cuda import LOWERINGS, weight_gradient
from numbanet.kernels.cuda.sliding import REAL
from numbanet.ops.convolution import CONV2D, CONV2D_WEIGHT_GRAD, Conv2dAttrs
from numbanet.ops.convolution import Conv2dWeightGradAttrs as Attrs
from tests.kernels.cuda.lowered import calls_of, check_node, node_of, normal, run_calls

SAME = ((1, 1), (1, 1))
CASES = {
    "same": ((2, 5, 4, 4), (4, 3, 3, 4), Conv2dAttrs(padding=SAME)),
    "valid, a last band of fewer rows": ((1, 9, 6, 4), (4, 3, 3, 4), Conv2dAttrs()),
    "several channels": ((1, 4, 4, 8), (12, 2, 2, 8), Conv2dAttrs()),
    "groups": ((1, 3, 4, 8), (8, 2, 3, 4), Conv2dAttrs(padding=((1, 0), (1, 1)), groups=2)),
    "strips": ((1, 3, 12, 4), (4, 1, 3, 4), Conv2dAttrs(padding=((0, 0), (1, 1)))),
    "strides": ((2, 9, 7, 4), (4, 3, 3, 4), Conv2dAttrs((2, 2), SAME)),
    "unequal strides": ((1, 8, 7, 4), (4, 2, 3, 4), Conv2dAttrs((3, 2), ((0, 1), (0, 0)))),
    "dilation": ((1, 7, 9, 4), (4, 3, 2, 4), Conv2dAttrs(dilation=(2, 3), padding=SAME)),
    "many taps": ((1, 5, 5, 4), (4, 4, 4, 4), Conv2dAttrs()),
    "a single row of outputs": ((3, 2, 3, 4), (4, 2, 2, 4), Conv2dAttrs()),
    "far outside": ((1, 2, 4, 4), (4, 2, 2, 4), Conv2dAttrs(padding=((3, 4), (3, 2)))),
}


def gradient_of(x, w, attrs: Conv2dAttrs):
    """Attributes of the weight gradient, and arrays for it."""
    y = node_of(CONV2D, attrs, (normal(*x), normal(*w))).output.type.sizes
    return Attrs(*attrs.geometry, (w[1], w[2])), (normal(*x), normal(*y, seed=1))


def slides(calls) -> bool:
    return "slide" in calls[0].kernel.name


@pytest.mark.simulator
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_its_reference(name):
    attrs, arrays = gradient_of(*CASES[name])
    assert slides(calls_of(node_of(CONV2D_WEIGHT_GRAD, attrs, arrays)))
    check_node(CONV2D_WEIGHT_GRAD, attrs, arrays)


@pytest.mark.simulator
def test_the_cases_take_both_ways():
    """One launch where there are as many blocks as channels, two where images are divided."""
    counts = {
        len(calls_of(node_of(CONV2D_WEIGHT_GRAD, *gradient_of(*case))))
        for case in CASES.values()
    }
    assert counts == {1, 2}


@pytest.mark.simulator
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_what_no_window_sees_does_not_count(number):
    """Rows and columns of the images beyond the last window."""
    attrs, (x, y) = gradient_of((1, 10, 10, 4), (4, 3, 3, 4), Conv2dAttrs((3, 2)))
    x[:, 9:] = x[:, :, 9:] = number
    node = node_of(CONV2D_WEIGHT_GRAD, attrs, (x, y))
    (dw,) = run_calls(node, calls_of(node), (x, y))
    assert slides(calls_of(node))
    assert np.isfinite(dw).all()


@pytest.mark.simulator
def test_infinities_stay_with_their_taps():
    """The last row meets only those taps that reach it, also where a chunk ends early."""
    attrs, (x, y) = gradient_of((1, 5, 4, 4), (4, 3, 3, 4), Conv2dAttrs(padding=SAME))
    x[:, -1] = np.inf
    node = node_of(CONV2D_WEIGHT_GRAD, attrs, (x, y))
    (dw,) = run_calls(node, calls_of(node), (x, y))
    assert np.isfinite(dw[:, 0]).all()
    assert not np.isfinite(dw[:, 1:]).any()


@pytest.mark.simulator
def test_two_runs_are_the_same_bits():
    attrs, arrays = gradient_of(*CASES["same"])
    node = node_of(CONV2D_WEIGHT_GRAD, attrs, arrays)
    (one,), (other,) = (run_calls(node, calls_of(node), arrays) for _ in range(2))
    np.testing.assert_array_equal(one, other)


NOT_SLID = {
    "pixels": ((2, 4, 4, 64), (64, 1, 1, 64), Conv2dAttrs()),
    "odd channels": ((2, 4, 4, 18), (16, 3, 3, 18), Conv2dAttrs()),
    "many channels": ((2, 8, 8, 512), (16, 3, 3, 512), Conv2dAttrs(padding=SAME)),
    "rows that no segment divides": ((2, 19, 21, 64), (16, 3, 3, 64), Conv2dAttrs()),
    "depthwise": ((2, 8, 8, 32), (32, 3, 3, 1), Conv2dAttrs(padding=SAME, groups=32)),
    "many taps": ((2, 12, 12, 16), (16, 7, 7, 16), Conv2dAttrs(padding=((3, 3), (3, 3)))),
}


@pytest.mark.parametrize("name", NOT_SLID)
def test_products_where_they_are_better(name):
    assert not slides(calls_of(node_of(CONV2D_WEIGHT_GRAD, *gradient_of(*NOT_SLID[name]))))


def lowered(n, size, channels, outputs, kernel=3, stride=1):
    x = ops.input_value("x", (n, size, size, channels), DType.FLOAT32)
    y = ops.input_value("y", (n, size // stride, size // stride, outputs), DType.FLOAT32)
    pad = (kernel // 2, kernel // 2)
    attrs = Attrs((stride, stride), (pad, pad), kernel=(kernel, kernel))
    return LOWERINGS["conv2d_weight_grad"](CONV2D_WEIGHT_GRAD.node(x, y, attrs=attrs))


def test_states_its_work():
    gradient, add = lowered(128, 16, 32, 32)
    assert gradient.flops == 2 * 128 * 16 * 16 * 32 * 32 * 9
    assert gradient.nbytes == 4 * (2 * 128 * 16 * 16 * 32 + 9 * 32 * 32)
    assert add.flops == gradient.tiles // 4 * 9 * 32 * 32


def test_another_batch_size_is_the_same_kernel():
    keys = {lowered(n, 16, 32, 32)[0].kernel.key for n in (1, 7, 128)}
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("size", "channels", "outputs", "kernel", "stride"),
    [
        (32, 16, 16, 3, 1),
        (8, 64, 64, 3, 1),
        (32, 16, 32, 3, 2),
        (28, 16, 16, 5, 1),
        (13, 16, 32, 3, 1),
    ],
)
def test_compiled(assert_clean, size, channels, outputs, kernel, stride):
    calls = lowered(128, size, channels, outputs, kernel, stride)
    assert slides(calls)
    assert_clean(calls[0].kernel)


def test_the_shapes_of_residual_networks_have_no_idle_warps():
    for size, channels, outputs, stride in (
        (32, 16, 16, 1),
        (16, 32, 32, 1),
        (8, 64, 64, 1),
        (32, 64, 64, 1),
        (32, 16, 32, 2),
        (16, 32, 64, 2),
    ):
        gradient = lowered(128, size, channels, outputs, 3, stride)[0]
        (source,) = gradient.kernel.parameters
        assert isinstance(source, weight_gradient.SlidingSource)
        cut = source.cut
        assert cut.idle == 1
        assert 128 * 264 <= gradient.tiles * cut.threads <= REAL.threads
