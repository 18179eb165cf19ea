"""Axes made one, and one made several, as modules."""

from __future__ import annotations

from typing import Any

from numbanet.errors import ArgumentError
from numbanet.nn.module import Module
from numbanet.tensors.functions.shapes import flatten, unflatten
from numbanet.tensors.tensor import Tensor


class Flatten(Module):
    """The axes ``start_dim .. end_dim`` as one.

    Parameters
    ----------
    start_dim, end_dim : int
        By default all axes but the batch's.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        """The same numbers in fewer axes."""
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Both axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """The axis ``dim`` as several.

    Parameters
    ----------
    dim : int
    unflattened_size : sequence of int
        One may be -1.
    """

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        if isinstance(dim, str):
            raise NotImplementedError("dim of Unflatten as a name")
        if not isinstance(unflattened_size, list | tuple) or not all(
            isinstance(size, int) for size in unflattened_size
        ):
            raise ArgumentError("Unflatten takes a tuple of sizes", got=repr(unflattened_size))
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        """The same numbers in more axes."""
        return unflatten(input, self.dim, tuple(self.unflattened_size))

    def extra_repr(self) -> str:
        """The axis and the sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
