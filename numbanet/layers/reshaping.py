"""Layers that only rearrange or repeat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.layers.layer import Layer
from numbanet.layers.module import Module, is_size
from numbanet.layers.spatial import data_format_name


class Flatten(Layer):
    """One axis for all features of a sample: ``(batch, h, w, c)`` to ``(batch, h * w * c)``.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels of the input are; in the result they are last.
    **options
        As of `Layer`.
    """

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.data_format = data_format_name(data_format)

    def forward(self, x: Value) -> Value:
        features = math.prod(_sample_shape(self, x))
        if self.data_format == "channels_first" and x.rank > 2:
            x = ops.transpose(x, (0, *range(2, x.rank), 1))
        # The batch may be unknown, so its axis is the -1, and the features are counted.
        return ops.reshape(x, (-1, features))


class Reshape(Layer):
    """Another shape for each sample.

    Parameters
    ----------
    target_shape : sequence of int
        Without the batch axis; one size may be -1.
    **options
        As of `Layer`.
    """

    def __init__(self, target_shape: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        target = tuple(target_shape)
        if not all(is_size(size) or size in (-1, 0) for size in target) or target.count(-1) > 1:
            raise ArgumentError(
                "Reshape takes sizes, one of which may be -1", got=repr(target_shape)
            )
        self.target_shape = target

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


class Permute(Layer):
    """Each sample's axes in another order.

    Parameters
    ----------
    dims : sequence of int
        For each axis of the result, the one that it is, counted from 1: the batch is axis 0 and
        stays.
    **options
        As of `Layer`.
    """

    def __init__(self, dims: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        if sorted(dims) != list(range(1, len(dims) + 1)):
            raise ArgumentError(
                "Permute takes the axes of a sample, counted from 1, once each", got=repr(dims)
            )
        self.dims = tuple(dims)

    def forward(self, x: Value) -> Value:
        return ops.transpose(x, (0, *self.dims))


class RepeatVector(Layer):
    """Each vector ``n`` times: ``(batch, features)`` to ``(batch, n, features)``.

    Parameters
    ----------
    n : int
    **options
        As of `Layer`.
    """

    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        if not is_size(n):
            raise ArgumentError("RepeatVector takes a positive number", got=repr(n))
        self.n = n

    def forward(self, x: Value) -> Value:
        if x.rank != 2:
            raise ShapeError(
                f"{self.label} repeats vectors", got=str(x.shape), expected="(batch, features)"
            )
        return ops.expand(ops.expand_dims(x, 1), (-1, self.n, -1))


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
