"""Convolutions of series and images, and transposed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.initializers import InitializerLike
from numbanet.ir import Value, Variable
from numbanet.layers import activation as activations
from numbanet.layers.activation import ActivationLike
from numbanet.layers.layer import ConstraintLike, RegularizerLike
from numbanet.layers.module import is_size
from numbanet.layers.spatial import Spatial, padding_name, pair
from numbanet.ops.leaf import variable_value

Sizes = int | Sequence[int]


class _Convolution(Spatial):
    """What all convolutions share: a window, a bias and an activation."""

    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")
    bias: Variable | None = None

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes,
        padding: str,
        dilation_rate: Sizes,
        activation: ActivationLike,
        use_bias: bool,
        bias_options: tuple[InitializerLike, RegularizerLike, ConstraintLike],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.kernel_size = self.sizes("kernel_size", kernel_size)
        self.strides = self.sizes("strides", strides)
        self.padding = padding_name(padding, self.paddings)
        self.dilation_rate = self.sizes("dilation_rate", dilation_rate)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.describe("bias", *bias_options)

    def forward(self, x: Value) -> Value:
        return self.activation(super().forward(x))

    def check_channels(self, x: Value, channels: int) -> None:
        if self.channels(x) != channels:
            raise ShapeError(
                f"{self.label} has weights for {channels} channels", got=str(x.shape)
            )

    def make_bias(self, x: Value, outputs: int) -> None:
        if self.use_bias:
            self.bias = self.weight("bias", (outputs,), x.dtype)

    def biased(self, y: Value) -> Value:
        return y if self.bias is None else y + variable_value(self.bias)

    def convolve(self, x: Value, kernel: Value, groups: int) -> Value:
        """``x`` convolved with ``[out, (kh,) kw, in / groups]``."""
        return ops.conv2d(
            x,
            self.window(kernel),
            stride=pair(self.strides),
            padding=self.image_padding(),
            dilation=pair(self.dilation_rate),
            groups=groups,
        )

    def window(self, kernel: Value) -> Value:
        return ops.expand_dims(kernel, 1) if self.rank == 1 else kernel

    def image_padding(self) -> Any:
        if self.padding != "causal":
            return self.padding
        return (0, 0), ((self.kernel_size[0] - 1) * self.dilation_rate[0], 0)

    @property
    def kernel_layout(self) -> tuple[int, ...]:
        """From Keras's ``[kh, kw, in, out]`` to the kernels' ``[out, kh, kw, in]``."""
        return (self.rank + 1, *range(self.rank + 1))


class _Conv(_Convolution):
    """``activation(convolution(x, kernel) + bias)``."""

    kernel: Variable

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        groups: int = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        **options: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            dilation_rate,
            activation,
            use_bias,
            (bias_initializer, bias_regularizer, bias_constraint),
            data_format=data_format,
            activity_regularizer=activity_regularizer,
            **options,
        )
        if not (is_size(filters) and is_size(groups)) or filters % groups:
            raise ArgumentError(
                f"{type(self).__name__} takes a positive number of filters, a multiple of "
                "groups",
                got=f"filters={filters}, groups={groups}",
            )
        self.filters = filters
        self.groups = groups
        self.describe("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)

    def build(self, x: Value) -> None:
        channels = self.channels(x)
        if channels == 0 or channels % self.groups:
            raise ShapeError(
                f"{self.label} splits the channels into {self.groups} groups",
                got=str(x.shape),
                expected=f"a multiple of {self.groups} channels",
            )
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self.weight("kernel", shape, x.dtype, layout=self.kernel_layout)
        self.make_bias(x, self.filters)

    def forward(self, x: Value) -> Value:
        self.check_channels(x, self.kernel.shape[-2] * self.groups)
        return super().forward(x)

    def images(self, x: Value) -> Value:
        return self.biased(self.convolve(x, variable_value(self.kernel), self.groups))


class Conv1D(_Conv):
    """``activation(convolution(x, kernel) + bias)`` of ``(batch, steps, channels)``.

    Parameters
    ----------
    filters, kernel_size, strides, dilation_rate, groups : int
        As of `Conv2D`.
    padding : {"valid", "same", "causal"}
        ``"causal"`` pads before the series only, so that no output sees later steps.
    **options
        All others as of `Conv2D`. The kernel is ``(size, channels / groups, filters)``.
    """

    rank = 1
    paddings = ("valid", "same", "causal")


class Conv2D(_Conv):
    """``activation(convolution(x, kernel) + bias)`` of ``(batch, height, width, channels)``.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int or (int, int)
    strides : int or (int, int)
    padding : {"valid", "same"}
        ``"same"`` pads so that the output has ``ceil(size / stride)`` rows and columns, the odd
        pixel at the end.
    data_format : {"channels_last", "channels_first"}, optional
    dilation_rate : int or (int, int)
    groups : int
        Input and output channels are split into this many independent groups.
    activation : str or callable, optional
    use_bias : bool
    kernel_initializer, bias_initializer : str, Initializer or callable
    kernel_regularizer, bias_regularizer, activity_regularizer : str or callable, optional
    kernel_constraint, bias_constraint : str or callable, optional
    **options
        ``name``, ``dtype`` and ``trainable``, as of `Layer`.

    Attributes
    ----------
    kernel : Variable
        Of shape (kernel height, kernel width, channels / groups, filters).
    bias : Variable or None
        Of shape (filters,).

    Raises
    ------
    ShapeError
        On an input of another rank or number of channels, or smaller than the kernel.
    """


class _ConvTranspose(_Convolution):
    """``activation(transposed convolution(x, kernel) + bias)``."""

    kernel: Variable

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        output_padding: Sizes | None = None,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        **options: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            dilation_rate,
            activation,
            use_bias,
            (bias_initializer, bias_regularizer, bias_constraint),
            data_format=data_format,
            activity_regularizer=activity_regularizer,
            **options,
        )
        if not is_size(filters):
            raise ArgumentError(
                f"{type(self).__name__} takes a positive number of filters", got=repr(filters)
            )
        self.filters = filters
        self.output_padding = self._more(output_padding)
        self.describe("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)

    def _more(self, more: Sizes | None) -> tuple[int | None, ...]:
        if more is None:
            return (None,) * self.rank
        listed = tuple(more) if isinstance(more, Sequence) else (more,) * self.rank
        fits = len(listed) == self.rank and all(
            isinstance(n, int) and 0 <= n < stride
            for n, stride in zip(listed, self.strides, strict=True)
        )
        if not fits:
            raise ArgumentError(
                "output_padding is not negative and less than the stride",
                got=repr(more),
                expected=f"below {self.strides}",
            )
        return listed

    def build(self, x: Value) -> None:
        shape = (*self.kernel_size, self.filters, self.channels(x))
        self.kernel = self.weight("kernel", shape, x.dtype, layout=self.kernel_layout)
        self.make_bias(x, self.filters)

    def forward(self, x: Value) -> Value:
        self.check_channels(x, self.kernel.shape[-1])
        return super().forward(x)

    def images(self, x: Value) -> Value:
        edges = [
            self._edges(*each)
            for each in zip(
                self.kernel_size,
                self.strides,
                self.dilation_rate,
                self.output_padding,
                strict=True,
            )
        ]
        rows, columns = edges if self.rank == 2 else ((0, 0, 0), *edges)
        y = ops.conv2d_transpose(
            x,
            self.window(variable_value(self.kernel)),
            stride=pair(self.strides),
            padding=(rows[:2], columns[:2]),
            output_padding=(rows[2], columns[2]),
            dilation=pair(self.dilation_rate),
        )
        return self.biased(y)

    def _edges(
        self, kernel: int, stride: int, dilation: int, more: int | None
    ) -> tuple[int, int, int]:
        """What is cut off before and after all that the windows reach, and what is added.

        ``"valid"`` keeps all, but no less than a stride for each input; ``"same"`` keeps a
        stride for each input. ``output_padding`` counts from where a convolution that pads
        half of its kernel on both sides would begin and end.
        """
        reach = (kernel - 1) * dilation + 1
        if self.padding == "valid":
            return 0, 0, max(stride - reach, 0) if more is None else more
        total = reach - stride if more is None else reach - reach % 2 - more
        before = max(total // 2, 0)
        after = total - before
        return before, max(after, 0), max(-after, 0)


class Conv1DTranspose(_ConvTranspose):
    """A transposed convolution of ``(batch, steps, channels)``; see `Conv2DTranspose`.

    Parameters
    ----------
    filters, kernel_size, strides, output_padding, dilation_rate : int
    **options
        All as of `Conv2DTranspose`. The kernel is ``(size, filters, channels)``.
    """

    rank = 1


class Conv2DTranspose(_ConvTranspose):
    """A transposed convolution: the data gradient of `Conv2D` as a layer.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size, strides : int or (int, int)
    padding : {"valid", "same"}
        ``"same"`` gives ``stride`` times the size; ``"valid"`` all that the windows reach.
    output_padding : int or (int, int), optional
        Less than the strides: another size of the result, for which ``"same"`` cuts half a
        kernel off on each side.
    **options
        All others as of `Conv2D`.

    Attributes
    ----------
    kernel : Variable
        Of shape (kernel height, kernel width, filters, channels).
    bias : Variable or None
        Of shape (filters,).
    """


class _DepthwiseConv(_Convolution):
    """``activation(convolution of each channel by itself + bias)``."""

    kernel: Variable

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        depthwise_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        depthwise_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        **options: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            dilation_rate,
            activation,
            use_bias,
            (bias_initializer, bias_regularizer, bias_constraint),
            data_format=data_format,
            activity_regularizer=activity_regularizer,
            **options,
        )
        self.depth_multiplier = _multiplier(depth_multiplier)
        self.describe(
            "kernel", depthwise_initializer, depthwise_regularizer, depthwise_constraint
        )

    def build(self, x: Value) -> None:
        channels = self.channels(x)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self.weight("kernel", shape, x.dtype, layout=depthwise_layout(self.rank))
        self.make_bias(x, channels * self.depth_multiplier)

    def forward(self, x: Value) -> Value:
        self.check_channels(x, self.kernel.shape[-2])
        return super().forward(x)

    def images(self, x: Value) -> Value:
        channels = self.kernel.shape[-2]
        return self.biased(self.convolve(x, depthwise_weights(self.kernel), channels))


def _multiplier(depth_multiplier: int) -> int:
    if not is_size(depth_multiplier):
        raise ArgumentError(
            "depth_multiplier is a positive integer", got=repr(depth_multiplier)
        )
    return depth_multiplier


def depthwise_layout(rank: int) -> tuple[int, ...]:
    """From Keras's ``[kh, kw, channels, multiplier]`` to ``[channels, multiplier, kh, kw]``."""
    return (rank, rank + 1, *range(rank))


