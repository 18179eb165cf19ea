"""Pooling of series, images and volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from numbanet.nn import functional as F  # noqa: N812
from numbanet.nn.module import Module
from numbanet.ops.window import as_sizes

Sizes = int | Sequence[int]
OutputSize = int | None | Sequence[int | None]


class _MaxPool(Module):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )

    def geometry(self) -> tuple[Any, ...]:
        window = self.kernel_size, self.stride, self.padding, self.dilation
        return *window, self.ceil_mode, self.return_indices


class MaxPool1d(_MaxPool):
    """The largest element of each window; arguments as of `functional.max_pool1d`."""

    def forward(self, input: Any) -> Any:
        return F.max_pool1d(input, *self.geometry())


class MaxPool2d(_MaxPool):
    """The largest pixel of each window; arguments as of `functional.max_pool2d`."""

    def forward(self, input: Any) -> Any:
        return F.max_pool2d(input, *self.geometry())


class MaxPool3d(_MaxPool):
    """The largest element of each window; arguments as of `functional.max_pool3d`."""

    def forward(self, input: Any) -> Any:
        return F.max_pool3d(input, *self.geometry())


class _MaxUnpool(Module):
    axes: ClassVar[int]

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0
    ) -> None:
        super().__init__()
        self.kernel_size = as_sizes("kernel_size", kernel_size, self.axes)
        self.stride = (
            self.kernel_size if stride is None else as_sizes("stride", stride, self.axes)
        )
        self.padding = as_sizes("padding", padding, self.axes, 0)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Maxima back in their places; arguments as of `functional.max_unpool1d`."""

    axes = 1

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        geometry = self.kernel_size, self.stride, self.padding
        return F.max_unpool1d(input, indices, *geometry, output_size)


class MaxUnpool2d(_MaxUnpool):
    """Maxima back in their places; arguments as of `functional.max_unpool2d`."""

    axes = 2

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        geometry = self.kernel_size, self.stride, self.padding
        return F.max_unpool2d(input, indices, *geometry, output_size)


class MaxUnpool3d(_MaxUnpool):
    """Maxima back in their places; arguments as of `functional.max_unpool3d`."""

    axes = 3

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        geometry = self.kernel_size, self.stride, self.padding
        return F.max_unpool3d(input, indices, *geometry, output_size)


class AvgPool1d(Module):
    """The mean of each window; arguments as of `functional.avg_pool1d`."""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = as_sizes("kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else as_sizes("stride", stride, 1)
        self.padding = as_sizes("padding", padding, 1, 0)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Any) -> Any:
        geometry = self.kernel_size, self.stride, self.padding
        return F.avg_pool1d(input, *geometry, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def geometry(self) -> tuple[Any, ...]:
        window = self.kernel_size, self.stride, self.padding
        return *window, self.ceil_mode, self.count_include_pad, self.divisor_override

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean of each window; arguments as of `functional.avg_pool2d`."""

    def forward(self, input: Any) -> Any:
        return F.avg_pool2d(input, *self.geometry())


class AvgPool3d(_AvgPool):
    """The mean of each window; arguments as of `functional.avg_pool3d`."""

    def forward(self, input: Any) -> Any:
        return F.avg_pool3d(input, *self.geometry())


class _LPPool(Module):
    def __init__(
        self,
        norm_type: float,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.norm_type, self.kernel_size = norm_type, kernel_size
        self.stride, self.ceil_mode = stride, ceil_mode

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, ceil_mode={self.ceil_mode}"
        )

    def geometry(self) -> tuple[Any, ...]:
        return float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode


class LPPool1d(_LPPool):
    """The p-norm of each window; arguments as of `functional.lp_pool1d`."""

    def forward(self, input: Any) -> Any:
        return F.lp_pool1d(input, *self.geometry())


class LPPool2d(_LPPool):
    """The p-norm of each window; arguments as of `functional.lp_pool2d`."""

    def forward(self, input: Any) -> Any:
        return F.lp_pool2d(input, *self.geometry())


class LPPool3d(_LPPool):
    """The p-norm of each window; arguments as of `functional.lp_pool3d`."""

    def forward(self, input: Any) -> Any:
        return F.lp_pool3d(input, *self.geometry())


class _AdaptivePool(Module):
    def __init__(self, output_size: OutputSize) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """Means of as many windows as wanted; see `functional.adaptive_avg_pool1d`."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptivePool):
    """Means of as many windows as wanted; see `functional.adaptive_avg_pool2d`."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptivePool):
    """Means of as many windows as wanted; see `functional.adaptive_avg_pool3d`."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_avg_pool3d(input, self.output_size)


class _AdaptiveMaxPool(_AdaptivePool):
    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima of as many windows as wanted; see `functional.adaptive_max_pool1d`."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima of as many windows as wanted; see `functional.adaptive_max_pool2d`."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maxima of as many windows as wanted; see `functional.adaptive_max_pool3d`."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)
