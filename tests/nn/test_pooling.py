"""Pooling: values and gradients are PyTorch's, which gives the first of equal maxima all."""

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
SERIES, IMAGES = RNG.normal(size=(2, 3, 11)), RNG.normal(size=(2, 3, 7, 9))
POSITIVE = RNG.uniform(0.5, 2.0, IMAGES.shape)
TIES = RNG.integers(-2, 1, IMAGES.shape).astype(float)

_MAX = [
    (2, {}),
    ((3, 2), {"stride": (2, 1)}),
    (3, {"stride": 2, "padding": 1}),
    ((3, 2), {"stride": 3, "padding": (1, 0), "ceil_mode": True}),
    (2, {"stride": 4, "ceil_mode": True}),
    (1, {"stride": 3, "ceil_mode": True}),
    ((2, 3), {"stride": 1, "dilation": (3, 2)}),
    (3, {"stride": 2, "padding": 1, "dilation": (2, 1), "ceil_mode": True}),
]
_AVG = [
    (2, {}),
    ((3, 2), {"stride": (2, 1)}),
    (3, {"stride": 2, "padding": 1}),
    (3, {"stride": 2, "padding": 1, "count_include_pad": False}),
    (3, {"stride": 3, "padding": 1, "ceil_mode": True}),
    ((4, 3), {"stride": (3, 2), "padding": (2, 1), "ceil_mode": True}),
    (4, {"stride": 3, "padding": 1, "ceil_mode": True, "count_include_pad": False}),
    (4, {"stride": 3, "ceil_mode": True}),
    (3, {"stride": 2, "padding": 1, "ceil_mode": True, "divisor_override": 5}),
]
_SIZES = [1, (1, 1), (7, 9), (7, 3), (5, 4), 3, (None, 4), (9, 12), (None, None)]


def _one_axis(arguments):
    last = {key: v[-1] if isinstance(v, tuple) else v for key, v in arguments.items()}
    return {key: v for key, v in last.items() if key != "divisor_override"}


FUNCTIONS = [
    # name, input, positional arguments, others
    *(("F.max_pool2d", TIES, (window,), rest) for window, rest in _MAX),
    *(("F.max_pool2d", IMAGES[0], (window,), rest) for window, rest in _MAX[3:4]),
    *(("F.avg_pool2d", IMAGES, (window,), rest) for window, rest in _AVG),
    *(("F.avg_pool2d", IMAGES[0], (window,), rest) for window, rest in _AVG[2:3]),
    *(("F.max_pool1d", SERIES, (3,), _one_axis(rest)) for _, rest in _MAX[1:4]),
    *(("F.max_pool1d", SERIES[0], ((2,),), _one_axis(rest)) for _, rest in _MAX[6:7]),
    *(("F.avg_pool1d", SERIES, (4,), _one_axis(rest)) for _, rest in _AVG[2:7]),
    ("F.avg_pool1d", SERIES[0], (3,), {}),
    *(("F.adaptive_avg_pool2d", IMAGES, (size,), {}) for size in _SIZES),
    *(("F.adaptive_max_pool2d", IMAGES, (size,), {}) for size in _SIZES),
    ("F.adaptive_max_pool2d", TIES, ((4, 4),), {}),
    ("F.adaptive_max_pool2d", TIES[0], (1,), {}),
    ("F.adaptive_avg_pool2d", IMAGES[0], ((2, 3),), {}),
    *(("F.adaptive_avg_pool1d", SERIES, (size,), {}) for size in (1, 4, 11)),
    *(("F.adaptive_max_pool1d", SERIES[0], (size,), {}) for size in (1, 4, 11)),
    ("F.lp_pool2d", POSITIVE, (2, 3), {"stride": 2}),
    ("F.lp_pool2d", POSITIVE, (1.5, (2, 3)), {"ceil_mode": True}),
    ("F.lp_pool1d", POSITIVE[0], (3, 4), {}),
]

MODULES = [
    # name, input, positional arguments, others
    ("nn.MaxPool1d", SERIES, (3,), {"stride": 2, "padding": 1}),
    ("nn.MaxPool2d", TIES, (2, 2), {}),
    ("nn.MaxPool2d", IMAGES[0], ((3, 2),), {"padding": (1, 0), "ceil_mode": True}),
    ("nn.MaxPool2d", IMAGES, (2, 1), {"dilation": (3, 2), "padding": 1}),
    ("nn.AvgPool1d", SERIES, (3,), {"padding": 1, "ceil_mode": True}),
    ("nn.AvgPool2d", IMAGES, (2,), {}),
    ("nn.AvgPool2d", IMAGES, (3, 2, 1, True), {"count_include_pad": False}),
    ("nn.LPPool1d", POSITIVE[0], (2, 3), {"stride": 2}),
    ("nn.LPPool2d", POSITIVE, (3, (2, 3)), {}),
    ("nn.AdaptiveAvgPool1d", SERIES, (4,), {}),
    ("nn.AdaptiveAvgPool2d", IMAGES, (1,), {}),
    ("nn.AdaptiveAvgPool2d", IMAGES, ((None, 4),), {}),
    ("nn.AdaptiveMaxPool1d", SERIES, (11,), {}),
    ("nn.AdaptiveMaxPool2d", TIES, ((5, 3),), {}),
]

CASES = [*FUNCTIONS, *MODULES]


