"""Convolutions and data gradients that measure their results: against NumPy in float64."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.ir import DType, Graph
from numbanet.kernels.cuda import LOWERINGS, batch_norm, convolution, measured
from numbanet.kernels.cuda.tiling import divide, tilings
from numbanet.kernels.kernel import Scratch
from numbanet.ops.batch_norm import BATCH_MOMENTS, BATCH_NORM_SUMS, BatchNormAttrs
from numbanet.ops.composite import MEASURED
from numbanet.ops.convolution import (
    CONV2D,
    CONV2D_TRANSPOSE,
    Conv2dAttrs,
    Conv2dTransposeAttrs,
)
from numbanet.passes.measured import measured as measure
from tests.kernels.cuda.lowered import calls_of, check_node, normal, run_calls
from tests.kernels.cuda.test_matmul import relu_of_sums

SAME = ((1, 1), (1, 1))
ATTRS = BatchNormAttrs(0.9, 1e-3, unbiased=True)
CASES = {
    "one tile that is not full": ((1, 3, 2, 3), (5, 1, 1, 3), Conv2dAttrs()),
    "several tiles, the last not full": (
        (2, 5, 6, 4),
        (11, 3, 3, 4),
        Conv2dAttrs(padding=SAME),
    ),
    "a single row": ((1, 1, 1, 3), (2, 1, 1, 3), Conv2dAttrs()),
    "strides": ((2, 9, 8, 2), (4, 3, 3, 2), Conv2dAttrs((2, 2), SAME)),
    "groups": ((1, 4, 5, 6), (9, 2, 2, 2), Conv2dAttrs(groups=3)),
    "many tiles of one channel": ((3, 14, 9, 1), (1, 1, 1, 1), Conv2dAttrs()),
}


def node_of(x, w, attrs, extras=(), dtype=DType.FLOAT32, moments=ATTRS):
    """A measured convolution of images and weights of these shapes."""
    shapes = {"x": x, "w": w, **{f"e{i}": extra for i, extra in enumerate(extras)}}
    values = [ops.input_value(name, shape, dtype) for name, shape in shapes.items()]
    y = CONV2D(*values, attrs=attrs)
    running = [ops.input_value(name, (w[0],), dtype) for name in ("mean", "var")]
    mean, rstd, *new = BATCH_MOMENTS(y, *running, attrs=moments)
    outputs = {"y": y, "mean": mean, "rstd": rstd, "new_mean": new[0], "new_var": new[1]}
    graph = measure(Graph((*values, *running), outputs))
    (node,) = (node for node in graph.nodes if node.op is MEASURED)
    return node


def gradient_of(x, w, attrs: Conv2dAttrs, extras=(), dtype=DType.FLOAT32):
    """A measured data gradient of a convolution of images and weights of these shapes."""
    plain = Conv2dAttrs(*attrs.geometry)
    y = CONV2D(ops.input_value("x", x), ops.input_value("w", w), attrs=plain).type.sizes
    shapes = {"y": y, "w": w, **{f"e{i}": extra for i, extra in enumerate(extras)}}
    values = [ops.input_value(name, shape, dtype) for name, shape in shapes.items()]
    size = Conv2dTransposeAttrs(*attrs.geometry, (x[1], x[2]), attrs.epilogue)
    g = CONV2D_TRANSPOSE(*values, attrs=size)
    of = [ops.input_value("of", x, dtype)]
    of += [ops.input_value(name, (x[3],), dtype) for name in ("mean", "rstd")]
    dgamma, dbeta = BATCH_NORM_SUMS(*of, g)
    graph = measure(Graph((*values, *of), {"g": g, "dgamma": dgamma, "dbeta": dbeta}))
    (node,) = (node for node in graph.nodes if node.op is MEASURED)
    return node


def arrays_of(node):
    types = [value.type for value in node.inputs]
    arrays = [normal(*t.sizes, dtype=t.dtype.numpy, seed=i) for i, t in enumerate(types)]
    return [*arrays[:-1], np.abs(arrays[-1])]


def check(node) -> None:
    check_node(MEASURED, node.attrs, arrays_of(node), tolerance=2e-5)


@pytest.mark.simulator
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_its_reference(name):
    node = node_of(*CASES[name])
    assert [call.kernel.name for call in calls_of(node)] == [
        "conv2d_measured_8x8",
        "merge_moments",
    ]
    check(node)


@pytest.mark.simulator
@pytest.mark.parametrize("name", CASES)
def test_data_gradients_agree_with_their_reference(name):
    node = gradient_of(*CASES[name])
    names = [call.kernel.name for call in calls_of(node)]
    if name == "strides":
        assert names[0].startswith("conv2d_transpose_8x8")
    else:
        assert names == ["conv2d_transpose_measured_8x8", "add_up"]
    check_node(MEASURED, node.attrs, arrays_of(node), tolerance=1e-4)


@pytest.mark.simulator
@pytest.mark.parametrize("build", [node_of, gradient_of])
def test_measures_what_the_epilogue_makes(build):
    x, w = (2, 4, 5, 3), (6, 2, 2, 3)
    attrs = Conv2dAttrs(epilogue=relu_of_sums(3))
    whole = (2, 3, 4, 6) if build is node_of else x
    node = build(x, w, attrs, extras=((), whole[-1:], whole))
    check_node(MEASURED, node.attrs, arrays_of(node), tolerance=1e-4)


@pytest.mark.simulator
def test_computes_in_float64():
    for build in (node_of, gradient_of):
        node = build(*CASES["groups"], dtype=DType.FLOAT64)
        check_node(MEASURED, node.attrs, arrays_of(node))


@pytest.mark.simulator
def test_measures_afterwards_where_the_sums_are_split(monkeypatch):
    def split(rows, columns, terms, count, dtype, **_):
        return divide(tilings(dtype)[0], 2, terms)

    for module in (measured, convolution):
        monkeypatch.setattr(module, "choose", split)
    node = node_of(*CASES["several tiles, the last not full"])
    names = [call.kernel.name for call in calls_of(node)]
    assert names[:3] == ["conv2d_8x8", "sum_partials", "moments"]
    check(node)
    node = gradient_of(*CASES["several tiles, the last not full"])
    names = [call.kernel.name for call in calls_of(node)]
    assert names[:3] == ["conv2d_transpose_8x8", "sum_partials", "batch_norm_sums"]
    check_node(MEASURED, node.attrs, arrays_of(node), tolerance=1e-4)


@pytest.mark.simulator
def test_a_large_mean_leaves_a_small_variance_right():
    node = node_of(
        (2, 7, 9, 1), (3, 1, 1, 1), Conv2dAttrs(), moments=BatchNormAttrs(0.0, 1e-12)
    )
    x = normal(2, 7, 9, 1) * np.float32(0.01) + np.float32(1e4)
    arrays = [x, np.ones((3, 1, 1, 1), np.float32), *np.zeros((2, 3), np.float32)]
    _, mean, rstd, new_mean, var = run_calls(node, calls_of(node), arrays)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(mean, np.full(3, wide.mean()), rtol=1e-7)
    np.testing.assert_array_equal(new_mean, mean)
    np.testing.assert_allclose(var, np.full(3, wide.var()), rtol=1e-5)
    np.testing.assert_allclose(rstd, np.full(3, 1 / wide.std()), rtol=1e-5)


@pytest.mark.simulator
def test_two_runs_are_the_same_bits():
    node = node_of(*CASES["strides"])
    arrays = arrays_of(node)
    first, second = (run_calls(node, calls_of(node), arrays) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def lowered(size, channels, outputs, dtype=DType.FLOAT32, build=node_of):
    attrs = Conv2dAttrs(padding=SAME)
    node = build((128, size, size, channels), (outputs, 3, 3, channels), attrs, dtype=dtype)
    return LOWERINGS[MEASURED.name](node)


def parts_of(call, channels) -> int:
    """Tiles down the result, each of which leaves its own moments."""
    means = call.arguments[3]
    assert isinstance(means, Scratch)
    return means.nbytes // (4 * channels)


def test_states_its_work():
    convolution, merge = lowered(32, 16, 16)
    rows, parts = 128 * 32 * 32, parts_of(convolution, 16)
    assert convolution.flops == 2 * rows * 16 * 144 + 4 * rows * 16
    images = 2 * rows * 16
    assert convolution.nbytes == 4 * (images + 16 * 144 + 2 * parts * 16)
    assert merge.nbytes == 4 * (2 * parts * 16 + 6 * 16)


def test_channels_are_put_together_by_many_blocks():
    """No thread of the launch that merges has many parts one after the other."""
    for size, channels in ((32, 16), (16, 32), (8, 64)):
        convolution, merge = lowered(size, channels, channels)
        parts = parts_of(convolution, channels)
        lanes = merge.kernel.threads * merge.tiles // channels
        assert parts <= batch_norm.IN_FLIGHT * lanes


def test_data_gradients_state_their_work():
    gradient, add = lowered(16, 32, 32, build=gradient_of)
    rows = 128 * 16 * 16
    assert gradient.flops == 2 * rows * 32 * 288 + 4 * rows * 32
    tiles = gradient.arguments[6]
    assert isinstance(tiles, Scratch)
    images = 3 * rows * 32
    assert gradient.nbytes == 4 * (images + 32 * 288 + 2 * 32) + 2 * tiles.nbytes
    assert add.nbytes == 2 * tiles.nbytes + 2 * 4 * 32


@pytest.mark.parametrize(
    ("channels", "dtype"), [(16, DType.FLOAT32), (64, DType.FLOAT32), (16, DType.FLOAT64)]
)
@pytest.mark.parametrize("build", [node_of, gradient_of])
def test_compiled(assert_clean, channels, dtype, build):
    for call in lowered(512 // channels, channels, channels, dtype, build):
        assert_clean(call.kernel)
