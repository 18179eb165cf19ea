"""Noise that training adds, and inference does without."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.layers.layer import Layer
from numbanet.layers.positions import positional
from numbanet.layers.spatial import data_format_name

_SATURATED = -1.7580993408473766
"""What SELU gives far below zero, ``-scale * alpha``: alpha dropout puts it for a zero."""


class _Noise(Layer):
    """A layer that draws, from the model's stream or from one of its own."""

    supports_masking = True

    def __init__(self, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.seed = seed

    def state(self) -> tuple[Value, Value]:
        """Seed and step to draw with."""
        seed, step = ops.random_state()
        return (seed if self.seed is None else ops.constant(np.int64(self.seed))), step

    def normal(self, like: Value) -> Value:
        """Standard normal numbers while training (Box and Muller, 1958), else zeros."""
        radius = ops.random_uniform(like, *self.state(), is_noise=True)
        turn = ops.random_uniform(like, *self.state(), is_noise=True)
        # At inference both are 1/2, where the sine is exactly zero.
        return ops.sqrt(-2.0 * ops.log(1.0 - radius)) * ops.sin((turn - 0.5) * (2 * math.pi))


class _Dropout(_Noise):
    """A layer with a rate in [0, 1), that does nothing if it is zero."""

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        if not 0 <= rate < 1:
            raise ArgumentError(f"{type(self).__name__} takes a rate in [0, 1)", got=repr(rate))
        self.rate = float(rate)

    def forward(self, x: Value) -> Value:
        return self.noisy(x) if self.rate else x

    def noisy(self, x: Value) -> Value:
        raise NotImplementedError(f"{type(self).__name__} does not implement noisy()")

    def mask(self, x: Value, shared: Sequence[int]) -> Value:
        """``1 / (1 - rate)`` or zero, one number along the ``shared`` axes; else ones."""
        part = x[tuple(slice(0, 1) if i in shared else slice(None) for i in range(x.rank))]
        return ops.dropout(ops.ones_like(part), self.rate, *self.state())

    def shared_axes(self, x: Value, noise_shape: Sequence[int | None] | None) -> list[int]:
        """Where ``noise_shape`` has a one, and ``x`` more."""
        if noise_shape is None:
            return []
        fits = len(noise_shape) == x.rank and all(
            wanted in (None, 1, size) for wanted, size in zip(noise_shape, x.shape, strict=True)
        )
        if not fits:
            raise ShapeError(
                f"{self.label} takes a noise_shape that broadcasts to its input",
                got=f"{tuple(noise_shape)} for {x.shape}",
            )
        return [i for i, wanted in enumerate(noise_shape) if wanted == 1 != x.shape[i]]


class Dropout(_Dropout):
    """While training, sets elements to zero with probability ``rate`` and scales the others by
    ``1 / (1 - rate)`` (Srivastava et al., 2014). Otherwise returns its input.

    Parameters
    ----------
    rate : float
        In [0, 1).
    noise_shape : sequence of (int or None), optional
        Where a size is one, all elements along that axis share their fate.
    seed : int, optional
        Draws from a stream of its own; two layers of one seed still differ.
    **options
        As of `Layer`.
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(rate, seed, **options)
        self.noise_shape = noise_shape

    def noisy(self, x: Value) -> Value:
        shared = self.shared_axes(x, self.noise_shape)
        return x * self.mask(x, shared) if shared else ops.dropout(x, self.rate, *self.state())


class AlphaDropout(_Dropout):
    """Dropout that keeps zero mean and unit variance, made for SELU (Klambauer et al., 2017).

    Parameters
    ----------
    rate : float
        In [0, 1).
    noise_shape, seed, **options
        As of `Dropout`.
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(rate, seed, **options)
        self.noise_shape = noise_shape

    def noisy(self, x: Value) -> Value:
        mask = self.mask(x, self.shared_axes(x, self.noise_shape))
        scale = ((1 - self.rate) * (1 + self.rate * _SATURATED**2)) ** -0.5
        shift = -scale * _SATURATED * self.rate
        # At inference the mask is the ones that it was drawn from, and the input stays.
        kept = ops.where(ops.equal(mask, 1), x, x * scale + shift)
        return ops.where(mask > 0, kept, _SATURATED * scale + shift)


class GaussianDropout(_Dropout):
    """While training, multiplies by normal numbers of mean 1 and variance
    ``rate / (1 - rate)`` (Srivastava et al., 2014).

    Parameters
    ----------
    rate : float
        In [0, 1).
    seed, **options
        As of `Dropout`.
    """

    def noisy(self, x: Value) -> Value:
        return x * (1.0 + self.normal(x) * math.sqrt(self.rate / (1.0 - self.rate)))


class GaussianNoise(_Noise):
    """While training, adds normal numbers of mean zero.

    Parameters
    ----------
    stddev : float
        Their standard deviation, not negative.
    seed, **options
        As of `Dropout`.
    """

    def __init__(self, stddev: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        if stddev < 0:
            raise ArgumentError("GaussianNoise takes a stddev >= 0", got=repr(stddev))
        self.stddev = float(stddev)

    def forward(self, x: Value) -> Value:
        return x + self.normal(x) * self.stddev if self.stddev else x


class _SpatialDropout(_Dropout):
    """Drops whole channels, as neighbouring pixels are much alike."""

    rank: ClassVar[int]

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(rate, seed, **options)
        self.data_format = data_format_name(data_format)

    def noisy(self, x: Value) -> Value:
        if x.rank != self.rank + 2:
            raise ShapeError(
                f"{self.label} drops channels",
                got=str(x.shape),
                expected=f"{self.rank + 2} axes",
            )
        first = 2 if self.data_format == "channels_first" else 1
        return x * self.mask(x, range(first, first + self.rank))


_as_in_keras = positional(
    "name",
    "dtype",
)


@_as_in_keras
class SpatialDropout1D(_SpatialDropout):
    """`Dropout` of whole channels of ``(batch, steps, channels)`` (Tompson et al., 2015).

    Parameters
    ----------
    rate : float
        In [0, 1).
    seed, **options
        As of `Dropout`.
    """

    rank = 1

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(rate, None, seed, **options)


@_as_in_keras
class SpatialDropout2D(_SpatialDropout):
    """`Dropout` of whole channels of images (Tompson et al., 2015).

    Parameters
    ----------
    rate : float
        In [0, 1).
    data_format : {"channels_last", "channels_first"}, optional
    seed, **options
        As of `Dropout`.
    """

    rank = 2
