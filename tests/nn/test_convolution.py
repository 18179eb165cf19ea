"""Convolutions: values and gradients are PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet import ops
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.nn import functional as F  # noqa: N812
from numbanet.testing import inputs_like
from tests.nn.graphs import compare_graphs

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape)


SERIES, ROW = normal(2, 4, 11), normal(4, 11)
IMAGES, IMAGE = normal(2, 4, 9, 8), normal(4, 9, 8)
SMALL = normal(2, 4, 3, 4)

CASES = [
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


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(("name", "x", "weight", "bias", "arguments"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_agree_with_pytorch(name, x, weight, bias, arguments, dtype):
    ours, theirs = (getattr(library, name[2:]) for library in (F, torch.nn.functional))
    compare_graphs(
        lambda *tensors: ours(*tensors, **arguments),
        lambda *tensors: theirs(*tensors, **arguments),
        [x, weight, bias],
        dtype,
    )


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
