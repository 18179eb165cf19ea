"""Layers that only rearrange."""

from __future__ import annotations

import math
from collections.abc import Sequence

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.layers.module import Module, is_size


class Flatten(Module):
    """One axis for all features of a sample: ``(batch, h, w, c)`` to ``(batch, h * w * c)``."""

    def forward(self, x: Value) -> Value:
        # The batch may be unknown, so its axis is the -1, and the features are counted.
        return ops.reshape(x, (-1, math.prod(_sample_shape(self, x))))


class Reshape(Module):
    """Another shape for each sample.

    Parameters
    ----------
    target_shape : sequence of int
        Without the batch axis; one size may be -1.
    name : str, optional
    """

    def __init__(self, target_shape: Sequence[int], name: str | None = None) -> None:
        super().__init__(name)
        if not all(is_size(size) or size in (-1, 0) for size in target_shape):
            raise ArgumentError(
                "Reshape takes sizes, one of which may be -1", got=repr(target_shape)
            )
        self.target_shape = tuple(target_shape)

    def forward(self, x: Value) -> Value:
        size = math.prod(_sample_shape(self, x))
        target = _resolve(self.target_shape, size)
        if math.prod(target) != size:
            raise ShapeError(
                f"{self.label} cannot make {self.target_shape} of each sample",
                got=str(x.shape),
                expected=f"{math.prod(target)} elements, or a multiple where one size is -1",
            )
        return ops.reshape(x, (-1, *target))


def _resolve(target: tuple[int, ...], size: int) -> tuple[int, ...]:
    """``target`` with its -1 worked out where ``size`` can be divided."""
    known = math.prod(each for each in target if each != -1)
    return tuple(size // max(known, 1) if each == -1 else each for each in target)


def _sample_shape(layer: Module, x: Value) -> tuple[int, ...]:
    sizes = tuple(size for size in x.shape[1:] if size is not None)
    if x.rank == 0 or len(sizes) != x.rank - 1:
        raise ShapeError(
            f"{layer.label} takes a batch of samples",
            got=str(x.shape),
            expected="(batch, ...), only the batch unknown",
        )
    return sizes
