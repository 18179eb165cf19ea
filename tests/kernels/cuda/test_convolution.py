"""CUDA's convolutions against NumPy in float64, on the simulator."""

import numpy as np
import pytest

from numbanet.kernels.cuda import convolution, weight_gradient
from numbanet.kernels.cuda.operands import Matrix
from numbanet.kernels.cuda.tiling import divide, tilings
from numbanet.ops.convolution import (
    CONV2D,
    CONV2D_TRANSPOSE,
    CONV2D_WEIGHT_GRAD,
    Conv2dAttrs,
    Conv2dTransposeAttrs,
    Conv2dWeightGradAttrs,
)
from tests.kernels.cuda.lowered import calls_of, case_arrays, check_node, node_of, normal
from tests.kernels.cuda.test_matmul import relu_of_sums

OPS = (CONV2D, CONV2D_TRANSPOSE, CONV2D_WEIGHT_GRAD)
CASES = [(op, number) for op in OPS for number in range(len(op.cases))]


@pytest.mark.simulator
@pytest.mark.parametrize(("op", "number"), CASES)
def test_agrees_with_its_reference(op, number):
    case = op.cases[number]
    check_node(op, case.attrs, case_arrays(case, np.float32))


@pytest.mark.simulator
@pytest.mark.parametrize("op", OPS)
def test_computes_in_float64(op):
    check_node(op, op.cases[4].attrs, case_arrays(op.cases[4], np.float64))


def check_all_three(x, w, attrs: Conv2dAttrs):
    """The convolution of images and weights of these shapes, and both its gradients."""
    node = node_of(CONV2D, attrs, (normal(*x), normal(*w)))
    y, geometry = node.output.type.sizes, attrs.geometry
    check_node(CONV2D, attrs, (normal(*x), normal(*w, seed=1)))
    to_images = Conv2dTransposeAttrs(*geometry, (x[1], x[2]))
    check_node(CONV2D_TRANSPOSE, to_images, (normal(*y), normal(*w, seed=1)))
    to_weights = Conv2dWeightGradAttrs(*geometry, (w[1], w[2]))
    check_node(CONV2D_WEIGHT_GRAD, to_weights, (normal(*x), normal(*y, seed=1)))


@pytest.mark.simulator
def test_loads_quads_of_channels():
    check_all_three((1, 4, 3, 8), (12, 2, 2, 8), Conv2dAttrs(padding=((1, 0), (0, 1))))


@pytest.mark.simulator
def test_loads_quads_of_grouped_channels():
    check_all_three((1, 3, 3, 8), (8, 2, 2, 4), Conv2dAttrs(stride=(2, 1), groups=2))


@pytest.mark.simulator
def test_multiplies_pixels_where_windows_are_pixels():
    check_all_three((1, 3, 3, 5), (6, 1, 1, 5), Conv2dAttrs())


def test_pixels_need_no_gathering():
    arrays = (normal(1, 3, 3, 5), normal(6, 1, 1, 5))
    node = node_of(CONV2D, Conv2dAttrs(), arrays)
    x, w = node.inputs
    g = convolution.Geometry.of(Conv2dAttrs(), x, w, node.output)
    operand = convolution.images("a", x, g.rows, g.columns, g.channels, follows_k=True)
    assert isinstance(operand, Matrix)


@pytest.mark.simulator
@pytest.mark.parametrize("op", [CONV2D, CONV2D_TRANSPOSE])
def test_applies_epilogues(op):
    x, w, y = (1, 3, 4, 4), (6, 2, 2, 2), (1, 2, 3, 6)
    relu = relu_of_sums(3)
    attrs = Conv2dAttrs(groups=2, epilogue=relu)
    result = y
    if op is CONV2D_TRANSPOSE:
        attrs = Conv2dTransposeAttrs(groups=2, size=(3, 4), epilogue=relu)
        x, result = y, x
    shapes = (x, w, (1,), (result[3],), result)
    check_node(op, attrs, [normal(*shape, seed=i) for i, shape in enumerate(shapes)])


