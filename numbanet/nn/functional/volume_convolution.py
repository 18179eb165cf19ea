"""Convolution and transposed convolution of volumes, by those of images.

What a window sees along the depth is laid out as channels, so that one convolution of images
does all the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import TensorType, Value
from numbanet.nn.functional.channels import Sizes, over_volumes
from numbanet.ops.window import as_sizes, extent, split_padding
from numbanet.tensors.dispatch import tensor_function


@tensor_function
def conv3d(
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Value:
    """Three-dimensional convolution (cross-correlation, as everywhere in this field).

    Parameters
    ----------
    input : Tensor
        Volumes ``[N, C, D, H, W]`` or ``[C, D, H, W]``.
    weight : Tensor
        ``[O, C / groups, kd, kh, kw]``.
    bias : Tensor, optional
        ``[O]``.
    stride, padding, dilation, groups
        As in `conv2d`, for three axes.

    Returns
    -------
    Tensor
        ``[N, O, OD, OH, OW]`` or ``[O, OD, OH, OW]``.

    Raises
    ------
    ShapeError, ArgumentError, DTypeError
        As `conv2d`.
    """
    _check_weight("conv3d", weight, groups)
    steps, spacings = as_sizes("stride", stride, 3), as_sizes("dilation", dilation, 3)
    sides = _sides(padding, weight.type.sizes[2:], steps, spacings)

    def convolve(x: Value) -> Value:
        x = ops.pad(x, ((0, 0), sides[0], (0, 0), (0, 0), (0, 0)))
        kernel = weight.type.sizes[2]
        y = ops.conv2d(
            _depth_as_channels(ops.windows(x, 1, kernel, steps[0], spacings[0]), groups),
            _flat_weight(weight),
            stride=_pair(steps),
            padding=_pair(sides),
            dilation=_pair(spacings),
            groups=groups,
        )
        depth = (
            TensorType(x.shape[1:], x.dtype).sizes[0] - extent(kernel, spacings[0])
        ) // steps[0] + 1
        return _with_bias("conv3d", _as_volumes(y, depth), bias)

    return over_volumes("conv3d", convolve, input)


@tensor_function
def conv_transpose3d(
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Value:
    """Three-dimensional transposed convolution.

    Parameters
    ----------
    input : Tensor
        Volumes ``[N, C, D, H, W]`` or ``[C, D, H, W]``.
    weight : Tensor
        ``[C, O / groups, kd, kh, kw]``.
    bias : Tensor, optional
        ``[O]``.
    stride, padding, output_padding, groups, dilation
        As in `conv_transpose2d`, for three axes.

    Returns
    -------
    Tensor
        ``[N, O, OD, OH, OW]`` or ``[O, OD, OH, OW]``.

    Raises
    ------
    ShapeError, ArgumentError, DTypeError
        As `conv2d`.
    """
    name = "conv_transpose3d"
    _check_weight(name, weight, 1)
    steps, spacings = as_sizes("stride", stride, 3), as_sizes("dilation", dilation, 3)
    sides = as_sizes("padding", padding, 3, 0)
    more = as_sizes("output_padding", output_padding, 3, 0)
    if more[0] >= max(steps[0], spacings[0]):
        raise ArgumentError(
            "output_padding must be smaller than the stride or the dilation",
            got=f"{more} for a stride of {steps} and a dilation of {spacings}",
        )

    def convolve(x: Value) -> Value:
        depth, height, width, channels = TensorType(x.shape[1:], x.dtype).sizes
        kernel = weight.type.sizes[2]
        y = ops.conv2d_transpose(
            ops.reshape(x, (-1, height, width, channels)),
            _flat_weight(weight),
            stride=_pair(steps),
            padding=_pair(sides),
            output_padding=_pair(more),
            dilation=_pair(spacings),
            groups=groups,
        )
        whole = (depth - 1) * steps[0] + extent(kernel, spacings[0])
        y = ops.overlap_add(
            _channels_as_depth(y, depth, kernel, groups), 1, whole, steps[0], spacings[0]
        )
        y = ops.pad(y, ((0, 0), (0, more[0]), (0, 0), (0, 0), (0, 0)))
        end = whole + more[0] - sides[0]
        if end <= sides[0]:
            raise ShapeError(f"{name}() has no depth left", got=f"padding {sides}")
        return _with_bias(name, y[:, sides[0] : end], bias)

    return over_volumes(name, convolve, input)


def _pair(sizes: Sequence[Any]) -> Any:
    """What of three axes belongs to images."""
    return sizes[1], sizes[2]


def _check_weight(name: str, weight: Value, groups: int) -> None:
    if weight.rank != 5 or groups < 1:
        raise ShapeError(
            f"{name}() takes weights of 5 axes in positive groups",
            got=f"{weight.type} in {groups}",
        )


def _sides(
    padding: Sizes | str,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[tuple[int, int], ...]:
    """Zeros before and after each axis."""
    if padding == "same":
        if max(stride) > 1:
            raise ArgumentError(
                'conv3d() with padding="same" has a stride of one', got=str(stride)
            )
        pairs = zip(kernel, dilation, strict=True)
        return tuple(split_padding(extent(window, spacing) - 1) for window, spacing in pairs)
    if padding == "valid":
        return ((0, 0),) * 3
    return tuple((side, side) for side in as_sizes("padding", padding, 3, 0))


def _flat_weight(weight: Value) -> Value:
    """``[O, C, kd, kh, kw]`` as ``[O, kh, kw, kd * C]``."""
    outputs, channels, depth, height, width = weight.type.sizes
    moved = ops.transpose(weight, (0, 3, 4, 2, 1))
    return ops.reshape(moved, (outputs, height, width, depth * channels))


def _depth_as_channels(seen: Value, groups: int) -> Value:
    """Windows ``[N, OD, kd, H, W, C]`` as images ``[N * OD, H, W, kd * C]``, group by group."""
    _, kernel, height, width, channels = TensorType(seen.shape[1:], seen.dtype).sizes
    if channels % groups:
        raise ShapeError(f"conv3d() of {channels} channels in {groups} groups")
    split = (-1, kernel, height, width, groups, channels // groups)
    moved = ops.transpose(ops.reshape(seen, split), (0, 2, 3, 4, 1, 5))
    return ops.reshape(moved, (-1, height, width, kernel * channels))


def _channels_as_depth(y: Value, depth: int, kernel: int, groups: int) -> Value:
    """Images ``[N * D, H, W, kd * O]``, group by group, as windows ``[N, D, kd, H, W, O]``."""
    height, width, channels = TensorType(y.shape[1:], y.dtype).sizes
    outputs = channels // kernel
    split = (-1, depth, height, width, groups, kernel, outputs // groups)
    moved = ops.transpose(ops.reshape(y, split), (0, 1, 5, 2, 3, 4, 6))
    return ops.reshape(moved, (-1, depth, kernel, height, width, outputs))


def _as_volumes(images: Value, depth: int) -> Value:
    return ops.reshape(images, (-1, depth, *TensorType(images.shape[1:], images.dtype).sizes))


def _with_bias(name: str, y: Value, bias: Value | None) -> Value:
    if bias is not None and bias.shape != y.shape[-1:]:
        raise ShapeError(
            f"{name}() takes a bias for each output channel",
            got=str(bias.type),
            expected=f"[{y.shape[-1]}]",
        )
    return y if bias is None else y + bias
