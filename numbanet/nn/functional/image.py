"""Images of other sizes, blocks of pixels as channels, and windows as columns."""

from __future__ import annotations

import math
from collections.abc import Callable

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import TensorType, Value
from numbanet.nn.functional.adaptive_pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
)
from numbanet.nn.functional.channels import Sizes, channels_first, channels_last
from numbanet.ops.window import as_sizes
from numbanet.tensors.dispatch import tensor_function

Scales = float | tuple[float, ...]

_MODES = {
    "nearest": ("nearest", (1, 2, 3)),
    "nearest-exact": ("nearest-exact", (1, 2, 3)),
    "linear": ("linear", (1,)),
    "bilinear": ("linear", (2,)),
    "trilinear": ("linear", (3,)),
    "bicubic": ("cubic", (2,)),
    "area": ("area", (1, 2, 3)),
}
"""What `ops.resize` calls a mode, and for how many axes of pixels there is it."""

_AREA = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)

_STAYING = ("nearest", "linear", "bilinear", "trilinear")
"""Modes in which PyTorch reads a scale such as 1.1, for an axis too short to grow by it, as 1.
(For series and "nearest" only its gradient does.)"""

_SMOOTH = ("linear", "bilinear", "trilinear", "bicubic")


@tensor_function
def interpolate(
    input: Value,
    size: Sizes | None = None,
    scale_factor: Scales | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Value:
    """Series, images or volumes of another size.

    Parameters
    ----------
    input : Tensor
        ``[N, C, L]``, ``[N, C, H, W]`` or ``[N, C, D, H, W]``.
    size : int or tuple of int, optional
        The new size.
    scale_factor : float or tuple of float, optional
        The new size as multiples of the old one, rounded down. This or ``size``.
    mode : {"nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic", "area"}
        ``"linear"`` is for series, ``"bilinear"`` and ``"bicubic"`` are for images,
        ``"trilinear"`` is for volumes; ``"area"`` is `adaptive_avg_pool2d`.
    align_corners : bool, optional
        Whether the centres of the first and the last pixels stay where they are, or the edges
        of the image do (the default). For smooth modes only.
    recompute_scale_factor : bool, optional
        Whether positions follow from the sizes even if ``scale_factor`` is given.
    antialias : bool
        Not supported.

    Returns
    -------
    Tensor

    Raises
    ------
    ShapeError
        If the input has other axes, or sizes that are not known.
    ArgumentError
        If arguments do not go together.
    NotImplementedError
        If ``antialias`` is true.
    """
    if antialias:
        raise NotImplementedError("interpolate() does not support antialias=True")
    axes = input.rank - 2
    if mode not in _MODES or axes not in _MODES[mode][1]:
        raise ArgumentError(
            f"interpolate() has no such mode for {input.type}",
            got=repr(mode),
            expected=" or ".join(repr(m) for m, (_, ranks) in _MODES.items() if axes in ranks),
        )
    if align_corners is not None and mode not in _SMOOTH:
        raise ArgumentError(
            "align_corners is for smooth modes", got=f"mode={mode!r}", expected=str(_SMOOTH)
        )
    old = TensorType(input.shape[2:], input.dtype).sizes
    new, scales = _new_size(old, size, scale_factor, bool(recompute_scale_factor))
    if mode == "area":
        return _AREA[axes - 1](input, new)
    x = channels_last(input)
    for axis, (outputs, scale) in enumerate(zip(new, scales, strict=True), 1):
        # Some modes leave an axis alone that is not resized; others shift it.
        stays = outputs == old[axis - 1] and mode in _STAYING
        x = ops.resize(
            x,
            axis,
            outputs,
            _MODES[mode][0],
            scale=None if stays else scale,
            align_corners=bool(align_corners),
        )
    return channels_first(x)


def _new_size(
    old: tuple[int, ...],
    size: Sizes | None,
    scale_factor: Scales | None,
    recompute: bool,
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """Sizes, and scales where they do not follow from these."""
    none = (None,) * len(old)
    if (size is None) == (scale_factor is None) or (recompute and size is not None):
        raise ArgumentError(
            "interpolate() takes either size or scale_factor, which alone can be recomputed",
            got=f"size={size}, scale_factor={scale_factor}",
        )
    if size is not None:
        return as_sizes("size", size, len(old)), none
    listed = (
        scale_factor if isinstance(scale_factor, tuple | list) else (scale_factor,) * len(old)
    )
    scales = tuple(float(scale) for scale in listed if scale is not None)
    if len(scales) != len(old) or min(scales) <= 0:
        raise ArgumentError(
            "scale_factor must be one positive number, or one for each axis of pixels",
            got=repr(scale_factor),
        )
    new = tuple(math.floor(there * scale) for there, scale in zip(old, scales, strict=True))
    return new, none if recompute else scales


@tensor_function
def upsample(
    input: Value,
    size: Sizes | None = None,
    scale_factor: Scales | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Value:
    """`interpolate` under its old name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


@tensor_function
def pixel_shuffle(input: Value, upscale_factor: int) -> Value:
    """Channels as pixels: ``[..., C * r * r, H, W]`` as ``[..., C, H * r, W * r]``.

    Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network", 2016.

    Parameters
    ----------
    input : Tensor
    upscale_factor : int
        r.

    Raises
    ------
    ShapeError
        If the channels are not a multiple of ``r * r``.
    ArgumentError
        If ``upscale_factor`` is not a positive integer.
    """
    (factor,) = as_sizes("upscale_factor", upscale_factor, 1)
    leading, (channels, height, width) = _image(input, "pixel_shuffle")
    if channels % factor**2:
        raise ShapeError(
            "pixel_shuffle() takes blocks of channels",
            got=str(input.type),
            expected=f"a multiple of {factor**2} channels",
        )
    blocks = (channels // factor**2, factor, factor, height, width)
    x = _shuffle(input, (*leading, *blocks), (0, 3, 1, 4, 2))
    return ops.reshape(x, (*leading, blocks[0], height * factor, width * factor))


@tensor_function
def pixel_unshuffle(input: Value, downscale_factor: int) -> Value:
    """Pixels as channels, what `pixel_shuffle` undoes: ``[..., C, H * r, W * r]`` as
    ``[..., C * r * r, H, W]``.

    Parameters
    ----------
    input : Tensor
    downscale_factor : int
        r.

    Raises
    ------
    ShapeError
        If height or width is not a multiple of r.
    ArgumentError
        If ``downscale_factor`` is not a positive integer.
    """
    (factor,) = as_sizes("downscale_factor", downscale_factor, 1)
    leading, (channels, height, width) = _image(input, "pixel_unshuffle")
    if height % factor or width % factor:
        raise ShapeError(
            "pixel_unshuffle() takes blocks of pixels",
            got=str(input.type),
            expected=f"height and width that are multiples of {factor}",
        )
    blocks = (channels, height // factor, factor, width // factor, factor)
    x = _shuffle(input, (*leading, *blocks), (0, 2, 4, 1, 3))
    return ops.reshape(x, (*leading, channels * factor**2, blocks[1], blocks[3]))


@tensor_function
def channel_shuffle(input: Value, groups: int) -> Value:
    """Channels of all groups in turn: the first of each group, then the second of each.

    Zhang et al., "ShuffleNet: an extremely efficient convolutional neural network for mobile
    devices", 2018.

    Parameters
    ----------
    input : Tensor
        ``[N, C, ...]``.
    groups : int

    Raises
    ------
    ShapeError
        If the channels are not a multiple of ``groups``, or there are no pixels.
    ArgumentError
        If ``groups`` is not a positive integer.
    """
    (count,) = as_sizes("groups", groups, 1)
    channels = input.shape[1] if input.rank > 2 else None
    if channels is None or channels % count:
        raise ShapeError(
            "channel_shuffle() divides the channels into groups",
            got=str(input.type),
            expected=f"[N, C, ...] with C a multiple of {count}",
        )
    batch, _, *pixels = input.shape
    x = ops.reshape(input, (batch, count, channels // count, *pixels))
    return ops.reshape(ops.transpose(x, (0, 2, 1, *range(3, x.rank))), input.shape)


def _image(x: Value, name: str) -> tuple[tuple[int | None, ...], tuple[int, ...]]:
    """Leading axes, and the sizes of channels, height and width."""
    if x.rank < 3 or None in x.shape[-3:]:
        raise ShapeError(
            f"{name}() takes images of a known size", got=str(x.type), expected="[..., C, H, W]"
        )
    return x.shape[:-3], TensorType(x.shape[-3:], x.dtype).sizes


def _shuffle(x: Value, shape: tuple[int | None, ...], order: tuple[int, ...]) -> Value:
    """``x`` under a shape, its last axes in another order."""
    lead = len(shape) - len(order)
    perm = (*range(lead), *(lead + axis for axis in order))
    return ops.transpose(ops.reshape(x, shape), perm)


@tensor_function
def unfold(
    input: Value,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Value:
    """The windows of images as columns.

    Parameters
    ----------
    input : Tensor
        ``[N, C, H, W]`` or ``[C, H, W]``.
    kernel_size, dilation, stride : int or (int, int)
    padding : int or (int, int)
        Zeros on both sides.

    Returns
    -------
    Tensor
        ``[N, C * kh * kw, windows]``, without N if the input has none.

    Raises
    ------
    ShapeError
        If the input has other axes or the window does not fit.
    ArgumentError
        If an argument is not of the forms above.
    """
    windows, spacings = (
        as_sizes("kernel_size", kernel_size, 2),
        as_sizes("dilation", dilation, 2),
    )
    sides, steps = as_sizes("padding", padding, 2, 0), as_sizes("stride", stride, 2)

    def columns(x: Value) -> Value:
        x = ops.pad(x, [(0, 0), (0, 0), *((side, side) for side in sides)])
        # [N, C, OH, kh, OW, kw]: the second axis of pixels moves as the first is unfolded.
        for axis, window, step, spacing in zip((2, 4), windows, steps, spacings, strict=True):
            x = ops.windows(x, axis, window, step, spacing)
        batch, channels, height, _, width, _ = x.shape
        x = ops.transpose(x, (0, 1, 3, 5, 2, 4))
        rows = (channels or 0) * math.prod(windows)
        return ops.reshape(x, (batch, rows, (height or 0) * (width or 0)))

    return _batched("unfold", "C, H, W", columns, input)


@tensor_function
def fold(
    input: Value,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Value:
    """Columns put back where `unfold` takes them from; where several lie, they add up.

    Parameters
    ----------
    input : Tensor
        ``[N, C * kh * kw, windows]`` or ``[C * kh * kw, windows]``.
    output_size : int or (int, int)
        Height and width of the images.
    kernel_size, dilation, padding, stride
        As in `unfold`.

    Returns
    -------
    Tensor
        ``[N, C, H, W]``, without N if the input has none.

    Raises
    ------
    ShapeError
        If the input has not as many rows and columns as the images' windows.
    ArgumentError
        If an argument is not of the forms above.
    """
    windows, spacings = (
        as_sizes("kernel_size", kernel_size, 2),
        as_sizes("dilation", dilation, 2),
    )
    sides, steps = as_sizes("padding", padding, 2, 0), as_sizes("stride", stride, 2)
    sizes = as_sizes("output_size", output_size, 2)
    padded = [size + 2 * side for size, side in zip(sizes, sides, strict=True)]
    counts = tuple(
        (size - (window - 1) * spacing - 1) // step + 1
        for size, window, spacing, step in zip(padded, windows, spacings, steps, strict=True)
    )

    def images(x: Value) -> Value:
        batch, rows, blocks = x.shape
        if (
            not rows
            or rows % math.prod(windows)
            or min(counts) < 1
            or blocks != math.prod(counts)
        ):
            raise ShapeError(
                "fold() takes the columns of the images' windows",
                got=str(x.type),
                expected=f"rows of {math.prod(windows)} a channel, and {counts} columns",
            )
        x = ops.reshape(x, (batch, rows // math.prod(windows), *windows, *counts))
        x = ops.transpose(x, (0, 1, 4, 2, 5, 3))
        for axis, size, step, spacing in zip((2, 3), padded, steps, spacings, strict=True):
            x = ops.overlap_add(x, axis, size, step, spacing)
        inner = [slice(side, side + size) for side, size in zip(sides, sizes, strict=True)]
        return ops.slice(x, [slice(None), slice(None), *inner])

    return _batched("fold", "C * kh * kw, windows", images, input)


def _batched(name: str, axes: str, function: Callable[[Value], Value], x: Value) -> Value:
    """``function`` of a batch, also for one without that axis."""
    rank = axes.count(",") + 1
    if x.rank not in (rank, rank + 1):
        raise ShapeError(
            f"{name}() takes other axes", got=str(x.type), expected=f"[N, {axes}] or [{axes}]"
        )
    if x.rank == rank + 1:
        return function(x)
    return ops.squeeze(function(ops.expand_dims(x, 0)), 0)
