"""Products with weights against PyTorch's."""

import numpy as np
import pytest

import numbanet.nn.functional.linear as ours
from tests.nn.graphs import compare_graphs

torch = pytest.importorskip("torch")
theirs = torch.nn.functional

CASES = [
    ("F.linear", [(3, 4), (2, 4), (2,)]),
    ("F.linear", [(3, 4), (2, 4), None]),
    ("F.linear", [(4,), (2, 4), (2,)]),
    ("F.linear", [(2, 3, 4), (1, 4), (1,)]),
    ("F.linear", [(2, 1, 3, 4), (5, 4), None]),
    ("F.linear", [(3, 4), (4,), None]),
    ("F.linear", [(1, 1), (1, 1), (1,)]),
    ("F.bilinear", [(3, 4), (3, 2), (5, 4, 2), (5,)]),
    ("F.bilinear", [(3, 4), (3, 2), (5, 4, 2), None]),
    ("F.bilinear", [(2, 3, 4), (2, 3, 1), (1, 4, 1), (1,)]),
    ("F.bilinear", [(4,), (2,), (5, 4, 2), (5,)]),
]


@pytest.mark.parametrize(("name", "shapes"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_slopes(name, shapes, dtype):
    rng = np.random.default_rng(0)
    arrays = [None if shape is None else np.asarray(rng.normal(size=shape)) for shape in shapes]
    compare_graphs(getattr(ours, name[2:]), getattr(theirs, name[2:]), arrays, dtype)
