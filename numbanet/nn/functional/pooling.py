"""Pooling of series, images and volumes."""

from __future__ import annotations

import math

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.nn.functional.channels import Sizes, image_sizes, over_images, over_volumes
from numbanet.nn.functional.windows import (
    Pool,
    geometry,
    image_size,
    largest_at,
    maxima,
    separable,
    separable_places,
    sides_of,
)
from numbanet.ops.window import Pair, as_sizes
from numbanet.tensors.dispatch import tensor_function


@tensor_function
def max_pool1d(
    input: Value,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Value | tuple[Value, Value]:
    """The largest element in each window of ``[N, C, L]`` or ``[C, L]``.

    Parameters
    ----------
    input : Tensor
    kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As in `max_pool2d`, for one axis.

    Returns
    -------
    Tensor, or (Tensor, Tensor)
        ``[N, C, OL]`` or ``[C, OL]``.

    Raises
    ------
    ShapeError, ArgumentError
        As `max_pool2d`.
    """
    pools = _max("max_pool1d", 1, kernel_size, stride, padding, dilation, ceil_mode)
    return maxima("max_pool1d", 1, pools, input, return_indices)


@tensor_function
def max_pool2d(
    input: Value,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Value | tuple[Value, Value]:
    """The largest pixel in each window, channel by channel.

    Parameters
    ----------
    input : Tensor
        Images ``[N, C, H, W]`` or ``[C, H, W]``.
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        The window by default.
    padding : int or (int, int)
        Minus infinity on both sides, at most half of the window.
    dilation : int or (int, int)
        Steps of the pixels within a window.
    ceil_mode : bool
        Whether a last window may begin inside of the image and end beyond it.
    return_indices : bool
        Whether to tell where each was found, too: see `max_unpool2d`.

    Returns
    -------
    Tensor, or (Tensor, Tensor)
        ``[N, C, OH, OW]`` or ``[C, OH, OW]``; int64 positions in ``[H * W]`` of that shape.

    Raises
    ------
    ShapeError
        If the input has other axes or the window does not fit.
    ArgumentError
        If an argument is not of the forms above.
    """
    pools = _max("max_pool2d", 2, kernel_size, stride, padding, dilation, ceil_mode)
    return maxima("max_pool2d", 2, pools, input, return_indices)


@tensor_function
def max_pool3d(
    input: Value,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Value | tuple[Value, Value]:
    """The largest element in each window of volumes ``[N, C, D, H, W]`` or ``[C, D, H, W]``.

    Parameters
    ----------
    input : Tensor
    kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As in `max_pool2d`, for three axes.

    Returns
    -------
    Tensor, or (Tensor, Tensor)
        ``[N, C, OD, OH, OW]`` or ``[C, OD, OH, OW]``; positions in ``[D * H * W]``.

    Raises
    ------
    ShapeError, ArgumentError
        As `max_pool2d`.
    """
    along, across = (
        _max("max_pool3d", 2, *part, ceil_mode)
        for part in _parts(kernel_size, stride, padding, dilation)
    )
    pools = separable(across[0], along[0]), separable_places(across, along)
    return maxima("max_pool3d", 3, pools, input, return_indices)


@tensor_function
def avg_pool1d(
    input: Value,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Value:
    """The mean of each window of ``[N, C, L]`` or ``[C, L]``.

    Parameters
    ----------
    input : Tensor
    kernel_size, stride, padding, ceil_mode, count_include_pad
        As in `avg_pool2d`, for one axis.

    Returns
    -------
    Tensor
        ``[N, C, OL]`` or ``[C, OL]``.

    Raises
    ------
    ShapeError, ArgumentError
        As `avg_pool2d`.
    """
    pool = _avg("avg_pool1d", 1, kernel_size, stride, padding, ceil_mode, count_include_pad)
    return over_images("avg_pool1d", 1, pool, input)


@tensor_function
def avg_pool2d(
    input: Value,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    """The mean of the pixels in each window, channel by channel.

    Parameters
    ----------
    input : Tensor
        Images ``[N, C, H, W]`` or ``[C, H, W]``.
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        The window by default.
    padding : int or (int, int)
        Zeros on both sides, at most half of the window.
    ceil_mode : bool
        Whether a last window may begin inside of the image and end beyond it. What lies beyond
        the padding never counts.
    count_include_pad : bool
        Whether padding counts as pixels.
    divisor_override : int, optional
        What every window's sum is divided by, instead of the number of its pixels.

    Returns
    -------
    Tensor
        ``[N, C, OH, OW]`` or ``[C, OH, OW]``.

    Raises
    ------
    ShapeError
        If the input has other axes or the window does not fit.
    ArgumentError
        If an argument is not of the forms above.
    """
    _check_divisor("avg_pool2d", divisor_override)
    pool = _avg(
        "avg_pool2d",
        2,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )
    return over_images("avg_pool2d", 2, pool, input)


@tensor_function
def avg_pool3d(
    input: Value,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    """The mean of each window of volumes ``[N, C, D, H, W]`` or ``[C, D, H, W]``.

    Parameters
    ----------
    input : Tensor
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As in `avg_pool2d`, for three axes.

    Returns
    -------
    Tensor
        ``[N, C, OD, OH, OW]`` or ``[C, OD, OH, OW]``.

    Raises
    ------
    ShapeError, ArgumentError
        As `avg_pool2d`.
    """
    _check_divisor("avg_pool3d", divisor_override)
    # Sums of sums; or means of means, for what counts is a box.
    divisors = (None, None) if divisor_override is None else (1, divisor_override)
    along, across = (
        _avg("avg_pool3d", 2, *part[:3], ceil_mode, count_include_pad, divisor)
        for part, divisor in zip(_parts(kernel_size, stride, padding, 1), divisors, strict=True)
    )
    return over_volumes("avg_pool3d", separable(across, along), input)


@tensor_function
def lp_pool1d(
    input: Value,
    norm_type: float,
    kernel_size: int,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Value:
    """The p-norm of each window of ``[N, C, L]`` or ``[C, L]``; see `lp_pool2d`."""
    powers = ops.power(input, float(norm_type))
    mean = avg_pool1d(powers, kernel_size, stride, 0, ceil_mode)
    return _root(mean, norm_type, math.prod(as_sizes("kernel_size", kernel_size, 1)))


@tensor_function
def lp_pool2d(
    input: Value,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Value:
    """The p-norm of each window: ``(sum of x ** p) ** (1 / p)``.

    Parameters
    ----------
    input : Tensor
        Images ``[N, C, H, W]`` or ``[C, H, W]``.
    norm_type : float
        The power p, of the numbers themselves and not of their absolute values: where powers
        add up to less than zero, an odd p gives NaN.
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        The window by default.
    ceil_mode : bool
        As in `avg_pool2d`; a window that ends beyond the image is scaled to a whole one.

    Returns
    -------
    Tensor

    Raises
    ------
    ShapeError, ArgumentError
        As `avg_pool2d`.
    """
    powers = ops.power(input, float(norm_type))
    mean = avg_pool2d(powers, kernel_size, stride, 0, ceil_mode)
    return _root(mean, norm_type, math.prod(as_sizes("kernel_size", kernel_size, 2)))


@tensor_function
def lp_pool3d(
    input: Value,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Value:
    """The p-norm of each window of ``[N, C, D, H, W]`` or ``[C, D, H, W]``; see `lp_pool2d`."""
    powers = ops.power(input, float(norm_type))
    mean = avg_pool3d(powers, kernel_size, stride, 0, ceil_mode)
    return _root(mean, norm_type, math.prod(as_sizes("kernel_size", kernel_size, 3)))


Part = tuple[Pair, Pair, Pair, Pair]
"""Window, stride, padding and dilation of images."""


def _parts(
    kernel_size: Sizes, stride: Sizes | None, padding: Sizes, dilation: Sizes
) -> tuple[Part, Part]:
    """Windows of volumes as those along the depth, of images one pixel wide, and across it."""
    window = as_sizes("kernel_size", kernel_size, 3)
    steps = window if stride is None else as_sizes("stride", stride, 3)
    sides, spacing = as_sizes("padding", padding, 3, 0), as_sizes("dilation", dilation, 3)
    along = (window[0], 1), (steps[0], 1), (sides[0], 0), (spacing[0], 1)
    return along, (_last(window), _last(steps), _last(sides), _last(spacing))


def _last(sizes: tuple[int, ...]) -> Pair:
    return sizes[1], sizes[2]


def _check_divisor(name: str, divisor: int | None) -> None:
    if divisor == 0:
        raise ArgumentError(f"{name}() cannot divide by this", got="divisor_override=0")


def _max(
    name: str,
    axes: int,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
) -> tuple[Pool, Pool]:
    window, steps, sides = geometry(name, axes, kernel_size, stride, padding)
    spacing = image_sizes("dilation", dilation, axes)

    def pool(x: Value) -> Value:
        whole = sides_of(x, window, steps, sides, spacing, ceil_mode)
        return ops.max_pool2d(x, window, stride=steps, padding=whole, dilation=spacing)

    def places(x: Value) -> Value:
        whole = sides_of(x, window, steps, sides, spacing, ceil_mode)
        counts = image_size(pool(x))
        rows, columns = (
            np.arange(counts[i])[:, None] * steps[i]
            + np.arange(window[i]) * spacing[i]
            - whole[i][0]
            for i in range(2)
        )
        return largest_at(x, rows, columns)

    return pool, places


def _avg(
    name: str,
    axes: int,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None = None,
) -> Pool:
    window, steps, sides = geometry(name, axes, kernel_size, stride, padding)

    def pool(x: Value) -> Value:
        whole = sides_of(x, window, steps, sides, (1, 1), ceil_mode)
        hangs = whole != ((sides[0],) * 2, (sides[1],) * 2)
        counts_all = divisor is not None or (count_include_pad and sides != (0, 0))
        y = ops.avg_pool2d(x, window, stride=steps, padding=whole, count_include_pad=counts_all)
        if divisor is not None:
            return y * (math.prod(window) / divisor)
        if not (hangs and counts_all):
            return y
        # What lies beyond the padding does not count, though padding does.
        counts = [
            np.minimum(np.arange(count) * step + pixels, size + 2 * side)
            - np.arange(count) * step
            for count, step, pixels, size, side in zip(
                image_size(y), steps, window, image_size(x), sides, strict=True
            )
        ]
        return y * (math.prod(window) / np.multiply.outer(*counts)[:, :, None])

    return pool


def _root(mean: Value, norm_type: float, count: int) -> Value:
    return ops.power(mean * count, 1 / float(norm_type))
