"""Convolutions: values and gradients are PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet import nn, ops
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.ir import DType
from numbanet.nn import functional as F  # noqa: N812
from numbanet.tensors.tensor import Tensor
from numbanet.testing import inputs_like
from tests.nn.graphs import compare_graphs
from tests.nn.parity import compare
from tests.nn.twins import as_text

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape)


SERIES, ROW = normal(2, 4, 11), normal(4, 11)
IMAGES, IMAGE = normal(2, 4, 9, 8), normal(4, 9, 8)
SMALL = normal(2, 4, 3, 4)

FUNCTIONS = [
    # name, input, weight, bias, further arguments
    ("F.conv1d", SERIES, normal(6, 4, 3), normal(6), {}),
    ("F.conv1d", ROW, normal(6, 4, 3), None, {"stride": 2, "padding": 1}),
    ("F.conv1d", SERIES, normal(6, 2, 2), normal(6), {"groups": 2, "dilation": (3,)}),
    ("F.conv1d", SERIES, normal(5, 4, 4), normal(5), {"padding": "same", "dilation": 2}),
    ("F.conv1d", SERIES[:1, :, :1], normal(1, 4, 1), normal(1), {"padding": "valid"}),
    ("F.conv2d", IMAGES, normal(5, 4, 3, 2), normal(5), {}),
    ("F.conv2d", IMAGE, normal(5, 4, 3, 3), normal(5), {"stride": (2, 3), "padding": (0, 2)}),
    ("F.conv2d", IMAGES, normal(6, 2, 3, 2), None, {"groups": 2, "dilation": (2, 1)}),
    ("F.conv2d", IMAGES, normal(8, 1, 3, 3), normal(8), {"groups": 4, "padding": 1}),
    (
        "F.conv2d",
        IMAGES,
        normal(3, 4, 4, 3),
        normal(3),
        {"padding": "same", "dilation": (1, 2)},
    ),
    ("F.conv2d", IMAGES, normal(3, 4, 1, 1), normal(3), {"padding": "valid", "stride": 4}),
    ("F.conv_transpose1d", SERIES, normal(4, 3, 3), normal(3), {}),
    (
        "F.conv_transpose1d",
        ROW,
        normal(4, 3, 4),
        normal(3),
        {"stride": 3, "padding": 2, "output_padding": 2},
    ),
    (
        "F.conv_transpose1d",
        SERIES,
        normal(4, 3, 3),
        normal(6),
        {"groups": 2, "dilation": (2,), "stride": (2,)},
    ),
    ("F.conv_transpose2d", SMALL, normal(4, 3, 3, 2), normal(3), {}),
    (
        "F.conv_transpose2d",
        SMALL[0],
        normal(4, 2, 3, 3),
        None,
        {"stride": 2, "padding": 1, "output_padding": 1},
    ),
    (
        "F.conv_transpose2d",
        SMALL,
        normal(4, 3, 2, 3),
        normal(6),
        {"stride": (3, 2), "output_padding": (2, 1), "padding": (0, 1), "groups": 2},
    ),
    # More rows than any convolution drops: no stride, but dilation.
    (
        "F.conv_transpose2d",
        SMALL,
        normal(4, 3, 2, 2),
        normal(3),
        {"dilation": (3, 4), "padding": (1, 0), "output_padding": (2, 3)},
    ),
]


MODULES = [
    # name, input, positional arguments, others
    ("nn.Conv1d", SERIES, (4, 6, 3), {"stride": 2, "padding": 1}),
    ("nn.Conv1d", ROW, (4, 6, 3), {"padding": "same", "padding_mode": "circular"}),
    ("nn.Conv2d", IMAGES, (4, 6, 3), {"padding": (1, 2), "groups": 2, "dilation": (2, 1)}),
    ("nn.Conv2d", IMAGE, (4, 3, (2, 3)), {"bias": False, "padding": "valid"}),
    ("nn.Conv2d", IMAGES, (4, 3, 3), {"padding": (2, 1), "padding_mode": "reflect"}),
    ("nn.Conv2d", IMAGES, (4, 8, 3), {"groups": 4, "padding": "same"}),
    ("nn.ConvTranspose1d", SERIES, (4, 3, 4), {"stride": 3, "output_padding": 1}),
    ("nn.ConvTranspose2d", SMALL, (4, 6, 3), {"stride": (2, 1), "padding": 1, "groups": 2}),
    ("nn.ConvTranspose2d", SMALL[0], (4, 3, 2), {"bias": False, "dilation": 2}),
    ("nn.LazyConv1d", SERIES, (6, 3), {"stride": 2}),
    ("nn.LazyConv2d", IMAGE, (6, 3), {"groups": 2, "bias": False}),
    ("nn.LazyConvTranspose1d", SERIES, (6, 3), {"stride": 2}),
    ("nn.LazyConvTranspose2d", SMALL, (6, 3), {"groups": 2}),
]

CASES = [*FUNCTIONS, *MODULES]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(("name", "x", "weight", "bias", "arguments"), FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_agree_with_pytorch(name, x, weight, bias, arguments, dtype):
    ours, theirs = (getattr(library, name[2:]) for library in (F, torch.nn.functional))
    compare_graphs(
        lambda *tensors: ours(*tensors, **arguments),
        lambda *tensors: theirs(*tensors, **arguments),
        [x, weight, bias],
        dtype,
    )


@pytest.mark.parametrize(("name", "x", "positional", "arguments"), MODULES)
def test_modules_agree_with_pytorch(name, x, positional, arguments):
    ours, theirs = (
        getattr(library, name[3:])(*positional, **arguments) for library in (nn, torch.nn)
    )
    assert as_text(ours) == as_text(theirs)
    if "Lazy" in name:
        theirs(torch.tensor(x, dtype=torch.float32))
    compare(ours, theirs, [x])
    assert type(ours).__name__ == type(theirs).__name__


@pytest.mark.parametrize(
    ("name", "shapes", "arguments", "error", "match"),
    [
        ("conv2d", ((2, 4, 9), (5, 4, 3, 3)), {}, ShapeError, "does not|channels|axes"),
        ("conv2d", ((4, 9), (5, 4, 3, 3)), {}, ShapeError, r"\[N, C, H, W\]"),
        ("conv2d", ((2, 4, 9, 9), (5, 4, 3)), {}, ShapeError, "weights of 4 axes"),
        ("conv2d", ((2, 4, 9, 9), (5, 3, 3, 3)), {}, ShapeError, "channels"),
        ("conv2d", ((2, 4, 9, 9), (5, 4, 3, 3), (4,)), {}, ShapeError, "bias"),
        ("conv2d", ((2, 4, 2, 9), (5, 4, 3, 3)), {}, ShapeError, "cannot fit"),
        (
            "conv2d",
            ((2, 4, 9, 9), (5, 4, 3, 3)),
            {"padding": "same", "stride": 2},
            ArgumentError,
            "stride of one",
        ),
        ("conv2d", ((2, 4, 9, 9), (5, 4, 3, 3)), {"stride": 1.5}, ArgumentError, "stride"),
        ("conv1d", ((2, 4, 9), (5, 4, 3)), {"stride": (1, 2)}, ArgumentError, "stride"),
        ("conv1d", ((2, 4, 9), (5, 4, 3)), {"padding": -1}, ArgumentError, "padding"),
        (
            "conv_transpose2d",
            ((2, 4, 3, 3), (4, 5, 3, 3)),
            {"output_padding": 1},
            ArgumentError,
            "output_padding",
        ),
    ],
)
def test_bad_arguments(name, shapes, arguments, error, match):
    values = inputs_like([np.zeros(shape) for shape in shapes])
    with pytest.raises(error, match=match):
        getattr(F, name)(*values, **arguments)


def test_dtypes_meet():
    x, w = inputs_like([np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 2, 2), np.float32)])
    with pytest.raises(DTypeError):
        F.conv2d(x, w)


def test_the_batch_size_may_be_unknown():
    x, w = ops.input_value("x", (None, 3, 8, 6)), ops.input_value("w", (5, 3, 3, 3))
    y = F.conv2d(x, w, padding=1, stride=2)
    assert y.shape == (None, 5, 4, 3)
    assert F.conv_transpose2d(y, w, stride=2).shape == (None, 3, 9, 7)


def test_modules_in_float64():
    ours = nn.Conv2d(4, 5, 3, stride=2, dtype="float64")
    assert ours.weight.dtype is ours.bias.dtype is DType.FLOAT64
    compare(ours, torch.nn.Conv2d(4, 5, 3, stride=2), [IMAGES], "float64")


def test_weights_are_stored_channels_last():
    ours = nn.Conv2d(4, 5, (3, 2))
    assert ours.weight.shape == (5, 4, 3, 2)
    assert ours.weight.variable.type.shape == (5, 3, 2, 4)
    assert nn.ConvTranspose1d(4, 5, 3).weight.variable.type.shape == (4, 3, 5)


@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d"])
def test_first_numbers_are_spread_as_pytorchs(name):
    ours, theirs = (getattr(library, name)(16, 24, 5, groups=2) for library in (nn, torch.nn))
    found, expected = (each.weight.detach().numpy() for each in (ours, theirs))
    assert np.abs(found).max() == pytest.approx(np.abs(expected).max(), rel=0.02)
    assert found.std() == pytest.approx(expected.std(), rel=0.05)
    bound = np.prod(expected.shape[1:]) ** -0.5
    for each in (ours, theirs):
        assert 0.6 * bound < np.abs(each.bias.detach().numpy()).max() <= bound


@pytest.mark.parametrize("size", [(5, 8), (2, 3, 6, 7)])
def test_a_transposed_convolution_gives_the_size_that_is_wanted(size):
    arguments = (4, 3, 3, 2, 1)
    ours, theirs = (library.ConvTranspose2d(*arguments) for library in (nn, torch.nn))
    compare(ours, theirs, [SMALL], kwargs={"output_size": size})


def test_sizes_that_a_transposed_convolution_cannot_give():
    ours = nn.ConvTranspose2d(4, 3, 3, 2)
    for size in ((6, 9), (9, 9), (7,)):
        with pytest.raises(ShapeError, match="output_size"):
            ours(Tensor.wrap(SMALL.astype(np.float32)), output_size=size)


def test_a_lazy_convolution_becomes_a_plain_one():
    lazy = nn.LazyConv2d(6, 3, groups=2, padding=1)
    assert repr(lazy) == repr(torch.nn.LazyConv2d(6, 3, groups=2, padding=1))
    with pytest.raises(ShapeError, match="multiple of"):
        lazy(Tensor.wrap(np.zeros((1, 3, 4, 4), np.float32)))
    assert lazy(Tensor.wrap(IMAGE.astype(np.float32))).shape == (6, 9, 8)
    assert type(lazy) is nn.Conv2d
    assert lazy.in_channels == 4
    assert lazy.weight.shape == (6, 2, 3, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"in_channels": 3, "groups": 2}, ArgumentError, "multiple of groups"),
        ({"out_channels": 0}, ArgumentError, "positive"),
        ({"in_channels": 0}, ArgumentError, "positive"),
        ({"groups": 0}, ArgumentError, "groups"),
        ({"kernel_size": 2.5}, ArgumentError, "kernel_size"),
        ({"padding": "full"}, ArgumentError, "unknown padding"),
        ({"padding": "same", "stride": 2}, ArgumentError, "stride of one"),
        ({"padding_mode": "mirror"}, ArgumentError, "padding_mode"),
        ({"device": "tpu"}, NotImplementedError, "device"),
        ({"dtype": "int32"}, DTypeError, "floating"),
    ],
)
def test_bad_arguments_of_modules(arguments, error, match):
    with pytest.raises(error, match=match):
        nn.Conv2d(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3, **arguments})


def test_transposed_convolutions_pad_with_zeros_only():
    with pytest.raises(ArgumentError, match="padding_mode"):
        nn.ConvTranspose2d(2, 2, 3, padding_mode="reflect")