@pytest.mark.parametrize(("name", "x", "positional", "arguments"), FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_agree_with_pytorch(name, x, positional, arguments, dtype):
    ours, theirs = (getattr(library, name[2:]) for library in (F, torch.nn.functional))
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
    ("name", "arguments", "error", "match"),
    [
        ("max_pool2d", {"kernel_size": 2, "padding": 2}, ArgumentError, "half of a window"),
        ("max_pool2d", {"kernel_size": 12}, ShapeError, "cannot fit"),
        ("max_pool2d", {"kernel_size": 12, "ceil_mode": True}, ShapeError, "cannot fit"),
        ("max_pool2d", {"kernel_size": 2.5}, ArgumentError, "kernel_size"),
        ("max_pool2d", {"kernel_size": (2, 2, 2)}, ArgumentError, "kernel_size"),
        ("max_pool2d", {"kernel_size": 9, "dilation": 2}, ShapeError, "not fit"),
        ("avg_pool2d", {"kernel_size": 2, "divisor_override": 0}, ArgumentError, "divide"),
        ("max_pool1d", {"kernel_size": 2}, ShapeError, r"\[N, C, L\]"),
        ("adaptive_avg_pool2d", {"output_size": (0, 2)}, ArgumentError, "output_size"),
        ("adaptive_avg_pool2d", {"output_size": (1, 2, 3)}, ArgumentError, "output_size"),
    ],
)
def test_bad_arguments(name, arguments, error, match):
    (x,) = inputs_like([IMAGES])
    with pytest.raises(error, match=match):
        getattr(F, name)(x, **arguments)


INDICES = [
    # name, input, positional arguments, others
    ("F.max_pool2d", TIES, (2,), {}),
    ("F.max_pool2d", IMAGES[0], (3,), {"stride": 2, "padding": 1, "dilation": (2, 1)}),
    ("F.max_pool2d", IMAGES, ((3, 2),), {"stride": 3, "padding": (1, 0), "ceil_mode": True}),
    ("F.max_pool1d", SERIES, (3,), {"padding": 1}),
    ("F.adaptive_max_pool2d", TIES, ((7, 3),), {}),
    ("F.adaptive_max_pool2d", IMAGES, ((5, 4),), {}),
    ("F.adaptive_max_pool1d", SERIES[0], (4,), {}),
]


@pytest.mark.parametrize(("name", "x", "positional", "arguments"), INDICES)
def test_places_of_the_largest_are_pytorchs(name, x, positional, arguments):
    ours, theirs = (getattr(library, name[2:]) for library in (F, torch.nn.functional))
    compare(
        lambda x: ours(x, *positional, return_indices=True, **arguments),
        lambda x: theirs(x, *positional, return_indices=True, **arguments),
        [x],
    )


UNPOOLED = [
    ("nn.MaxUnpool2d", IMAGES[..., :6, :8], (2,), {}, None),
    ("nn.MaxUnpool2d", IMAGES, (2,), {}, IMAGES.shape),
    ("nn.MaxUnpool2d", IMAGES[0], ((2, 3),), {"stride": 3, "padding": 1}, (7, 9)),
    ("nn.MaxUnpool1d", SERIES, (3,), {"stride": 3}, (11,)),
]


@pytest.mark.parametrize(("name", "x", "positional", "arguments", "size"), UNPOOLED)
def test_unpooling_puts_the_largest_back(name, x, positional, arguments, size):
    def there_and_back(library):
        unpool = getattr(library, name[3:])(*positional, **arguments)
        pool = getattr(library, name[3:].replace("Unp", "P"))(
            *positional, **arguments, return_indices=True
        )
        return unpool, lambda x: unpool(*pool(x), output_size=size)

    (mine, ours), (peer, theirs) = (there_and_back(library) for library in (nn, torch.nn))
    assert as_text(mine) == as_text(peer)
    compare(ours, theirs, [x])


def test_a_pixel_that_several_windows_chose_is_there_once():
    def there_and_back(x):
        return F.max_unpool1d(*F.max_pool1d(x, 3, 1, return_indices=True), 3, 1)

    (x,) = inputs_like([np.array([[0.0, 1.0, 5.0, 2.0, 3.0]])])
    found = evaluate(there_and_back(x), {x: np.array([[0.0, 1.0, 5.0, 2.0, 3.0]])})
    np.testing.assert_array_equal(found, [[0, 0, 5, 0, 0]])


def test_sizes_that_are_not_pooled_to_the_maxima_are_refused():
    (x,) = inputs_like([IMAGES])
    with pytest.raises(ArgumentError, match="output_size"):
        F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2, output_size=(9, 9))
    with pytest.raises(ShapeError, match="places"):
        F.max_unpool2d(x, F.max_pool2d(x, 2, return_indices=True)[1], 2)


def test_the_batch_size_may_be_unknown():
    x = ops.input_value("x", (None, 3, 7, 9))
    shapes = {
        "max_pool2d": (None, 3, 4, 5),
        "avg_pool2d": (None, 3, 4, 5),
    }
    for name, shape in shapes.items():
        assert getattr(F, name)(x, 2, ceil_mode=True).shape == shape
    assert F.max_pool2d(x, 2, dilation=2).shape == (None, 3, 3, 4)
    for pool in (F.adaptive_avg_pool2d, F.adaptive_max_pool2d):
        assert pool(x, (2, 4)).shape == (None, 3, 2, 4)
