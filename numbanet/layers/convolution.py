"""Convolutions of series and images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from numbanet import activations, ops
from numbanet.activations import ActivationLike
from numbanet.errors import ArgumentError, ShapeError
from numbanet.initializers import InitializerLike
from numbanet.ir import Value, Variable
from numbanet.layers.layer import ConstraintLike, RegularizerLike
from numbanet.layers.module import is_size
from numbanet.layers.positions import WEIGHT_OPTIONS, positional
from numbanet.layers.spatial import Spatial, padding_name, pair
from numbanet.ops.leaf import variable_value

Sizes = int | Sequence[int]


class Convolution(Spatial):
    """What all convolutions share: a window, a bias and an activation."""

    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")
    bias: Variable | None = None

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        *,
        dilation_rate: Sizes = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        bias_initializer: InitializerLike = "zeros",
        bias_regularizer: RegularizerLike = None,
        bias_constraint: ConstraintLike = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.kernel_size = self.sizes("kernel_size", kernel_size)
        self.strides = self.sizes("strides", strides)
        self.padding = padding_name(padding, self.paddings)
        self.dilation_rate = self.sizes("dilation_rate", dilation_rate)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.describe("bias", bias_initializer, bias_regularizer, bias_constraint)

    def positive(self, **sizes: int) -> None:
        """Raise ArgumentError unless all are positive integers."""
        for name, size in sizes.items():
            if not is_size(size):
                raise ArgumentError(
                    f"{type(self).__name__} takes a positive number of {name}", got=repr(size)
                )

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


class Filters(Convolution):
    """A convolution with one kernel for a number of filters."""

    kernel: Variable

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        *,
        kernel_initializer: InitializerLike = "glorot_uniform",
        kernel_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        **options: Any,
    ) -> None:
        super().__init__(kernel_size, strides, padding, **options)
        self.positive(filters=filters)
        self.filters = filters
        self.describe("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)


class _Conv(Filters):
    """``activation(convolution(x, kernel) + bias)``."""

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        groups: int = 1,
        **options: Any,
    ) -> None:
        options |= {"data_format": data_format, "dilation_rate": dilation_rate}
        super().__init__(filters, kernel_size, strides, padding, **options)
        self.positive(groups=groups)
        if filters % groups:
            raise ArgumentError(
                f"{type(self).__name__} takes a multiple of groups as filters",
                got=f"filters={filters}, groups={groups}",
            )
        self.groups = groups

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


as_in_keras = positional("activation", "use_bias", *WEIGHT_OPTIONS)


@as_in_keras
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


@as_in_keras
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
