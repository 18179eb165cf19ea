import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.ir import DType
from numbanet.ops.arithmetic import ADD
from numbanet.ops.convolution import CONV2D, CONV2D_TRANSPOSE, Conv2dAttrs
from numbanet.ops.expression import Expression, Step
from numbanet.testing import check_gradients, evaluate, inputs_like

GEOMETRIES = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": (1, 3), "padding": (2, 0)},
    {"dilation": (2, 1), "padding": (1, 2)},
    {"groups": 2, "padding": 1},
    {"groups": 4, "stride": (2, 1), "dilation": 2, "padding": 2},
]


def numbers(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


def compute(function, *arrays):
    inputs = inputs_like(arrays)
    return evaluate(function(*inputs), dict(zip(inputs, arrays, strict=True)))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_convolution_and_its_gradients_agree_with_pytorch(geometry):
    torch = pytest.importorskip("torch")
    x, w = numbers(2, 9, 8, 4), numbers(8, 3, 2, 4 // geometry.get("groups", 1))
    images = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    weights = torch.tensor(w.transpose(0, 3, 1, 2), requires_grad=True)
    expected = torch.nn.functional.conv2d(images, weights, **geometry)
    seed = numbers(*expected.shape)
    expected.backward(torch.tensor(seed))

    def forward_and_gradients(x, w, seed):
        y = ops.conv2d(x, w, **geometry)
        return y, *differentiate([y], [x, w], [seed])

    results = compute(forward_and_gradients, x, w, seed.transpose(0, 2, 3, 1))
    for result, peer in zip(
        results, (expected.detach(), images.grad, weights.grad), strict=True
    ):
        np.testing.assert_allclose(
            result, peer.numpy().transpose(0, 2, 3, 1), rtol=1e-10, atol=1e-10
        )


@pytest.mark.parametrize(
    "geometry",
    [
        *GEOMETRIES,
        {"stride": 3, "padding": 1, "output_padding": (2, 1)},
        {"stride": 2, "dilation": (4, 3), "padding": (0, 1), "output_padding": (3, 2)},
    ],
)
def test_transposed_convolution_agrees_with_pytorch(geometry):
    torch = pytest.importorskip("torch")
    x, w = numbers(2, 4, 5, 4), numbers(4, 3, 2, 3)
    expected = torch.nn.functional.conv_transpose2d(
        torch.tensor(x.transpose(0, 3, 1, 2)),
        torch.tensor(w.transpose(0, 3, 1, 2)),
        **geometry,
    )
    result = compute(lambda x, w: ops.conv2d_transpose(x, w, **geometry), x, w)
    np.testing.assert_allclose(result, expected.numpy().transpose(0, 2, 3, 1), rtol=1e-10)


@pytest.mark.parametrize(
    "geometry", [{}, {"stride": 2, "padding": 2, "dilation": 2}, {"groups": 2, "padding": 1}]
)
def test_one_dimensional_convolution_agrees_with_pytorch(geometry):
    torch = pytest.importorskip("torch")
    x, w = numbers(3, 11, 4), numbers(6, 3, 4 // geometry.get("groups", 1))
    expected = torch.nn.functional.conv1d(
        torch.tensor(x.transpose(0, 2, 1)), torch.tensor(w.transpose(0, 2, 1)), **geometry
    )
    result = compute(lambda x, w: ops.conv1d(x, w, **geometry), x, w)
    np.testing.assert_allclose(result, expected.numpy().transpose(0, 2, 1), rtol=1e-10)


def test_a_convolution_computed_by_hand():
    x = np.arange(9.0).reshape(1, 3, 3, 1)
    w = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    y = compute(ops.conv2d, x, w)
    np.testing.assert_array_equal(y[0, :, :, 0], [[27, 37], [57, 67]])


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "padding"),
    [
        # What TensorFlow documents: the odd pixel comes at the end.
        (6, 3, 2, 1, (0, 1)),
        (5, 2, 1, 1, (0, 1)),
        (7, 3, 2, 1, (1, 1)),
        (5, 3, 1, 2, (2, 2)),
        (4, 1, 2, 1, (0, 0)),
        (2, 5, 3, 1, (1, 2)),
    ],
)
def test_same_padding_is_that_of_keras(size, kernel, stride, dilation, padding):
    x, w = inputs_like((np.zeros((1, size, 3, 1)), np.zeros((1, kernel, 1, 1))))
    y = ops.conv2d(x, w, stride=(stride, 1), dilation=(dilation, 1), padding="same")
    assert y.node.attrs == Conv2dAttrs((stride, 1), (padding, (0, 0)), (dilation, 1))
    assert y.shape == (1, -(-size // stride), 3, 1)


def test_same_padding_of_a_transposed_convolution_multiplies_the_size():
    x, w = inputs_like((np.zeros((1, 3, 4, 1)), np.zeros((1, 3, 3, 2))))
    assert ops.conv2d_transpose(x, w, stride=(2, 3), padding="same").shape == (1, 6, 12, 2)
    with pytest.raises(ArgumentError, match="output_padding"):
        ops.conv2d_transpose(x, w, stride=2, padding="same", output_padding=1)


@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_have_gradients(groups):
    def gradients(x, w, seed):
        y = ops.conv2d(x, w, stride=(2, 1), padding=((1, 0), (0, 1)), groups=groups)
        return differentiate([y], [x, w], [seed])

    x, w = numbers(1, 4, 3, 2), numbers(2, 3, 2, 2 // groups)
    check_gradients(gradients, x, w, numbers(1, 2, 3, 2))


def test_the_batch_size_may_be_unknown():
    x = ops.input_value("x", (None, 8, 6, 3))
    w = ops.input_value("w", (5, 3, 3, 3))
    y = ops.conv2d(x, w, stride=2, padding="same")
    assert y.shape == (None, 4, 3, 5)
    assert ops.conv2d_transpose(y, w, stride=2, padding="same").shape == x.shape
    series = ops.input_value("series", (None, 9, 3))
    assert ops.conv1d(series, ops.input_value("w", (4, 2, 3))).shape == (None, 8, 4)


def test_an_epilogue_is_applied_to_each_element():
    add_bias = Expression(
        (DType.FLOAT64,) * 2,
        (Step(ADD, ADD.cases[0].attrs, (0, 1), DType.FLOAT64),),
        (2,),
    )
    x, w, bias = numbers(2, 4, 4, 3), numbers(5, 2, 2, 3), numbers(5)

    def fused(x, w, bias):
        return CONV2D(x, w, bias, attrs=Conv2dAttrs(epilogue=add_bias))

    expected = compute(ops.conv2d, x, w) + bias
    np.testing.assert_allclose(compute(fused, x, w, bias), expected)


@pytest.mark.parametrize(
    ("x", "w", "geometry", "match"),
    [
        ((1, 4, 4, 3), (5, 3, 3, 4), {}, "channels that do not meet"),
        ((1, 4, 4, 4), (5, 3, 3, 2), {"groups": 2}, "channels that do not meet"),
        ((1, 4, 4, 4), (6, 3, 3, 3), {"groups": 0}, "channels that do not meet"),
        ((1, 4, 4, 3), (5, 5, 3, 3), {}, "cannot fit its window"),
        ((1, 4, 4, 3), (5, 3, 3, 3), {"dilation": 3}, "cannot fit its window"),
        ((1, 4, 3), (5, 3, 3, 3), {}, "N, H, W, C"),
        ((1, 4, 4, 3), (5, 3, 3), {}, "O, kh, kw"),
    ],
)
def test_shapes_that_do_not_meet(x, w, geometry, match):
    images, weights = inputs_like((np.zeros(x), np.zeros(w)))
    with pytest.raises(ShapeError, match=match):
        ops.conv2d(images, weights, **geometry)


@pytest.mark.parametrize(
    "geometry",
    [
        {"stride": 0},
        {"stride": (1, 2, 3)},
        {"padding": -1},
        {"padding": "valid!"},
        {"padding": ((1, 1), (1, -1))},
        {"dilation": 1.5},
        {"stride": (1, 1.5)},
        {"padding": 0.5},
    ],
)
def test_arguments_of_other_forms_are_refused(geometry):
    x, w = inputs_like((np.zeros((1, 4, 4, 1)), np.zeros((1, 2, 2, 1))))
    with pytest.raises(ArgumentError):
        ops.conv2d(x, w, **geometry)


def test_output_padding_stays_below_the_stride():
    x, w = inputs_like((np.zeros((1, 4, 4, 1)), np.zeros((1, 2, 2, 1))))
    with pytest.raises(ArgumentError, match="smaller than the stride"):
        ops.conv2d_transpose(x, w, stride=2, output_padding=2)


def test_dtypes_that_differ_are_refused():
    x, w = inputs_like((np.zeros((1, 4, 4, 1)), np.zeros((1, 2, 2, 1), np.float32)))
    with pytest.raises(DTypeError):
        ops.conv2d(x, w)


def test_flops_are_those_of_the_convolution_in_all_three():
    x, w = inputs_like((np.zeros((2, 5, 7, 6)), np.zeros((4, 3, 2, 3))))
    y = ops.conv2d(x, w, groups=2)
    dx, dw = differentiate([y], [x, w])
    flops = 2 * (2 * 3 * 6 * 4) * (3 * 2 * 3)
    assert CONV2D.flops(y.node) == CONV2D_TRANSPOSE.flops(dx.node) == flops
    assert dw.node.op.flops(dw.node) == flops