@pytest.mark.simulator
def test_splits_the_pixels_of_weight_gradients(monkeypatch):
    def split(rows, columns, terms, count, dtype):
        return divide(tilings(dtype)[0], 3, terms)

    monkeypatch.setattr(weight_gradient, "choose", split)
    attrs = Conv2dWeightGradAttrs(groups=2, kernel=(2, 2))
    arrays = (normal(2, 4, 4, 4), normal(2, 3, 3, 6, seed=1))
    assert len(calls_of(node_of(CONV2D_WEIGHT_GRAD, attrs, arrays))) == 2
    check_node(CONV2D_WEIGHT_GRAD, attrs, arrays)


def test_another_batch_size_is_the_same_kernel():
    keys = {
        call.kernel.key
        for batch in (640, 641)
        for call in calls_of(
            node_of(CONV2D, Conv2dAttrs(), (normal(batch, 5, 5, 3), normal(4, 3, 3, 3)))
        )
    }
    assert len(keys) == 1


@pytest.mark.simulator
@pytest.mark.parametrize(
    ("x", "w", "attrs"),
    [
        ((2, 5, 6, 4), (3, 3, 3, 4), Conv2dAttrs((2, 2), ((1, 1), (1, 1)))),
        ((1, 7, 4, 3), (5, 2, 1, 3), Conv2dAttrs((3, 2), ((0, 2), (1, 0)))),
        ((1, 6, 7, 2), (4, 3, 2, 2), Conv2dAttrs((2, 3), dilation=(2, 2))),
        ((1, 6, 9, 2), (2, 2, 3, 1), Conv2dAttrs((2, 3), dilation=(3, 2), groups=2)),
        ((2, 4, 5, 3), (4, 1, 1, 3), Conv2dAttrs((2, 2))),
        ((1, 1, 5, 3), (4, 1, 3, 3), Conv2dAttrs((4, 4), ((0, 0), (1, 1)))),
    ],
)
def test_strides(x, w, attrs):
    """Data gradients fall into parts, some of them without a tap."""
    check_all_three(x, w, attrs)


@pytest.mark.simulator
def test_parts_of_a_data_gradient_apply_the_epilogue():
    attrs = Conv2dTransposeAttrs(
        (2, 2), ((1, 0), (0, 1)), size=(4, 5), epilogue=relu_of_sums(3)
    )
    shapes = ((1, 2, 3, 6), (6, 2, 1, 3), (1,), (3,), (1, 4, 5, 3))
    arrays = [normal(*shape, seed=i) for i, shape in enumerate(shapes)]
    assert len(calls_of(node_of(CONV2D_TRANSPOSE, attrs, arrays))) == 1
    check_node(CONV2D_TRANSPOSE, attrs, arrays)


def test_no_zeros_are_multiplied_for_strides():
    """The work of the parts is the convolution's, not as many times as the stride skips."""
    attrs = Conv2dTransposeAttrs((2, 2), ((1, 1), (1, 1)), size=(32, 32))
    arrays = (normal(8, 16, 16, 12), normal(12, 3, 3, 4))
    node = node_of(CONV2D_TRANSPOSE, attrs, arrays)
    flops = [work.flops for _, work in convolution.transpose_products(node, node.output)]
    flops_of_a_tap = 2 * 8 * 16 * 16 * 12 * 4
    assert sorted(each // flops_of_a_tap for each in flops) == [1, 2, 2, 4]


@pytest.mark.simulator
def test_parts_without_taps_are_zeros_of_the_same_launch():
    """Of a strided convolution of pixels three in four have no gradient but the epilogue's."""
    attrs = Conv2dTransposeAttrs((2, 2), size=(5, 6), epilogue=relu_of_sums(2))
    shapes = ((2, 3, 3, 8), (8, 1, 1, 4), (4,), (2, 5, 6, 4))
    arrays = [normal(*shape, seed=i) for i, shape in enumerate(shapes)]
    assert len(calls_of(node_of(CONV2D_TRANSPOSE, attrs, arrays))) == 1
    check_node(CONV2D_TRANSPOSE, attrs, arrays)


def test_states_its_work():
    (call,) = calls_of(node_of(CONV2D, Conv2dAttrs(), (normal(2, 5, 5, 3), normal(4, 3, 3, 3))))
    assert call.flops == 2 * 2 * 9 * 4 * 27
    assert call.nbytes == 4 * (2 * 25 * 3 + 4 * 27 + 2 * 9 * 4)
