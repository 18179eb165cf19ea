"""Convolution, pooling and resizing of volumes: values and gradients are PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet import nn, ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.nn import functional as F  # noqa: N812
from numbanet.testing import inputs_like
from tests.nn.graphs import compare_graphs
from tests.nn.parity import compare
from tests.nn.twins import as_text

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape)


VOLUMES = normal(2, 4, 5, 4, 6)
TIES = RNG.integers(-2, 1, VOLUMES.shape).astype(float)
POSITIVE = RNG.uniform(0.5, 2.0, VOLUMES.shape)
SMALL = normal(2, 4, 2, 3, 2)

_CONV = [
    # weight, bias, arguments
    (normal(3, 4, 2, 3, 2), normal(3), {}),
    (normal(3, 4, 1, 1, 1), None, {"padding": "valid", "stride": 3}),
    (
        normal(6, 2, 3, 2, 2),
        normal(6),
        {"groups": 2, "stride": (2, 1, 3), "padding": (1, 0, 2)},
    ),
    (normal(4, 1, 2, 3, 1), normal(4), {"groups": 4, "dilation": (3, 1, 2)}),
    (normal(2, 4, 2, 3, 4), normal(2), {"padding": "same", "dilation": (2, 1, 1)}),
]
_TRANSPOSE = [
    (normal(4, 3, 2, 3, 2), normal(3), {}),
    (normal(4, 2, 3, 2, 1), None, {"stride": 2, "padding": (1, 0, 0), "output_padding": 1}),
    (
        normal(4, 3, 2, 2, 2),
        normal(6),
        {"groups": 2, "stride": (3, 2, 1), "dilation": (1, 2, 3)},
    ),
    (normal(4, 1, 1, 1, 1), normal(1), {"dilation": 2, "output_padding": (1, 0, 1)}),
]
_MAX = [
    (2, {}),
    ((3, 2, 1), {"stride": (2, 1, 3), "padding": (1, 0, 0)}),
    ((2, 1, 3), {"dilation": (3, 2, 2), "ceil_mode": True}),
    (3, {"stride": 2, "padding": 1, "ceil_mode": True}),
]
_AVG = [
    (2, {}),
    ((3, 2, 1), {"stride": (2, 1, 3), "padding": (1, 1, 0)}),
    (3, {"stride": 2, "padding": 1, "count_include_pad": False}),
    (3, {"stride": 2, "padding": 1, "ceil_mode": True}),
    (3, {"stride": 2, "padding": 1, "ceil_mode": True, "divisor_override": 5}),
]
_SIZES = [1, (5, 4, 6), (1, 2, 3), (3, 3, 4), (None, 2, None), (7, 1, 1)]

FUNCTIONS = [
    # name, arrays, positional arguments, others
    *(("F.conv3d", (VOLUMES, weight, bias), (), rest) for weight, bias, rest in _CONV),
    ("F.conv3d", (VOLUMES[0], *_CONV[2][:2]), (), _CONV[2][2]),
    *(("F.conv_transpose3d", (SMALL, *operands), (), rest) for *operands, rest in _TRANSPOSE),
    ("F.conv_transpose3d", (SMALL[1], *_TRANSPOSE[1][:2]), (), _TRANSPOSE[1][2]),
    *(("F.max_pool3d", (TIES,), (window,), rest) for window, rest in _MAX),
    ("F.max_pool3d", (TIES[0],), (2,), {}),
    *(("F.avg_pool3d", (VOLUMES,), (window,), rest) for window, rest in _AVG),
    ("F.avg_pool3d", (VOLUMES[0],), (2, 1), {}),
    ("F.lp_pool3d", (POSITIVE,), (2, (2, 2, 3)), {"stride": 2}),
    *(("F.adaptive_avg_pool3d", (VOLUMES,), (size,), {}) for size in _SIZES),
    *(("F.adaptive_max_pool3d", (TIES,), (size,), {}) for size in _SIZES),
    ("F.adaptive_max_pool3d", (TIES[0],), (2,), {}),
    *(
        ("F.interpolate", (SMALL,), (), {"mode": mode, **size})
        for mode in ("nearest", "nearest-exact", "trilinear")
        for size in ({"size": (3, 5, 2)}, {"scale_factor": (2, 1.5, 0.6)})
    ),
    ("F.interpolate", (SMALL,), (4,), {"mode": "trilinear", "align_corners": True}),
    ("F.interpolate", (VOLUMES,), ((2, 4, 3),), {"mode": "area"}),
]

MODULES = [
    # name, input, positional arguments, others
    ("nn.Conv3d", VOLUMES, (4, 6, (2, 3, 1)), {"groups": 2, "padding": 1, "stride": (2, 1, 1)}),
    ("nn.Conv3d", VOLUMES[0], (4, 2, 2), {"padding": "same", "padding_mode": "replicate"}),
    ("nn.ConvTranspose3d", SMALL, (4, 2, 2), {"stride": 2, "bias": False}),
    ("nn.LazyConv3d", SMALL, (2, 2), {}),
    ("nn.LazyConvTranspose3d", SMALL, (2, 2), {}),
    ("nn.MaxPool3d", TIES, (2,), {"ceil_mode": True}),
    ("nn.AvgPool3d", VOLUMES, (2,), {"padding": 1}),
    ("nn.LPPool3d", POSITIVE, (2, 2), {}),
    ("nn.AdaptiveAvgPool3d", VOLUMES, ((3, 2, 5),), {}),
    ("nn.AdaptiveMaxPool3d", TIES, (2,), {}),
    ("nn.Upsample", SMALL, (), {"scale_factor": 2, "mode": "trilinear"}),
]

CASES = [*FUNCTIONS, *MODULES]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(("name", "arrays", "positional", "arguments"), FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_agree_with_pytorch(name, arrays, positional, arguments, dtype):
    ours, theirs = (getattr(library, name[2:]) for library in (F, torch.nn.functional))
    compare_graphs(
        lambda *tensors: ours(*tensors, *positional, **arguments),
        lambda *tensors: theirs(*tensors, *positional, **arguments),
        list(arrays),
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


INDICES = [
    # name, input, positional arguments, others
    ("F.max_pool3d", TIES, (2,), {}),
    (
        "F.max_pool3d",
        VOLUMES[0],
        ((3, 2, 2),),
        {"stride": 2, "padding": 1, "dilation": (1, 2, 1)},
    ),
    ("F.adaptive_max_pool3d", TIES, ((3, 2, 4),), {}),
]


@pytest.mark.parametrize(("name", "x", "positional", "arguments"), INDICES)
def test_places_of_the_largest_are_pytorchs(name, x, positional, arguments):
    ours, theirs = (getattr(library, name[2:]) for library in (F, torch.nn.functional))
    compare(
        lambda x: ours(x, *positional, return_indices=True, **arguments),
        lambda x: theirs(x, *positional, return_indices=True, **arguments),
        [x],
    )


def test_unpooling_puts_the_largest_back():
    def there_and_back(library):
        pool = library.MaxPool3d(2, return_indices=True)
        unpool, again = library.MaxUnpool3d(2), library.functional.max_unpool3d
        return unpool, lambda x: (
            unpool(*pool(x), output_size=x.shape),
            again(*pool(x), 2, padding=0, output_size=(5, 4, 6)),
        )

    (mine, ours), (peer, theirs) = (there_and_back(library) for library in (nn, torch.nn))
    assert as_text(mine) == as_text(peer)
    compare(ours, theirs, [VOLUMES])


def test_a_transposed_convolution_gives_the_size_that_is_wanted():
    ours, theirs = (library.ConvTranspose3d(4, 2, 2, stride=2) for library in (nn, torch.nn))
    theirs.to(torch.float32)
    ours.load_state_dict({key: each.numpy() for key, each in theirs.state_dict().items()})
    compare(lambda x: ours(x, (5, 6, 5)), lambda x: theirs(x, (5, 6, 5)), [SMALL])


@pytest.mark.parametrize(
    ("name", "shapes", "arguments", "error", "match"),
    [
        ("conv3d", ((2, 4, 9), (5, 4, 3, 3, 3)), {}, ShapeError, r"\[N, C, D, H, W\]"),
        ("conv3d", ((2, 4, 5, 5, 5), (5, 4, 3, 3)), {}, ShapeError, "5 axes"),
        ("conv3d", ((2, 4, 5, 5, 5), (5, 3, 3, 3, 3)), {}, ShapeError, "channels"),
        ("conv3d", ((2, 3, 5, 5, 5), (4, 2, 3, 3, 3)), {"groups": 2}, ShapeError, "channels"),
        ("conv3d", ((2, 4, 5, 5, 5), (5, 4, 3, 3, 3), (4,)), {}, ShapeError, "bias"),
        ("conv3d", ((2, 4, 2, 5, 5), (5, 4, 3, 3, 3)), {}, ShapeError, "fit"),
        (
            "conv3d",
            ((2, 4, 5, 5, 5), (5, 4, 3, 3, 3)),
            {"padding": "same", "stride": 2},
            ArgumentError,
            "stride of one",
        ),
        (
            "conv_transpose3d",
            ((1, 2, 2, 2, 2), (2, 1, 1, 1, 1)),
            {"output_padding": (1, 0, 0)},
            ArgumentError,
            "output_padding",
        ),
        (
            "conv_transpose3d",
            ((1, 2, 2, 2, 2), (2, 1, 1, 1, 1)),
            {"padding": (1, 0, 0)},
            ShapeError,
            "no depth",
        ),
        (
            "max_pool3d",
            ((2, 4, 5, 5, 5),),
            {"kernel_size": 2, "padding": 2},
            ArgumentError,
            "half",
        ),
        (
            "max_pool3d",
            ((2, 4, 5, 5, 5),),
            {"kernel_size": (2, 2)},
            ArgumentError,
            "kernel_size",
        ),
        (
            "avg_pool3d",
            ((2, 4, 5, 5, 5),),
            {"kernel_size": 2, "divisor_override": 0},
            ArgumentError,
            "divide",
        ),
        (
            "adaptive_avg_pool3d",
            ((2, 4, 5, 5, 5),),
            {"output_size": (1, 2)},
            ArgumentError,
            "output_size",
        ),
    ],
)
def test_bad_arguments(name, shapes, arguments, error, match):
    values = inputs_like([np.zeros(shape) for shape in shapes])
    with pytest.raises(error, match=match):
        getattr(F, name)(*values, **arguments)


def test_the_batch_size_may_be_unknown():
    x = ops.input_value("x", (None, 4, 5, 4, 6))
    weight = ops.constant(normal(3, 4, 2, 2, 2).astype("float32"))
    assert F.conv3d(x, weight).shape == (None, 3, 4, 3, 5)
    assert F.max_pool3d(x, 2).shape == (None, 4, 2, 2, 3)
    assert F.adaptive_avg_pool3d(x, 2).shape == (None, 4, 2, 2, 2)
    back = ops.constant(normal(4, 3, 2, 2, 2).astype("float32"))
    assert F.conv_transpose3d(x, back, stride=2).shape == (None, 3, 10, 8, 12)
