"""Axes made one, and one made several, against PyTorch's."""

import numpy as np
import pytest

import numbanet.nn as our_nn
import numbanet.tensors.functions.shapes as ours
from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from tests.nn.graphs import compare_graphs
from tests.nn.modules import alike, computes_alike, records_alike

torch = pytest.importorskip("torch")

CASES = [
    ("flatten", (2, 3, 4), {}),
    ("flatten", (2, 3, 4), {"start_dim": 1}),
    ("flatten", (2, 3, 4, 5), {"start_dim": -3, "end_dim": 2}),
    ("flatten", (2, 3), {"start_dim": 1, "end_dim": 1}),
    ("flatten", (), {}),
    ("flatten", (3,), {}),
    ("unflatten", (2, 6), {"dim": 1, "sizes": (2, 3)}),
    ("unflatten", (6, 2), {"dim": -2, "sizes": [-1, 2]}),
    ("unflatten", (2, 1), {"dim": 1, "sizes": (1, 1, 1)}),
]


@pytest.mark.parametrize(("name", "shape", "arguments"), CASES)
def test_values_and_slopes(name, shape, arguments):
    array = np.asarray(np.random.default_rng(0).normal(size=shape))
    compare_graphs(
        lambda x: getattr(ours, name)(x, **arguments),
        lambda x: getattr(torch, name)(x, **arguments),
        [array],
        "float64",
    )


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: ours.flatten(x, 1), (None, 24)),
        (lambda x: ours.flatten(x, 2, 3), (None, 2, 12)),
        (lambda x: ours.flatten(x), (None,)),
        (lambda x: ours.unflatten(x, 3, (-1, 2)), (None, 2, 3, 2, 2)),
    ],
)
def test_the_batch_size_may_be_unknown(function, shape):
    assert function(ops.input_value("x", (None, 2, 3, 4))).shape == shape


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda x: ours.flatten(x, 2, 1), ArgumentError),
        (lambda x: ours.flatten(x, 3), ArgumentError),
        (lambda x: ours.unflatten(x, 0, (3, 2)), ShapeError),
        (lambda x: ours.unflatten(x, 1, (-1, 2)), ShapeError),
    ],
)
def test_bad_arguments(function, kind):
    with pytest.raises(kind):
        function(ops.input_value("x", (2, 3, 4)))


MODULES = [
    ("nn.Flatten", (), {}, ((2, 3, 4),)),
    ("nn.Flatten", (0, 1), {}, ((2, 3, 4),)),
    ("nn.Unflatten", (1, (2, 3)), {}, ((4, 6),)),
    ("nn.Unflatten", (-1, (2, -1)), {}, ((4, 6),)),
]


@pytest.mark.parametrize("case", MODULES, ids=str)
def test_modules(case):
    alike(case)
    computes_alike(case, "float32")


def test_names_of_axes_are_refused():
    with pytest.raises(NotImplementedError, match="dim"):
        our_nn.Unflatten("features", (("height", 2), ("width", 3)))
    with pytest.raises(ArgumentError):
        our_nn.Unflatten(1, 3)


@pytest.mark.parametrize("case", [c for c in MODULES if c[1][:1] != (0,)], ids=str)
def test_modules_are_layers_of_a_model(case):
    records_alike(case)
