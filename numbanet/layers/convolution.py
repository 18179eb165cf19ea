"""Convolution of images, channels last."""

from __future__ import annotations

from collections.abc import Sequence

from numbanet import initializers, ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.initializers import InitializerLike
from numbanet.ir import Value, Variable
from numbanet.layers import activation as activations
from numbanet.layers.activation import ActivationLike
from numbanet.layers.module import Module
from numbanet.ops.leaf import variable_value


class Conv2D(Module):
    """``activation(conv2d(x, kernel) + bias)`` of ``(batch, height, width, channels)``.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int or (int, int)
    strides : int or (int, int)
    padding : {"valid", "same"}
        ``"same"`` pads so that the output has ``ceil(size / stride)`` rows and columns, the odd
        pixel at the end.
    dilation_rate : int or (int, int)
    groups : int
        Input and output channels are split into this many independent groups.
    activation : str or callable, optional
    use_bias : bool
    kernel_initializer, bias_initializer : str, Initializer or callable
    name : str, optional

    Attributes
    ----------
    kernel : Variable
        Of shape (filters, kernel height, kernel width, channels / groups).
    bias : Variable or None
        Of shape (filters,).

    Raises
    ------
    ShapeError
        On an input of another rank or number of channels, or smaller than the kernel.
    """

    kernel: Variable
    bias: Variable | None = None

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.filters = filters
        self.kernel_size = pair("kernel_size", kernel_size)
        self.strides = pair("strides", strides)
        self.padding = padding_name(padding)
        self.dilation_rate = pair("dilation_rate", dilation_rate)
        self.groups = groups
        if filters < 1 or groups < 1 or filters % groups:
            raise ArgumentError(
                "Conv2D takes a positive number of filters, a multiple of groups",
                got=f"filters={filters}, groups={groups}",
            )
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, x: Value) -> None:
        check_image(self, x)
        channels = x.type.shape[-1] or 0
        if channels == 0 or channels % self.groups:
            raise ShapeError(
                f"{self.label} splits the channels into {self.groups} groups",
                got=str(x.shape),
                expected=f"a multiple of {self.groups} channels",
            )
        taps = self.kernel_size[0] * self.kernel_size[1]
        # As Keras counts them: the groups share out the inputs, and not the outputs.
        fans = (taps * channels // self.groups, taps * self.filters)
        shape = (self.filters, *self.kernel_size, channels // self.groups)
        self.kernel = self.parameter(
            "kernel", shape, self.kernel_initializer, dtype=x.dtype, fans=fans
        )
        if self.use_bias:
            self.bias = self.parameter(
                "bias", (self.filters,), self.bias_initializer, dtype=x.dtype, fans=fans
            )

    def forward(self, x: Value) -> Value:
        check_image(self, x)
        channels = self.kernel.type.sizes[-1] * self.groups
        if x.shape[-1] != channels:
            raise ShapeError(
                f"{self.label} has weights for {channels} channels",
                got=str(x.shape),
                expected=f"(batch, height, width, {channels})",
            )
        y = ops.conv2d(
            x,
            variable_value(self.kernel),
            stride=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            groups=self.groups,
        )
        if self.bias is not None:
            y = y + variable_value(self.bias)
        return self.activation(y)


def check_image(layer: Module, x: Value) -> None:
    """Raise unless ``x`` is (batch, height, width, channels) with a known image size."""
    if x.rank != 4 or None in x.shape[1:]:
        raise ShapeError(
            f"{layer.label} takes (batch, height, width, channels)",
            got=str(x.shape),
            expected="4 axes, only the batch unknown",
            mend="Add a channel axis with Reshape((height, width, 1))" if x.rank == 3 else None,
        )


def pair(argument: str, number: int | Sequence[int]) -> tuple[int, int]:
    """Height and width out of one positive number or two."""
    numbers = tuple(number) if isinstance(number, Sequence) else (number, number)
    if len(numbers) != 2 or not all(isinstance(n, int) and n > 0 for n in numbers):
        raise ArgumentError(f"{argument} takes a positive integer or two", got=repr(number))
    return numbers


def padding_name(padding: str) -> str:
    name = padding.lower() if isinstance(padding, str) else padding
    if name not in ("valid", "same"):
        raise ArgumentError("unknown padding", got=repr(padding), expected="'valid' or 'same'")
    return name
