"""Pooling of series and images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from numbanet import ops
from numbanet.ir import Value
from numbanet.layers.convolution import Sizes
from numbanet.layers.positions import positional
from numbanet.layers.spatial import Spatial, padding_name, pair


class _Pooling(Spatial):
    """One number for each window."""

    pool: ClassVar[Callable[..., Value]]

    def __init__(
        self,
        pool_size: Sizes = 2,
        strides: Sizes | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(data_format, **options)
        self.pool_size = self.sizes("pool_size", pool_size)
        self.strides = self.pool_size if strides is None else self.sizes("strides", strides)
        self.padding = padding_name(padding)

    def images(self, x: Value) -> Value:
        window, stride = pair(self.pool_size), pair(self.strides)
        return type(self).pool(x, window, stride=stride, padding=self.padding)


@positional("name")
class MaxPooling1D(_Pooling):
    """The maximum of each window of ``(batch, steps, channels)``.

    Parameters
    ----------
    pool_size, strides, padding, data_format, **options
        As of `MaxPooling2D`, for one axis.
    """

    rank = 1
    pool = ops.max_pool2d


@positional("name")
class MaxPooling2D(_Pooling):
    """The maximum of each window.

    Parameters
    ----------
    pool_size : int or (int, int)
    strides : int or (int, int), optional
        By default the pool size.
    padding : {"valid", "same"}
    data_format : {"channels_last", "channels_first"}, optional
    **options
        As of `Layer`.
    """

    pool = ops.max_pool2d


@positional("name")
class AveragePooling1D(_Pooling):
    """The mean of each window of ``(batch, steps, channels)``; padding does not count.

    Parameters
    ----------
    pool_size, strides, padding, data_format, **options
        As of `MaxPooling2D`, for one axis.
    """

    rank = 1
    pool = ops.avg_pool2d


@positional("name")
class AveragePooling2D(_Pooling):
    """The mean of each window; padding does not count.

    Parameters
    ----------
    pool_size, strides, padding, data_format, **options
        As of `MaxPooling2D`.
    """

    pool = ops.avg_pool2d


class _GlobalPooling(Spatial):
    """One number for each channel."""

    reduce: ClassVar[Callable[..., Value]]

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **options: Any
    ) -> None:
        super().__init__(data_format, **options)
        self.keepdims = keepdims

    def forward(self, x: Value) -> Value:
        self.check(x)
        first = 2 if self.has_channels_first else 1
        axes = tuple(range(first, first + self.rank))
        return type(self).reduce(x, axes, keepdims=self.keepdims)


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over all steps: ``(batch, steps, channels)`` to ``(batch, channels)``.

    Called with a ``mask`` ``(batch, steps)`` it is the mean of steps where that is true.

    Parameters
    ----------
    data_format, keepdims, **options
        As of `GlobalAveragePooling2D`.
    """

    rank = 1
    reduce = ops.mean

    def forward(self, x: Value, mask: Value | None = None) -> Value:
        if mask is None:
            return super().forward(x)
        self.check(x)
        steps, channels = (2, 1) if self.has_channels_first else (1, 2)
        kept = ops.expand_dims(mask, channels)
        total = ops.sum(ops.where(kept, x, 0), steps, keepdims=self.keepdims)
        return total / ops.sum(ops.cast(kept, x.dtype), steps, keepdims=self.keepdims)

    def compute_mask(self, inputs: Value, previous_mask: Value | None = None) -> None:
        """None: no steps are left."""


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean over height and width: ``(batch, height, width, channels)`` to
    ``(batch, channels)``.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
    keepdims : bool
        Keep height and width as axes of size one.
    **options
        As of `Layer`.
    """

    reduce = ops.mean


class GlobalMaxPooling1D(_GlobalPooling):
    """The maximum over all steps.

    Parameters
    ----------
    data_format, keepdims, **options
        As of `GlobalAveragePooling2D`.
    """

    rank = 1
    reduce = ops.max


class GlobalMaxPooling2D(_GlobalPooling):
    """The maximum over height and width.

    Parameters
    ----------
    data_format, keepdims, **options
        As of `GlobalAveragePooling2D`.
    """

    reduce = ops.max
