"""Convolutions that count the channels of their first input."""

from __future__ import annotations

from typing import Any

from numbanet.errors import ShapeError
from numbanet.nn.convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    Convolution,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    Sizes,
)
from numbanet.nn.lazy import LazyModuleMixin


class _Lazy(LazyModuleMixin, Convolution):
    """A convolution that counts the channels of its first input."""

    def __init__(
        self, out_channels: int, kernel_size: Sizes, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(0, out_channels, kernel_size, *args, **kwargs)

    def initialize_parameters(self, input: Any) -> None:
        channels = input.shape[-self.axes - 1] if len(input.shape) > self.axes else None
        if not channels or channels % self.groups:
            raise ShapeError(
                f"{type(self).__name__} takes channels that are a multiple of groups",
                got=str(tuple(input.shape)),
                expected=f"a multiple of {self.groups} channels before the axes of pixels",
            )
        self.in_channels = channels
        if self.has_uninitialized_params():
            self._materialize()


class LazyConv1d(_Lazy, Conv1d):
    """`Conv1d` whose ``in_channels`` are those of its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_Lazy, Conv2d):
    """`Conv2d` whose ``in_channels`` are those of its first input."""

    cls_to_become = Conv2d


class LazyConvTranspose1d(_Lazy, ConvTranspose1d):
    """`ConvTranspose1d` whose ``in_channels`` are those of its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_Lazy, ConvTranspose2d):
    """`ConvTranspose2d` whose ``in_channels`` are those of its first input."""

    cls_to_become = ConvTranspose2d


class LazyConv3d(_Lazy, Conv3d):
    """`Conv3d` whose ``in_channels`` are those of its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose3d(_Lazy, ConvTranspose3d):
    """`ConvTranspose3d` whose ``in_channels`` are those of its first input."""

    cls_to_become = ConvTranspose3d
