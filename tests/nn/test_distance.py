"""Distances and angles against PyTorch's."""

import math

import numpy as np
import pytest

from numbanet.nn import functional as ours
from numbanet.tensors.functions.reductions import norm
from tests.nn.graphs import compare_graphs
from tests.nn.modules import alike, computes_alike, records_alike

torch = pytest.importorskip("torch")
theirs = torch.nn.functional

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 3, 4))
SHORT = 1e-9 * A

CASES = [
    ("F.cosine_similarity", (A, B), {}),
    ("F.cosine_similarity", (A, B), {"dim": -1}),
    ("F.cosine_similarity", (A, B[0]), {"dim": 0, "eps": 9.0}),
    ("F.cosine_similarity", (A, B[:1]), {"dim": 2, "eps": 1.5}),
    ("F.cosine_similarity", (A, np.zeros((2, 3, 4))), {}),
    ("F.cosine_similarity", (A[0, 0], B[0, 0]), {"dim": 0}),
    ("F.pairwise_distance", (A[0], B[0]), {}),
    ("F.pairwise_distance", (A[0], A[0]), {}),
    ("F.pairwise_distance", (A[0], B[0, 0]), {"p": 1.0, "keepdim": True}),
    ("F.pairwise_distance", (A[0], B[0]), {"p": 3.0}),
    ("F.pairwise_distance", (A[0], B[0]), {"p": 0.5}),
    ("F.pairwise_distance", (A[0], B[0]), {"p": math.inf}),
    ("F.pairwise_distance", (A[0], B[0]), {"p": -math.inf}),
    ("F.pairwise_distance", (A[0], B[0]), {"p": 0.0}),
    ("F.pairwise_distance", (A[0, 0], B[0, 0]), {"eps": 0.5}),
]


@pytest.mark.parametrize(("name", "arrays", "arguments"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_slopes(name, arrays, arguments, dtype):
    compare_graphs(
        lambda a, b: getattr(ours, name[2:])(a, b, **arguments),
        lambda a, b: getattr(theirs, name[2:])(a, b, **arguments),
        arrays,
        dtype,
    )


@pytest.mark.parametrize("p", [2.0, 1.0, 3.0, 1.5, math.inf])
def test_the_norm_of_nothing_has_no_slope(p):
    compare_graphs(
        lambda x: norm(x, p, -1),
        lambda x: torch.linalg.vector_norm(x, p, -1),
        [np.array([[0.0, 0.0], [3.0, 0.0]])],
        "float64",
    )


MODULES = [
    ("nn.CosineSimilarity", (), {}, ((3, 4), (3, 4))),
    ("nn.CosineSimilarity", (0,), {"eps": 0.5}, ((3, 4), (3, 4))),
    ("nn.PairwiseDistance", (), {}, ((3, 4), (3, 4))),
    ("nn.PairwiseDistance", (1.0,), {"eps": 0.5, "keepdim": True}, ((3, 4), (3, 4))),
]


@pytest.mark.parametrize("case", MODULES, ids=str)
def test_modules(case):
    alike(case)
    computes_alike(case, "float32")


@pytest.mark.parametrize("case", [c for c in MODULES if c[1][:1] != (0,)], ids=str)
def test_modules_are_layers_of_a_model(case):
    records_alike(case)
