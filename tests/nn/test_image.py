"""Images of other sizes and shuffled pixels: values and gradients are PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet import nn, ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.nn import functional as F  # noqa: N812
from numbanet.testing import evaluate, inputs_like
from tests.nn.graphs import compare_graphs
from tests.nn.parity import compare
from tests.nn.twins import as_text

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
SERIES, IMAGES = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 3, 4, 5))
CHANNELS = RNG.normal(size=(2, 12, 4, 6))

_SIZES = [
    {"size": (7, 3)},
    {"size": 1},
    {"size": (13, 14)},
    {"scale_factor": 2},
    {"scale_factor": (3.0, 0.5)},
    {"scale_factor": 2.6},
    {"scale_factor": (1.1, 0.7)},
    {"scale_factor": 2.6, "recompute_scale_factor": True},
]
_LENGTHS = [
    {"size": 12},
    {"scale_factor": 2},
    {"scale_factor": (2.3,)},
    {"size": 1},
]
_WINDOWS = [
    (2, {}),
    ((3, 2), {"stride": (1, 2), "padding": 1}),
    ((2, 3), {"dilation": (3, 2), "padding": (1, 0)}),
    (2, {"stride": 2}),
    (1, {"stride": 3}),
]


def columns(window, arguments):
    x = torch.nn.functional.unfold(torch.zeros(IMAGES.shape), window, **arguments)
    return RNG.normal(size=tuple(x.shape))


FUNCTIONS = [
    # name, input, positional arguments, others
    *(
        ("F.interpolate", IMAGES, (), {"mode": mode, **size})
        for mode in ("nearest", "nearest-exact", "bilinear", "bicubic")
        for size in _SIZES
    ),
    *(("F.interpolate", IMAGES, (), {"mode": "area", **size}) for size in _SIZES[:4]),
    *(
        ("F.interpolate", IMAGES, (), {"mode": mode, "align_corners": corners, **size})
        for mode in ("bilinear", "bicubic")
        for corners in (True, False)
        for size in _SIZES[:5]
    ),
    *(
        ("F.interpolate", SERIES, (), {"mode": mode, **size})
        for mode in ("nearest", "linear", "nearest-exact", "area")
        for size in _LENGTHS
    ),
    ("F.interpolate", SERIES, (7,), {"mode": "linear", "align_corners": True}),
    ("F.interpolate", SERIES, (), {"mode": "linear", "scale_factor": 1.15}),
    ("F.pixel_shuffle", CHANNELS, (2,), {}),
    ("F.pixel_shuffle", CHANNELS[0], (1,), {}),
    ("F.pixel_shuffle", CHANNELS.reshape(1, 2, 12, 4, 6), (2,), {}),
    ("F.pixel_unshuffle", CHANNELS, (2,), {}),
    ("F.pixel_unshuffle", CHANNELS[1], (2,), {}),
    ("F.channel_shuffle", CHANNELS, (3,), {}),
    ("F.channel_shuffle", CHANNELS[..., 0], (4,), {}),
    *(("F.unfold", IMAGES, (window,), rest) for window, rest in _WINDOWS),
    ("F.unfold", IMAGES[0], (2,), {}),
    *(("F.fold", columns(window, rest), ((4, 5), window), rest) for window, rest in _WINDOWS),
    ("F.fold", columns(2, {})[0], ((4, 5), 2), {}),
]

MODULES = [
    # name, input, positional arguments, others
    ("nn.Upsample", IMAGES, (), {"scale_factor": 2}),
    ("nn.Upsample", IMAGES, ((7, 3),), {}),
    ("nn.Upsample", IMAGES, (), {"scale_factor": (2, 3), "mode": "bilinear"}),
    ("nn.Upsample", SERIES, (7,), {"mode": "linear", "align_corners": True}),
    ("nn.UpsamplingNearest2d", IMAGES, (), {"scale_factor": 3}),
    ("nn.UpsamplingBilinear2d", IMAGES, ((7, 9),), {}),
    ("nn.PixelShuffle", CHANNELS, (2,), {}),
    ("nn.PixelUnshuffle", CHANNELS, (2,), {}),
    ("nn.ChannelShuffle", CHANNELS, (3,), {}),
    ("nn.Unfold", IMAGES, ((2, 3),), {"stride": (1, 2), "padding": 1}),
    ("nn.Fold", columns((3, 2), {"padding": 1}), ((4, 5), (3, 2)), {"padding": 1}),
]

CASES = [*FUNCTIONS, *MODULES]


@pytest.mark.parametrize(("name", "x", "positional", "arguments"), FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_agree_with_pytorch(name, x, positional, arguments, dtype):
    ours = getattr(F, name[2:])
    theirs = getattr(torch.nn.functional, name[2:], None) or getattr(torch, name[2:])
    compare_graphs(
        lambda x: ours(x, *positional, **arguments),
        lambda x: theirs(x, *positional, **arguments),
        [x],
        dtype,
    )


@pytest.mark.parametrize(("name", "x", "positional", "arguments"), MODULES)
def test_modules_agree_with_pytorch(name, x, positional, arguments):
    ours, theirs = (
        getattr(library, name[3:])(*positional, **arguments) for library in (nn, torch.nn)
    )
    assert as_text(ours) == as_text(theirs)
    compare(ours, theirs, [x])


@pytest.mark.parametrize(
    ("name", "shape", "arguments", "error", "match"),
    [
        ("interpolate", (2, 3, 4, 5), {}, ArgumentError, "either size or scale_factor"),
        (
            "interpolate",
            (2, 3, 4, 5),
            {"size": 4, "mode": "linear"},
            ArgumentError,
            "no such mode",
        ),
        (
            "interpolate",
            (2, 3, 4),
            {"size": 4, "mode": "bicubic"},
            ArgumentError,
            "no such mode",
        ),
        ("interpolate", (2, 3, 4), {"size": 4, "align_corners": True}, ArgumentError, "smooth"),
        ("interpolate", (2, 3, 4), {"scale_factor": 0.0}, ArgumentError, "scale_factor"),
        ("interpolate", (2, 3, 4), {"scale_factor": 0.1}, ArgumentError, "positive size"),
        ("interpolate", (2, 3, 4), {"size": (4, 4)}, ArgumentError, "size"),
        ("interpolate", (1, 2, 3, 4, 5, 6), {"size": 4}, ArgumentError, "no such mode"),
        (
            "interpolate",
            (2, 3, 4),
            {"size": 4, "antialias": True},
            NotImplementedError,
            "antialias",
        ),
        ("pixel_shuffle", (2, 6, 4, 4), {"upscale_factor": 2}, ShapeError, "multiple of 4"),
        ("pixel_shuffle", (6, 4), {"upscale_factor": 2}, ShapeError, "C, H, W"),
        ("pixel_unshuffle", (6, 4, 3), {"downscale_factor": 2}, ShapeError, "multiples of 2"),
        ("channel_shuffle", (2, 5, 4), {"groups": 2}, ShapeError, "multiple of 2"),
        ("channel_shuffle", (2, 5, 4), {"groups": 0}, ArgumentError, "groups"),
        ("unfold", (2, 3, 4), {"kernel_size": 5}, ShapeError, "does not fit"),
        ("fold", (2, 8, 4), {"output_size": 3, "kernel_size": 3}, ShapeError, "columns"),
    ],
)
def test_bad_arguments(name, shape, arguments, error, match):
    (x,) = inputs_like([np.zeros(shape)])
    with pytest.raises(error, match=match):
        getattr(F, name)(x, **arguments)


def test_infinity_stays_where_it_is_picked():
    (x,) = inputs_like([np.zeros((1, 1, 3))])
    y = evaluate(F.interpolate(x, size=5), {x: np.array([[[1.0, np.inf, 2.0]]])})
    np.testing.assert_array_equal(y, [[[1.0, 1.0, np.inf, np.inf, 2.0]]])


def test_the_batch_size_may_be_unknown():
    x = ops.input_value("x", (None, 4, 6, 8))
    assert F.interpolate(x, scale_factor=2).shape == (None, 4, 12, 16)
    assert F.interpolate(x, size=(9, 5), mode="bilinear").shape == (None, 4, 9, 5)
    assert F.interpolate(x, size=(9, 5)).shape == (None, 4, 9, 5)
    assert F.pixel_shuffle(x, 2).shape == (None, 1, 12, 16)
    assert F.pixel_unshuffle(x, 2).shape == (None, 16, 3, 4)
    assert F.channel_shuffle(x, 2).shape == x.shape
    columns = F.unfold(x, 3, padding=1)
    assert columns.shape == (None, 36, 48)
    assert F.fold(columns, (6, 8), 3, padding=1).shape == x.shape


def test_upsample_is_interpolation():
    compare(F.upsample, torch.nn.functional.interpolate, [IMAGES], kwargs={"scale_factor": 2})
