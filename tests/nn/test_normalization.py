"""Normalisation against PyTorch's."""

import numpy as np
import pytest

import numbanet.nn.functional.normalization as ours
from tests.nn.graphs import compare_graphs

torch = pytest.importorskip("torch")
theirs = torch.nn.functional

WITHOUT = {"weight": None, "bias": None}
RUNNING = {"running_mean": None, "running_var": None}

CASES = [
    ("F.batch_norm", (5, 3), {"running_mean": (3,), "running_var": (3,)}, {}),
    (
        "F.batch_norm",
        (2, 3, 4),
        {"running_mean": (3,), "running_var": (3,), "weight": (3,)},
        {},
    ),
    (
        "F.batch_norm",
        (2, 3, 4, 5),
        {"running_mean": (3,), "running_var": (3,), "weight": (3,), "bias": (3,)},
        {"eps": 0.1},
    ),
    ("F.batch_norm", (5, 3), RUNNING, {"training": True}),
    ("F.batch_norm", (5, 1), RUNNING | {"weight": (1,)}, {"training": True, "eps": 0.1}),
    ("F.batch_norm", (2, 3, 4), RUNNING | {"weight": (3,), "bias": (3,)}, {"training": True}),
    ("F.batch_norm", (2, 3, 4, 5), RUNNING | {"bias": (3,)}, {"training": True}),
    ("F.batch_norm", (1, 2, 1, 2, 3), RUNNING, {"training": True}),
    ("F.instance_norm", (2, 3, 4), {}, {}),
    ("F.instance_norm", (2, 3, 4, 5), RUNNING | {"weight": (3,), "bias": (3,)}, {"eps": 0.1}),
    ("F.instance_norm", (2, 1, 2, 3, 2), RUNNING | {"weight": (1,)}, {}),
    (
        "F.instance_norm",
        (2, 3, 4),
        {"running_mean": (3,), "running_var": (3,)},
        {"use_input_stats": False},
    ),
    ("F.layer_norm", (3, 4), WITHOUT, {"normalized_shape": (4,)}),
    ("F.layer_norm", (2, 3, 4), {"weight": (4,)}, {"normalized_shape": [4]}),
    (
        "F.layer_norm",
        (2, 3, 4),
        {"weight": (3, 4), "bias": (3, 4)},
        {"normalized_shape": (3, 4), "eps": 0.1},
    ),
    (
        "F.layer_norm",
        (2, 3, 4),
        {"weight": None, "bias": (2, 3, 4)},
        {"normalized_shape": (2, 3, 4)},
    ),
    ("F.layer_norm", (4,), {"weight": (4,), "bias": (4,)}, {"normalized_shape": (4,)}),
    ("F.rms_norm", (3, 4), {"weight": None}, {"normalized_shape": (4,)}),
    ("F.rms_norm", (2, 3, 4), {"weight": (3, 4)}, {"normalized_shape": (3, 4)}),
    ("F.rms_norm", (2, 3, 4), {"weight": (4,)}, {"normalized_shape": [4], "eps": 0.1}),
    ("F.group_norm", (2, 9), WITHOUT, {"num_groups": 3}),
    ("F.group_norm", (2, 6, 5), {"weight": (6,)}, {"num_groups": 2}),
    (
        "F.group_norm",
        (2, 4, 3, 2),
        {"weight": (4,), "bias": (4,)},
        {"num_groups": 1, "eps": 0.1},
    ),
    ("F.group_norm", (2, 4, 3, 2), {}, {"num_groups": 4}),
    ("F.local_response_norm", (2, 5, 3), {}, {"size": 3}),
    ("F.local_response_norm", (2, 5, 3), {}, {"size": 4, "alpha": 0.5, "beta": 0.6, "k": 2.0}),
    ("F.local_response_norm", (2, 3, 2, 2), {}, {"size": 1, "alpha": 1.0}),
    ("F.normalize", (2, 3, 4), {}, {}),
    ("F.normalize", (2, 3, 4), {}, {"p": 1.0, "dim": -1}),
    ("F.normalize", (2, 3, 4), {}, {"p": 3.0, "dim": (1, 2)}),
    ("F.normalize", (4,), {}, {"p": float("inf"), "dim": 0}),
    ("F.normalize", (3, 2), {}, {"eps": 1.5}),
]


@pytest.mark.parametrize(("name", "shape", "vectors", "arguments"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_slopes(name, shape, vectors, arguments, dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(1.0, 2.0, shape)]
    arrays += [
        None if each is None else rng.uniform(0.5, 2.0, each) for each in vectors.values()
    ]

    def called(function):
        return lambda x, *given: function(
            x, **dict(zip(vectors, given, strict=True)), **arguments
        )

    running = [i for i, each in enumerate(vectors, 1) if each.startswith("running")]
    compare_graphs(
        called(getattr(ours, name[2:])),
        called(getattr(theirs, name[2:])),
        arrays,
        dtype,
        running,
    )
