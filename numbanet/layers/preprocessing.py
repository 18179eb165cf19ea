"""Layers that bring data into the range in which networks learn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from numbanet import ops
from numbanet.errors import ArgumentError, DataError, ShapeError
from numbanet.ir import DType, Value, Variable
from numbanet.layers.layer import Layer
from numbanet.ops.axes import normalise_axes
from numbanet.ops.leaf import constant, variable_value

_LEAST = 1e-7
"""Of standard deviations: constant features are not divided by zero."""


class Rescaling(Layer):
    """``x * scale + offset``; integers are converted.

    Parameters
    ----------
    scale : float or array_like
    offset : float or array_like
    **options
        As of `Layer`.
    """

    supports_masking = True

    def __init__(self, scale: ArrayLike, offset: ArrayLike = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale = scale
        self.offset = offset

    def forward(self, x: Value) -> Value:
        x = self.floating(x)
        return x * constant(self.scale, x.dtype) + constant(self.offset, x.dtype)


class Normalization(Layer):
    """``(x - mean) / sqrt(variance)``, of numbers that are given or those of data.

    Parameters
    ----------
    axis : int, sequence of int, or None
        The axes, counted with the batch, along which each position has a mean of its own; None
        is one for all.
    mean, variance : float or array_like, optional
        Both, or neither and `adapt` finds them.
    invert : bool
        Do the opposite: ``mean + x * sqrt(variance)``.
    **options
        As of `Layer`.

    Attributes
    ----------
    mean, variance : Variable
        Not trained. They exist if none were given.
    """

    supports_masking = True

    mean: Variable
    variance: Variable
    count: Variable

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: ArrayLike | None = None,
        variance: ArrayLike | None = None,
        invert: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.given = _given(mean, variance)
        self.invert = invert
        self.describe("mean", "zeros")
        self.describe("variance", "ones")

    def build(self, x: Value) -> None:
        if self.given is None:
            self._make(x.shape, self.floating(x).dtype)

    def _make(self, shape: tuple[int | None, ...], dtype: DType) -> None:
        sizes = [shape[axis] for axis in self._kept(len(shape))]
        known = tuple(size for size in sizes if size is not None)
        if len(known) != len(sizes):
            raise ShapeError(
                f"{self.label} has a mean along axes of known size",
                got=f"{shape} for axis {self.axis}",
            )
        self.mean = self.weight("mean", known, dtype, trainable=False)
        self.variance = self.weight("variance", known, dtype, trainable=False)
        # Keras keeps it among the weights and does not use it.
        self.count = Variable(np.int32(0), f"{self.name}/count")

    def _kept(self, rank: int) -> tuple[int, ...]:
        return normalise_axes(self.label, self.axis, rank)

    def adapt(self, data: ArrayLike | Iterable[Any]) -> None:
        """Take the mean and the variance of ``data``.

        Parameters
        ----------
        data : array or iterable of batches
            A batch may be a tuple, whose first element counts. What a former call found is
            forgotten.

        Raises
        ------
        ArgumentError
            If mean and variance were given to the layer.
        DataError
            If there is no data.
        ShapeError
            If it is not of the shape that the layer was built with.
        """
        if self.given is not None:
            raise ArgumentError(f"{self.label} was given its mean and variance")
        moments = _Moments()
        for batch in [data] if hasattr(data, "shape") else data:  # type: ignore[union-attr]
            array = np.asarray(batch[0] if isinstance(batch, tuple) else batch)
            if not self.is_built:
                self._make((None, *array.shape[1:]), self.dtype or _float_of(array))
                self._is_built = True
            kept = self._kept(array.ndim)
            sizes = tuple(array.shape[axis] for axis in kept)
            if sizes != self.mean.shape:
                raise ShapeError(
                    f"{self.label} has a mean for {self.mean.shape}", got=str(array.shape)
                )
            moments.add(array, tuple(axis for axis in range(array.ndim) if axis not in kept))
        if not moments.count:
            raise DataError(f"{self.label} cannot adapt to no data")
        self.mean.assign(moments.mean)
        self.variance.assign(moments.squares / moments.count)

    def forward(self, x: Value) -> Value:
        x = self.floating(x)
        mean, variance = (self._shaped(x, which) for which in (0, 1))
        deviation = ops.maximum(ops.sqrt(variance), _LEAST)
        return mean + x * deviation if self.invert else (x - mean) / deviation

    def _shaped(self, x: Value, which: int) -> Value:
        """The mean or the variance, so that it broadcasts."""
        kept = self._kept(x.rank)
        shape = [x.shape[axis] if axis in kept else 1 for axis in range(x.rank)]
        if self.given is None:
            variable = (self.mean, self.variance)[which]
            if variable.shape != tuple(x.shape[axis] for axis in kept):
                raise ShapeError(
                    f"{self.label} has a mean for {variable.shape}", got=str(x.shape)
                )
            return ops.reshape(variable_value(variable), shape)
        numbers = constant(self.given[which], x.dtype)
        if numbers.rank > len(kept):
            raise ShapeError(f"{self.label} was given more axes than axis={self.axis} names")
        # Axes of what was given are the last of those kept.
        own = dict(zip(reversed(kept), reversed(numbers.type.sizes), strict=False))
        return ops.reshape(numbers, [own.get(axis, 1) for axis in range(x.rank)])


class _Moments:
    """Mean and sum of squared deviations, batch by batch (Chan, Golub and LeVeque, 1983)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Any = 0.0
        self.squares: Any = 0.0

    def add(self, array: np.ndarray, axes: tuple[int, ...]) -> None:
        count = int(np.prod([array.shape[axis] for axis in axes], dtype=np.int64))
        if not count:
            return
        numbers = array.astype(np.float64)
        mean = numbers.mean(axes)
        squares = np.square(numbers - numbers.mean(axes, keepdims=True)).sum(axes)
        total = self.count + count
        apart = mean - self.mean
        self.squares = self.squares + squares + apart**2 * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total


def _given(
    mean: ArrayLike | None, variance: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray] | None:
    if mean is None and variance is None:
        return None
    if mean is None or variance is None or np.shape(mean) != np.shape(variance):
        raise ArgumentError(
            "Normalization takes a mean and a variance of one shape, or neither",
            got=f"mean={mean!r}, variance={variance!r}",
        )
    return np.asarray(mean), np.asarray(variance)


def _float_of(array: np.ndarray) -> DType:
    return DType.of(array.dtype) if array.dtype.kind == "f" else DType.FLOAT32