def depthwise_weights(kernel: Variable) -> Value:
    """The kernel as a grouped convolution's ``[channels * multiplier, (kh,) kw, 1]``."""
    channels, multiplier, *window = kernel.type.sizes
    return ops.reshape(variable_value(kernel), (channels * multiplier, *window, 1))


class DepthwiseConv1D(_DepthwiseConv):
    """A convolution of each channel of ``(batch, steps, channels)`` by itself.

    Parameters
    ----------
    kernel_size, strides, dilation_rate, depth_multiplier : int
    **options
        All as of `DepthwiseConv2D`. The kernel is ``(size, channels, depth_multiplier)``.
    """

    rank = 1


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


class _SeparableConv(_Convolution):
    """A depthwise convolution, and then one of single pixels over all channels."""

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
        activation: ActivationLike = None,
        use_bias: bool = True,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        pointwise_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        depthwise_regularizer: RegularizerLike = None,
        pointwise_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        depthwise_constraint: ConstraintLike = None,
        pointwise_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        **options: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            dilation_rate,
            activation,
            use_bias,
            (bias_initializer, bias_regularizer, bias_constraint),
            data_format=data_format,
            activity_regularizer=activity_regularizer,
            **options,
        )
        if not is_size(filters):
            raise ArgumentError(
                f"{type(self).__name__} takes a positive number of filters", got=repr(filters)
            )
        self.filters = filters
        self.depth_multiplier = _multiplier(depth_multiplier)
        self.describe(
            "depthwise_kernel",
            depthwise_initializer,
            depthwise_regularizer,
            depthwise_constraint,
        )
        self.describe(
            "pointwise_kernel",
            pointwise_initializer,
            pointwise_regularizer,
            pointwise_constraint,
        )

    def build(self, x: Value) -> None:
        channels = self.channels(x)
        depthwise = (*self.kernel_size, channels, self.depth_multiplier)
        pointwise = (*[1] * self.rank, channels * self.depth_multiplier, self.filters)
        self.depthwise_kernel = self.weight(
            "depthwise_kernel", depthwise, x.dtype, layout=depthwise_layout(self.rank)
        )
        self.pointwise_kernel = self.weight(
            "pointwise_kernel", pointwise, x.dtype, layout=self.kernel_layout
        )
        self.make_bias(x, self.filters)

    def forward(self, x: Value) -> Value:
        self.check_channels(x, self.depthwise_kernel.shape[-2])
        return super().forward(x)

    def images(self, x: Value) -> Value:
        channels = self.depthwise_kernel.shape[-2]
        each = self.convolve(x, depthwise_weights(self.depthwise_kernel), channels)
        return self.biased(ops.conv2d(each, self.window(variable_value(self.pointwise_kernel))))


class SeparableConv1D(_SeparableConv):
    """`DepthwiseConv1D` without an activation, and then ``Conv1D(filters, 1)``.

    Parameters
    ----------
    filters, kernel_size, strides, dilation_rate, depth_multiplier : int
    **options
        All as of `SeparableConv2D`.
    """

    rank = 1


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
