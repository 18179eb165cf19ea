"""Pooling of images, channels last."""

from __future__ import annotations

from collections.abc import Sequence

from numbanet import ops
from numbanet.ir import Value
from numbanet.layers.convolution import check_image, padding_name, pair
from numbanet.layers.module import Module


class _Pooling2D(Module):
    """Arguments that both window poolings share."""

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.pool_size = pair("pool_size", pool_size)
        self.strides = self.pool_size if strides is None else pair("strides", strides)
        self.padding = padding_name(padding)


class MaxPooling2D(_Pooling2D):
    """The maximum of each window.

    Parameters
    ----------
    pool_size : int or (int, int)
    strides : int or (int, int), optional
        By default the pool size.
    padding : {"valid", "same"}
    name : str, optional
    """

    def forward(self, x: Value) -> Value:
        check_image(self, x)
        return ops.max_pool2d(x, self.pool_size, stride=self.strides, padding=self.padding)


class AveragePooling2D(_Pooling2D):
    """The mean of each window; padding does not count.

    Parameters
    ----------
    pool_size : int or (int, int)
    strides : int or (int, int), optional
        By default the pool size.
    padding : {"valid", "same"}
    name : str, optional
    """

    def forward(self, x: Value) -> Value:
        check_image(self, x)
        return ops.avg_pool2d(
            x,
            self.pool_size,
            stride=self.strides,
            padding=self.padding,
            count_include_pad=False,
        )


class GlobalAveragePooling2D(Module):
    """The mean over height and width: ``(batch, height, width, channels)`` to
    ``(batch, channels)``.

    Parameters
    ----------
    keepdims : bool
        Keep height and width as axes of size one.
    name : str, optional
    """

    def __init__(self, keepdims: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self.keepdims = keepdims

    def forward(self, x: Value) -> Value:
        check_image(self, x)
        return ops.mean(x, axes=(1, 2), keepdims=self.keepdims)


class GlobalMaxPooling2D(Module):
    """The maximum over height and width.

    Parameters
    ----------
    keepdims : bool
        Keep height and width as axes of size one.
    name : str, optional
    """

    def __init__(self, keepdims: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self.keepdims = keepdims

    def forward(self, x: Value) -> Value:
        check_image(self, x)
        return ops.max(x, axes=(1, 2), keepdims=self.keepdims)
