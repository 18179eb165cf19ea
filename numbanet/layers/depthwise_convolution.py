"""Depthwise convolutions, of each channel by itself, and separable ones made of them."""

from __future__ import annotations

from typing import Any

from numbanet import ops
from numbanet.initializers import InitializerLike
from numbanet.ir import Value, Variable
from numbanet.layers.convolution import Convolution, Sizes
from numbanet.layers.layer import ConstraintLike, RegularizerLike
from numbanet.layers.positions import positional
from numbanet.ops.leaf import variable_value


class _Depthwise(Convolution):
    """A convolution with a kernel for each channel."""

    depthwise: str
    """Name of that kernel."""

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        *,
        depth_multiplier: int = 1,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        depthwise_regularizer: RegularizerLike = None,
        depthwise_constraint: ConstraintLike = None,
        **options: Any,
    ) -> None:
        super().__init__(kernel_size, strides, padding, **options)
        self.positive(depth_multiplier=depth_multiplier)
        self.depth_multiplier = depth_multiplier
        self.describe(
            self.depthwise, depthwise_initializer, depthwise_regularizer, depthwise_constraint
        )

    def depthwise_weight(self, x: Value, channels: int) -> Variable:
        """The kernel ``(kh, kw, channels, multiplier)``."""
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        layout = (self.rank, self.rank + 1, *range(self.rank))
        return self.weight(self.depthwise, shape, x.dtype, layout=layout)

    def each(self, x: Value, kernel: Variable) -> Value:
        """Each channel of ``x`` convolved with its part of a kernel, which is stored as
        ``[channels, multiplier, kh, kw]``."""
        channels, multiplier, *window = kernel.type.sizes
        weights = ops.reshape(variable_value(kernel), (channels * multiplier, *window, 1))
        return self.convolve(x, weights, channels)


class _DepthwiseConv(_Depthwise):
    """``activation(convolution of each channel by itself + bias)``."""

    depthwise = "kernel"
    kernel: Variable

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        **options: Any,
    ) -> None:
        options |= {"data_format": data_format, "dilation_rate": dilation_rate}
        super().__init__(
            kernel_size, strides, padding, depth_multiplier=depth_multiplier, **options
        )

    def build(self, x: Value) -> None:
        channels = self.channels(x)
        self.kernel = self.depthwise_weight(x, channels)
        self.make_bias(x, channels * self.depth_multiplier)

    def forward(self, x: Value) -> Value:
        self.check_channels(x, self.kernel.shape[-2])
        return super().forward(x)

    def images(self, x: Value) -> Value:
        return self.biased(self.each(x, self.kernel))


_depthwise_as_in_keras = positional(
    "activation",
    "use_bias",
    "depthwise_initializer",
    "bias_initializer",
    "depthwise_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "depthwise_constraint",
    "bias_constraint",
)


@_depthwise_as_in_keras
class DepthwiseConv1D(_DepthwiseConv):
    """A convolution of each channel of ``(batch, steps, channels)`` by itself.

    Parameters
    ----------
    kernel_size, strides, dilation_rate, depth_multiplier : int
    **options
        All as of `DepthwiseConv2D`. The kernel is ``(size, channels, depth_multiplier)``.
    """

    rank = 1


@_depthwise_as_in_keras
class DepthwiseConv2D(_DepthwiseConv):
    """A convolution of each channel by itself.

    Parameters
    ----------
    kernel_size, strides : int or (int, int)
    padding : {"valid", "same"}
    depth_multiplier : int
        Number of outputs for each channel.
    data_format : {"channels_last", "channels_first"}, optional
    dilation_rate : int or (int, int)
    activation : str or callable, optional
    use_bias : bool
    depthwise_initializer, bias_initializer : str, Initializer or callable
    depthwise_regularizer, bias_regularizer, activity_regularizer : str or callable, optional
    depthwise_constraint, bias_constraint : str or callable, optional
    **options
        ``name``, ``dtype`` and ``trainable``, as of `Layer`.

    Attributes
    ----------
    kernel : Variable
        Of shape (kernel height, kernel width, channels, depth_multiplier).
    bias : Variable or None
        Of shape (channels * depth_multiplier,).
    """


class _SeparableConv(_Depthwise):
    """A depthwise convolution, and then one of single pixels over all channels."""

    depthwise = "depthwise_kernel"
    depthwise_kernel: Variable
    pointwise_kernel: Variable

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        depth_multiplier: int = 1,
        *,
        pointwise_initializer: InitializerLike = "glorot_uniform",
        pointwise_regularizer: RegularizerLike = None,
        pointwise_constraint: ConstraintLike = None,
        **options: Any,
    ) -> None:
        options |= {"data_format": data_format, "dilation_rate": dilation_rate}
        super().__init__(
            kernel_size, strides, padding, depth_multiplier=depth_multiplier, **options
        )
        self.positive(filters=filters)
        self.filters = filters
        self.describe(
            "pointwise_kernel",
            pointwise_initializer,
            pointwise_regularizer,
            pointwise_constraint,
        )

    def build(self, x: Value) -> None:
        channels = self.channels(x)
        self.depthwise_kernel = self.depthwise_weight(x, channels)
        shape = (*[1] * self.rank, channels * self.depth_multiplier, self.filters)
        self.pointwise_kernel = self.weight(
            "pointwise_kernel", shape, x.dtype, layout=self.kernel_layout
        )
        self.make_bias(x, self.filters)

    def forward(self, x: Value) -> Value:
        self.check_channels(x, self.depthwise_kernel.shape[-2])
        return super().forward(x)

    def images(self, x: Value) -> Value:
        points = self.window(variable_value(self.pointwise_kernel))
        return self.biased(ops.conv2d(self.each(x, self.depthwise_kernel), points))


_separable_as_in_keras = positional(
    "activation",
    "use_bias",
    "depthwise_initializer",
    "pointwise_initializer",
    "bias_initializer",
    "depthwise_regularizer",
    "pointwise_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "depthwise_constraint",
    "pointwise_constraint",
    "bias_constraint",
)


@_separable_as_in_keras
class SeparableConv1D(_SeparableConv):
    """`DepthwiseConv1D` without an activation, and then ``Conv1D(filters, 1)``.

    Parameters
    ----------
    filters, kernel_size, strides, dilation_rate, depth_multiplier : int
    **options
        All as of `SeparableConv2D`.
    """

    rank = 1


@_separable_as_in_keras
class SeparableConv2D(_SeparableConv):
    """`DepthwiseConv2D` without an activation, and then ``Conv2D(filters, 1)``.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size, strides, padding, data_format, dilation_rate, depth_multiplier
        As of `DepthwiseConv2D`.
    activation : str or callable, optional
    use_bias : bool
    depthwise_initializer, pointwise_initializer, bias_initializer : str or callable
    depthwise_regularizer, pointwise_regularizer, bias_regularizer : str or callable, optional
    activity_regularizer : str or callable, optional
    depthwise_constraint, pointwise_constraint, bias_constraint : str or callable, optional
    **options
        ``name``, ``dtype`` and ``trainable``, as of `Layer`.

    Attributes
    ----------
    depthwise_kernel : Variable
        Of shape (kernel height, kernel width, channels, depth_multiplier).
    pointwise_kernel : Variable
        Of shape (1, 1, channels * depth_multiplier, filters).
    bias : Variable or None
        Of shape (filters,).
    """
