"""Two optimizers over the same parameters and gradients: this project's, and PyTorch's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from numbanet import optim
from numbanet.nn.parameter import Parameter
from numbanet.tensors.tensor import Tensor

torch = pytest.importorskip("torch")

SHAPES = ((3, 5), (7,), (), (2, 1, 3))
LAYOUTS = ((1, 0), None, None, (0, 2, 1))
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


@contextmanager
def scalars_like(dtype: str) -> Iterator[None]:
    """PyTorch keeps some of an optimizer's numbers in its default dtype."""
    old = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        yield
    finally:
        torch.set_default_dtype(old)


class Twins:
    """Parameters with equal numbers, and the optimizers of both.

    Parameters
    ----------
    name : str
        The optimizers' class.
    options : dict
        Their arguments; an entry ``groups`` holds options of a group of the last two
        parameters.
    dtype : str
    """

    def __init__(self, name: str, options: dict[str, Any], dtype: str = "float32") -> None:
        self.rng = np.random.default_rng(0)
        self.name, self.options, self.dtype = name, options, dtype
        starts = [self.rng.normal(size=shape).astype(dtype) for shape in SHAPES]
        self.theirs = [torch.nn.Parameter(torch.tensor(start)) for start in starts]
        self.ours = [
            Parameter(start, layout=layout)
            for start, layout in zip(starts, LAYOUTS, strict=True)
        ]
        self.optimizers = [self.make(optim, self.ours), self.make(torch.optim, self.theirs)]

    def make(self, library: Any, parameters: list[Any]) -> Any:
        """An optimizer of one of both libraries."""
        options = dict(self.options)
        groups = options.pop("groups", None)
        if groups is None:
            given: Any = parameters
        else:
            given = [{"params": parameters[:2]}, {"params": parameters[2:], **groups}]
        return getattr(library, self.name)(given, **options)

    def step(self, without: tuple[int, ...] = ()) -> None:
        """One step of both with the same gradients, which those ``without`` do not have."""
        for position, (mine, other) in enumerate(zip(self.ours, self.theirs, strict=True)):
            gradient = self.rng.normal(size=SHAPES[position]).astype(self.dtype)
            is_absent = position in without
            mine.grad = None if is_absent else Tensor.wrap(gradient.copy())
            other.grad = None if is_absent else torch.tensor(gradient)
        for optimizer in self.optimizers:
            optimizer.step()

    def check(self) -> None:
        """That all parameters are equal."""
        tolerance = TOLERANCE[self.dtype]
        for mine, other in zip(self.ours, self.theirs, strict=True):
            found, expected = mine.detach().numpy(), other.detach().numpy()
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)

    def set(self, position: int, **options: Any) -> None:
        """Change options of a parameter group in both."""
        for optimizer in self.optimizers:
            optimizer.param_groups[position].update(options)
