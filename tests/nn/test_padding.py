"""Padding: values and gradients are PyTorch's."""

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
SERIES, IMAGES = RNG.normal(size=(2, 3, 6)), RNG.normal(size=(2, 3, 4, 5))
_REPEATING = [
    (SERIES, (2, 3)),
    (SERIES[0], (0, 1)),
    (IMAGES, (1, 2, 3, 0)),
    (IMAGES, (4, 4, 3, 3)),
]

FUNCTIONS = [
    # name, input, padding, others
    ("F.pad", IMAGES, (1, 2), {}),
    ("F.pad", IMAGES, [1, 0, 2, 3, 1, 1, 0, 2], {"value": -1.5}),
    ("F.pad", IMAGES, (-1, 2, 1, -2), {"value": 0.5}),
    ("F.pad", IMAGES[0], (0, 0), {"mode": "constant"}),
    ("F.pad", np.arange(6).reshape(2, 3), (1, 1), {"value": 7}),
    *(
        ("F.pad", x, padding, {"mode": mode})
        for mode in ("reflect", "replicate", "circular")
        for x, padding in _REPEATING
    ),
    ("F.pad", IMAGES, (9, 0, 0, 6), {"mode": "replicate"}),
    ("F.pad", IMAGES, (5, 5, 4, 4), {"mode": "circular"}),
]

MODULES = [
    # name, input, positional arguments, others
    ("nn.ZeroPad1d", SERIES, (2,), {}),
    ("nn.ZeroPad2d", IMAGES, ((1, 0, 2, -1),), {}),
    ("nn.ZeroPad3d", IMAGES, (1,), {}),
    ("nn.ConstantPad1d", SERIES, ((1, 2), 0.5), {}),
    ("nn.ConstantPad2d", IMAGES, (1, -2.5), {}),
    ("nn.ConstantPad3d", IMAGES, ((0, 1, 0, 1, 2, 0), 1), {}),
    ("nn.ReflectionPad1d", SERIES, ((2, 1),), {}),
    ("nn.ReflectionPad2d", IMAGES, (2,), {}),
    ("nn.ReflectionPad3d", IMAGES, (1,), {}),
    ("nn.ReplicationPad1d", SERIES, (1,), {}),
    ("nn.ReplicationPad2d", IMAGES, ((1, 2, 0, 3),), {}),
    ("nn.ReplicationPad3d", IMAGES, (1,), {}),
    ("nn.CircularPad1d", SERIES, (1,), {}),
    ("nn.CircularPad2d", IMAGES, ((1, 2, 0, 3),), {}),
    ("nn.CircularPad3d", IMAGES[None], (1,), {}),
]

CASES = [*FUNCTIONS, *MODULES]


@pytest.mark.parametrize(("name", "x", "padding", "arguments"), FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_agree_with_pytorch(name, x, padding, arguments, dtype):
    ours, theirs = (getattr(library, name[2:]) for library in (F, torch.nn.functional))
    if x.dtype.kind != "f":
        (value,) = inputs_like([x])
        found = evaluate(ours(value, padding, **arguments), {value: x})
        peer = theirs(torch.tensor(x), padding, **arguments)
        np.testing.assert_array_equal(found, peer.numpy())
        return
    compare_graphs(
        lambda x: ours(x, padding, **arguments),
        lambda x: theirs(x, padding, **arguments),
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
    ("padding", "arguments", "error", "match"),
    [
        ((1,), {}, ArgumentError, "pair of integers"),
        ((1, 1.5), {}, ArgumentError, "pair of integers"),
        ((1, 1) * 5, {}, ShapeError, "no more pairs"),
        ((1, 1), {"mode": "mirror"}, ArgumentError, "unknown mode"),
        ((1, 1), {"mode": "reflect", "value": 1.0}, ArgumentError, "value"),
        ((5, 0), {"mode": "reflect"}, ShapeError, "at most 4"),
        ((6, 0), {"mode": "circular"}, ShapeError, "at most 5"),
        ((-3, -3), {}, ShapeError, "crop"),
    ],
)
def test_bad_arguments(padding, arguments, error, match):
    (x,) = inputs_like([IMAGES])
    with pytest.raises(error, match=match):
        F.pad(x, padding, **arguments)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_the_batch_size_may_be_unknown(mode):
    x = ops.input_value("x", (None, 3, 4, 5))
    assert F.pad(x, (1, 2, 3, 0), mode).shape == (None, 3, 7, 8)
