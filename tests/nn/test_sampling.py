"""Images read at computed positions: values and gradients are PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet.errors import ArgumentError, ShapeError
from numbanet.nn import functional as F  # noqa: N812
from numbanet.testing import inputs_like
from tests.nn.graphs import compare_graphs
from tests.nn.parity import compare

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 3, 4, 5))
GRID = RNG.uniform(-1.7, 1.7, size=(2, 3, 6, 2))
WIDE = RNG.uniform(-9, 9, size=(2, 3, 6, 2))
THETA = RNG.normal(size=(2, 2, 3))

CASES = [
    # name, arrays, positional arguments, others
    *(
        ("F.grid_sample", (IMAGES, GRID), (mode, padding), {"align_corners": corners})
        for mode in ("bilinear", "nearest")
        for padding in ("zeros", "border", "reflection")
        for corners in (True, False)
    ),
    ("F.grid_sample", (IMAGES, WIDE), ("bilinear", "reflection"), {"align_corners": False}),
    ("F.grid_sample", (IMAGES, WIDE), ("nearest", "border"), {"align_corners": True}),
    ("F.grid_sample", (IMAGES[:, :, :1, :1], GRID), (), {"align_corners": False}),
    *(
        ("F.affine_grid", (THETA,), (size,), {"align_corners": corners})
        for size in ((2, 3, 4, 5), (2, 1, 1, 3))
        for corners in (True, False)
    ),
]


@pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid")
@pytest.mark.parametrize(("name", "arrays", "positional", "arguments"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_agree_with_pytorch(name, arrays, positional, arguments, dtype):
    ours, theirs = (getattr(library, name[2:]) for library in (F, torch.nn.functional))
    compare_graphs(
        lambda *tensors: ours(*tensors, *positional, **arguments),
        lambda *tensors: theirs(*tensors, *positional, **arguments),
        list(arrays),
        dtype,
    )


def test_a_spatial_transformer_agrees_with_pytorch():
    def transformed(library):
        def apply(x, theta):
            grid = library.affine_grid(theta, x.size(), align_corners=False)
            return library.grid_sample(x, grid, align_corners=False)

        return apply

    compare(transformed(F), transformed(torch.nn.functional), [IMAGES, THETA * 0.5])


@pytest.mark.parametrize(
    ("name", "arrays", "arguments", "error", "match"),
    [
        ("grid_sample", (IMAGES, GRID), {"mode": "bicubic"}, NotImplementedError, "bicubic"),
        ("grid_sample", (IMAGES, GRID), {"mode": "linear"}, ArgumentError, "no such mode"),
        ("grid_sample", (IMAGES, GRID), {"padding_mode": "same"}, ArgumentError, "no such"),
        ("grid_sample", (IMAGES, GRID[:1]), {}, ShapeError, "operands"),
        ("grid_sample", (IMAGES[0], GRID), {}, ShapeError, "operands"),
        ("grid_sample", (IMAGES[None], GRID), {}, NotImplementedError, "grid_sample"),
        ("affine_grid", (THETA,), {"size": (1, 1, 2, 2, 2)}, NotImplementedError, "volumes"),
        ("affine_grid", (THETA[0],), {"size": (1, 1, 2, 2)}, ShapeError, "maps"),
    ],
)
def test_bad_arguments(name, arrays, arguments, error, match):
    with pytest.raises(error, match=match):
        getattr(F, name)(*inputs_like(list(arrays)), **arguments)
