"""Convolutions of series, images and volumes, and their transposes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from numbanet.errors import ArgumentError, ShapeError
from numbanet.nn import functional as F  # noqa: N812
from numbanet.nn import init
from numbanet.nn.conversion import check_device
from numbanet.nn.factory import element_type
from numbanet.nn.lazy import LazyModuleMixin
from numbanet.nn.module import Module
from numbanet.nn.parameter import UninitializedParameter
from numbanet.ops.window import as_sizes

Sizes = int | Sequence[int]

_CONVOLVE = (F.conv1d, F.conv2d, F.conv3d)
_TRANSPOSE = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class Convolution(Module):
    """What all convolutions have; ``axes`` is how many axes of pixels there are."""

    axes: ClassVar[int]
    is_transposed: ClassVar[bool] = False

    in_channels: int
    weight: Any
    bias: Any

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes,
        padding: Sizes | str,
        dilation: Sizes,
        output_padding: Sizes,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.groups, self.padding_mode = groups, padding_mode
        self.kernel_size = as_sizes("kernel_size", kernel_size, self.axes)
        self.stride = as_sizes("stride", stride, self.axes)
        self.dilation = as_sizes("dilation", dilation, self.axes)
        self.output_padding = as_sizes("output_padding", output_padding, self.axes, 0)
        self.padding = (
            padding if isinstance(padding, str) else as_sizes("padding", padding, self.axes, 0)
        )
        self._check()
        check_device(device)
        element = element_type(dtype)
        # Kernels read weights channels-last.
        layout = (0, *range(2, self.axes + 2), 1)
        self.weight = UninitializedParameter(layout=layout, dtype=element)
        if bias:
            self.bias = UninitializedParameter(dtype=element)
        else:
            self.register_parameter("bias", None)
        if in_channels:
            self._materialize()

    def _check(self) -> None:
        name, groups = type(self).__name__, self.groups
        for what in ("in_channels", "out_channels"):
            channels = getattr(self, what)
            is_counted = what == "in_channels" and isinstance(self, LazyModuleMixin)
            if groups < 1 or channels % groups or (channels < 1 and not is_counted):
                raise ArgumentError(
                    f"{name} takes channels that are a positive multiple of groups",
                    got=f"{what}={channels}, groups={groups}",
                )
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ArgumentError(
                    "unknown padding", got=repr(self.padding), expected="'same' or 'valid'"
                )
            if self.padding == "same" and max(self.stride) > 1:
                raise ArgumentError(
                    f"{name} with padding='same' has a stride of one", got=str(self.stride)
                )
        modes = _PADDING_MODES[:1] if self.is_transposed else _PADDING_MODES
        if self.padding_mode not in modes:
            raise ArgumentError(
                f"{name} has no such padding_mode",
                got=repr(self.padding_mode),
                expected=" or ".join(map(repr, modes)),
            )

    def _materialize(self) -> None:
        channels = self.out_channels, self.in_channels // self.groups
        if self.is_transposed:
            channels = self.in_channels, self.out_channels // self.groups
        self.weight.materialize((*channels, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """New first numbers: uniform, to plus or minus ``1 / sqrt(fan_in)``."""
        if isinstance(self.weight, UninitializedParameter):
            return
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan = math.prod(self.weight.shape[1:])
        if self.bias is not None and fan:
            init.uniform_(self.bias, -1 / math.sqrt(fan), 1 / math.sqrt(fan))

    def extra_repr(self) -> str:
        none, ones = (0,) * self.axes, (1,) * self.axes
        said = [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}, stride={self.stride}",
        ]
        defaults = {
            "padding": none,
            "dilation": ones,
            "output_padding": none,
            "groups": 1,
        }
        said += [
            f"{name}={getattr(self, name)}"
            for name, default in defaults.items()
            if getattr(self, name) != default
        ]
        if self.bias is None:
            said.append("bias=False")
        if self.padding_mode != "zeros":
            said.append(f"padding_mode={self.padding_mode}")
        return ", ".join(said)


class _Direct(Convolution):
    """Signature and ``forward`` of the convolutions that are not transposed."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Any) -> Any:
        convolve = _CONVOLVE[self.axes - 1]
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._border(), mode=self.padding_mode)
            padding = 0
        return convolve(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def _border(self) -> tuple[int, ...]:
        """Padding as `functional.pad` takes it: the last axis first."""
        if self.padding == "valid":
            return (0, 0) * self.axes
        if isinstance(self.padding, str):
            totals = [
                spacing * (size - 1)
                for spacing, size in zip(self.dilation, self.kernel_size, strict=True)
            ]
            return tuple(n for total in totals[::-1] for n in (total // 2, total - total // 2))
        return tuple(side for side in self.padding[::-1] for _ in range(2))


class Conv1d(_Direct):
    """Convolution of series ``[N, C, L]`` or ``[C, L]``; see `Conv2d` and `functional.conv1d`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups
        As of `Conv2d`, for one axis.
    bias, padding_mode, device, dtype
        As of `Conv2d`.

    Attributes
    ----------
    weight : Parameter
        ``[out_channels, in_channels / groups, k]``.
    bias : Parameter or None
        ``[out_channels]``.
    """

    axes = 1


class Conv2d(_Direct):
    """Convolution of images ``[N, C, H, W]`` or ``[C, H, W]``; see `functional.conv2d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or (int, int)
    padding : int, (int, int), "same" or "valid"
    groups : int
    bias : bool
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What the border holds, see `functional.pad`.
    device : str, optional
        The device in use; no other is supported.
    dtype : DType or str, optional
        Of the parameters, float32 by default.

    Attributes
    ----------
    weight : Parameter
        ``[out_channels, in_channels / groups, kh, kw]``, stored channels-last. Weight and bias
        are drawn uniformly from plus or minus ``1 / sqrt(kh * kw * in_channels / groups)``.
    bias : Parameter or None
        ``[out_channels]``.

    Raises
    ------
    ArgumentError
        If an argument is not of these forms, or groups do not divide the channels.
    NotImplementedError
        If ``device`` is another one.
    """

    axes = 2


class Conv3d(_Direct):
    """Convolution of volumes ``[N, C, D, H, W]``; see `Conv2d` and `functional.conv3d`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups
        As of `Conv2d`, for three axes.
    bias, padding_mode, device, dtype
        As of `Conv2d`.

    Attributes
    ----------
    weight : Parameter
        ``[out_channels, in_channels / groups, kd, kh, kw]``.
    bias : Parameter or None
        ``[out_channels]``.
    """

    axes = 3


class _Transposed(Convolution):
    """Signature and ``forward`` of the transposed convolutions."""

    is_transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            as_sizes("padding", padding, self.axes, 0),
            dilation,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Any, output_size: Sequence[int] | None = None) -> Any:
        convolve = _TRANSPOSE[self.axes - 1]
        more = self.output_padding
        if output_size is not None:
            more = self._output_padding(tuple(input.shape[-self.axes :]), tuple(output_size))
        return convolve(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            more,
            self.groups,
            self.dilation,
        )

    def _output_padding(
        self, sizes: tuple[int, ...], wanted: tuple[int, ...]
    ) -> tuple[int, ...]:
        """What makes the result as large as wanted."""
        least = [
            (sizes[i] - 1) * self.stride[i]
            - 2 * int(self.padding[i])
            + self.dilation[i] * (self.kernel_size[i] - 1)
            + 1
            for i in range(self.axes)
        ]
        # Leading axes may be said, too.
        more = [want - size for want, size in zip(wanted[-self.axes :], least, strict=False)]
        fits = all(0 <= extra < step for extra, step in zip(more, self.stride, strict=False))
        if len(wanted) not in range(self.axes, self.axes + 3) or not fits:
            most = [size + step - 1 for size, step in zip(least, self.stride, strict=True)]
            raise ShapeError(
                f"{type(self).__name__} cannot give this output_size",
                got=str(wanted),
                expected=f"from {tuple(least)} to {tuple(most)}",
            )
        return tuple(more)


class ConvTranspose1d(_Transposed):
    """Transposed convolution of series ``[N, C, L]`` or ``[C, L]``; see `ConvTranspose2d`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias
        As of `ConvTranspose2d`, for one axis.
    dilation, padding_mode, device, dtype
        As of `ConvTranspose2d`.

    Attributes
    ----------
    weight : Parameter
        ``[in_channels, out_channels / groups, k]``.
    bias : Parameter or None
        ``[out_channels]``.
    """

    axes = 1


class ConvTranspose2d(_Transposed):
    """Transposed convolution of images; see `functional.conv_transpose2d`.

    It is called with images ``[N, C, H, W]`` or ``[C, H, W]``, and perhaps with the
    ``output_size`` that is wanted: then ``output_padding`` is what gives that.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, output_padding : int or (int, int)
    groups : int
    bias : bool
    dilation : int or (int, int)
    padding_mode : {"zeros"}
    device, dtype
        As of `Conv2d`.

    Attributes
    ----------
    weight : Parameter
        ``[in_channels, out_channels / groups, kh, kw]``, stored channels-last. Weight and bias
        are drawn uniformly from plus or minus ``1 / sqrt(kh * kw * out_channels / groups)``.
    bias : Parameter or None
        ``[out_channels]``.

    Raises
    ------
    ArgumentError, NotImplementedError
        As of `Conv2d`.
    """

    axes = 2


class ConvTranspose3d(_Transposed):
    """Transposed convolution of volumes ``[N, C, D, H, W]``; see `ConvTranspose2d`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias
        As of `ConvTranspose2d`, for three axes.
    dilation, padding_mode, device, dtype
        As of `ConvTranspose2d`.

    Attributes
    ----------
    weight : Parameter
        ``[in_channels, out_channels / groups, kd, kh, kw]``.
    bias : Parameter or None
        ``[out_channels]``.
    """

    axes = 3
