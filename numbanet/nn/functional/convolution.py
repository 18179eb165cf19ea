"""Convolution and transposed convolution of series and images."""

from __future__ import annotations

from collections.abc import Callable

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.nn.functional.channels import Sizes, as_images, image_sizes, over_images
from numbanet.tensors.dispatch import tensor_function


@tensor_function
def conv1d(
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Value:
    """One-dimensional convolution (cross-correlation, as everywhere in this field).

    Parameters
    ----------
    input : Tensor
        ``[N, C, L]`` or ``[C, L]``.
    weight : Tensor
        ``[O, C / groups, k]``.
    bias : Tensor, optional
        ``[O]``.
    stride, padding, dilation, groups
        As in `conv2d`, for one axis.

    Returns
    -------
    Tensor
        ``[N, O, OL]`` or ``[O, OL]``.

    Raises
    ------
    ShapeError, ArgumentError, DTypeError
        As `conv2d`.
    """
    return _convolve("conv1d", input, weight, bias, stride, padding, dilation, groups)


@tensor_function
def conv2d(
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Value:
    """Two-dimensional convolution (cross-correlation, as everywhere in this field).

    Parameters
    ----------
    input : Tensor
        Images ``[N, C, H, W]`` or ``[C, H, W]``.
    weight : Tensor
        ``[O, C / groups, kh, kw]``.
    bias : Tensor, optional
        ``[O]``.
    stride, dilation : int or (int, int)
        Steps of the window, and of the pixels within it.
    padding : int, (int, int), "same" or "valid"
        Zeros on both sides. ``"same"`` keeps the size, for a stride of one; the odd zero comes
        last.
    groups : int
        Output channels of group i see the input channels of group i only.

    Returns
    -------
    Tensor
        ``[N, O, OH, OW]`` or ``[O, OH, OW]``.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet, or the window does not fit.
    ArgumentError
        If an argument is not of the forms above.
    """
    return _convolve("conv2d", input, weight, bias, stride, padding, dilation, groups)


@tensor_function
def conv_transpose1d(
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Value:
    """One-dimensional transposed convolution.

    Parameters
    ----------
    input : Tensor
        ``[N, C, L]`` or ``[C, L]``.
    weight : Tensor
        ``[C, O / groups, k]``.
    bias : Tensor, optional
        ``[O]``.
    stride, padding, output_padding, groups, dilation
        As in `conv_transpose2d`, for one axis.

    Returns
    -------
    Tensor
        ``[N, O, OL]`` or ``[O, OL]``.

    Raises
    ------
    ShapeError, ArgumentError, DTypeError
        As `conv2d`.
    """
    geometry = stride, padding, output_padding, groups, dilation
    return _transpose_convolve("conv_transpose1d", input, weight, bias, *geometry)


@tensor_function
def conv_transpose2d(
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Value:
    """Two-dimensional transposed convolution: a convolution's gradient as a function.

    Parameters
    ----------
    input : Tensor
        Images ``[N, C, H, W]`` or ``[C, H, W]``.
    weight : Tensor
        ``[C, O / groups, kh, kw]``: that of the convolution whose gradient this is.
    bias : Tensor, optional
        ``[O]``.
    stride, dilation : int or (int, int)
    padding : int or (int, int)
        What the convolution pads, and this crops, on both sides.
    output_padding : int or (int, int)
        Rows and columns more at the end: less than the stride or the dilation.
    groups : int

    Returns
    -------
    Tensor
        ``[N, O, OH, OW]`` or ``[O, OH, OW]`` with ``OH = (H - 1) * stride - 2 * padding +
        dilation * (kh - 1) + output_padding + 1``.

    Raises
    ------
    ShapeError, ArgumentError, DTypeError
        As `conv2d`.
    """
    geometry = stride, padding, output_padding, groups, dilation
    return _transpose_convolve("conv_transpose2d", input, weight, bias, *geometry)


def _convolve(
    name: str,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
) -> Value:
    axes = int(name[-2])
    steps = image_sizes("stride", stride, axes)
    spacings = image_sizes("dilation", dilation, axes)
    if padding == "same" and max(steps) > 1:
        raise ArgumentError(
            f'{name}() with padding="same" has a stride of one', got=f"{stride}"
        )
    sides = padding if isinstance(padding, str) else image_sizes("padding", padding, axes, 0)

    def convolve(images: Value, weights: Value) -> Value:
        return ops.conv2d(
            images, weights, stride=steps, padding=sides, dilation=spacings, groups=groups
        )

    return _apply(name, axes, convolve, x, weight, bias)


def _transpose_convolve(
    name: str,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
) -> Value:
    axes = int(name[-2])
    geometry = {
        "stride": image_sizes("stride", stride, axes),
        "padding": image_sizes("padding", padding, axes, 0),
        "output_padding": image_sizes("output_padding", output_padding, axes, 0),
        "dilation": image_sizes("dilation", dilation, axes),
    }

    def convolve(images: Value, weights: Value) -> Value:
        return ops.conv2d_transpose(images, weights, groups=groups, **geometry)

    return _apply(name, axes, convolve, x, weight, bias)


def _apply(
    name: str,
    axes: int,
    convolve: Callable[[Value, Value], Value],
    x: Value,
    weight: Value,
    bias: Value | None,
) -> Value:
    """``convolve`` images with weights, both channels-last, and add the bias."""
    if weight.rank != axes + 2:
        raise ShapeError(f"{name}() takes weights of {axes + 2} axes", got=str(weight.type))

    def convolve_and_add(images: Value) -> Value:
        y = convolve(images, as_images(weight))
        if bias is not None and bias.shape != y.shape[-1:]:
            raise ShapeError(
                f"{name}() takes a bias for each output channel",
                got=str(bias.type),
                expected=f"[{y.shape[-1]}]",
            )
        return y if bias is None else y + bias

    return over_images(name, axes, convolve_and_add, x)
