"""Pooling of series and images."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import TensorType, Value
from numbanet.nn.functional.channels import Sizes, image_sizes, over_images
from numbanet.ops.window import Padding, Pair, as_sizes, extent
from numbanet.tensors.dispatch import tensor_function

OutputSize = int | None | tuple[int | None, ...]


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
    return _maxima("max_pool1d", 1, pools, input, return_indices)


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
    return _maxima("max_pool2d", 2, pools, input, return_indices)


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
    if divisor_override == 0:
        raise ArgumentError("avg_pool2d() cannot divide by this", got="divisor_override=0")
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
def adaptive_avg_pool1d(input: Value, output_size: OutputSize) -> Value:
    """Means of ``output_size`` windows of about equal size; see `adaptive_avg_pool2d`."""
    pool = _adaptive(output_size, 1, _mean_window, _mean_windows)
    return over_images("adaptive_avg_pool1d", 1, pool, input)


@tensor_function
def adaptive_avg_pool2d(input: Value, output_size: OutputSize) -> Value:
    """Means of as many windows as are wanted.

    Parameters
    ----------
    input : Tensor
        Images ``[N, C, H, W]`` or ``[C, H, W]``.
    output_size : int, None, or a pair of those
        The result's height and width; None keeps the image's. Window i of O goes from
        ``floor(i * H / O)`` to before ``ceil((i + 1) * H / O)``.

    Returns
    -------
    Tensor
        ``[N, C, OH, OW]`` or ``[C, OH, OW]``.

    Raises
    ------
    ShapeError
        If the input has other axes.
    ArgumentError
        If a size is not a positive integer or None.
    """
    pool = _adaptive(output_size, 2, _mean_window, _mean_windows)
    return over_images("adaptive_avg_pool2d", 2, pool, input)


@tensor_function
def adaptive_max_pool1d(
    input: Value, output_size: OutputSize, return_indices: bool = False
) -> Value | tuple[Value, Value]:
    """Maxima of ``output_size`` windows of about equal size; see `adaptive_max_pool2d`."""
    pools = (
        _adaptive(output_size, 1, ops.max_pool2d, _max_windows),
        _adaptive(output_size, 1, _window_indices, _windows_indices),
    )
    return _maxima("adaptive_max_pool1d", 1, pools, input, return_indices)


@tensor_function
def adaptive_max_pool2d(
    input: Value, output_size: OutputSize, return_indices: bool = False
) -> Value | tuple[Value, Value]:
    """Maxima of as many windows as are wanted.

    Parameters
    ----------
    input, output_size
        As in `adaptive_avg_pool2d`.
    return_indices : bool
        As in `max_pool2d`.

    Returns
    -------
    Tensor, or (Tensor, Tensor)
        ``[N, C, OH, OW]`` or ``[C, OH, OW]``.

    Raises
    ------
    ShapeError, ArgumentError
        As `adaptive_avg_pool2d`.
    """
    pools = (
        _adaptive(output_size, 2, ops.max_pool2d, _max_windows),
        _adaptive(output_size, 2, _window_indices, _windows_indices),
    )
    return _maxima("adaptive_max_pool2d", 2, pools, input, return_indices)


Pool = Callable[[Value], Value]
"""From images ``[N, H, W, C]`` to smaller ones."""


def _maxima(
    name: str, axes: int, pools: tuple[Pool, Pool], input: Value, return_indices: bool
) -> Value | tuple[Value, Value]:
    """Largest pixels by the first of ``pools``, and where they are by the second."""
    largest, places = pools
    found = over_images(name, axes, largest, input)
    return (found, over_images(name, axes, places, input)) if return_indices else found


def _geometry(
    name: str, axes: int, kernel_size: Sizes, stride: Sizes | None, padding: Sizes
) -> tuple[Pair, Pair, Pair]:
    window = image_sizes("kernel_size", kernel_size, axes)
    steps = window if stride is None else image_sizes("stride", stride, axes)
    sides = image_sizes("padding", padding, axes, 0)
    if any(2 * side > pixels for side, pixels in zip(sides, window, strict=True)):
        raise ArgumentError(
            f"{name}() pads at most half of a window", got=f"{padding} for {kernel_size}"
        )
    return window, steps, sides


def _sides(
    x: Value, window: Pair, stride: Pair, sides: Pair, dilation: Pair, ceil_mode: bool
) -> Padding:
    """Padding of both ends; ``ceil_mode`` adds what the last windows need beyond it."""
    if not ceil_mode:
        return (sides[0], sides[0]), (sides[1], sides[1])
    sizes = _image_size(x)
    bottom, right = (
        sides[i] + _overhang(sizes[i], sides[i], extent(window[i], dilation[i]), stride[i])
        for i in range(2)
    )
    return (sides[0], bottom), (sides[1], right)


def _overhang(size: int, side: int, window: int, stride: int) -> int:
    """Pixels between the end of the padding and that of the last window that begins before
    the end of the image."""
    room = size + 2 * side - window
    if room < 0:
        return 0
    last = -(-room // stride) * stride
    if last >= size + side:
        last -= stride
    return max(last - room, 0)


def _max(
    name: str,
    axes: int,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
) -> tuple[Pool, Pool]:
    window, steps, sides = _geometry(name, axes, kernel_size, stride, padding)
    spacing = image_sizes("dilation", dilation, axes)

    def pool(x: Value) -> Value:
        whole = _sides(x, window, steps, sides, spacing, ceil_mode)
        return ops.max_pool2d(x, window, stride=steps, padding=whole, dilation=spacing)

    def places(x: Value) -> Value:
        whole = _sides(x, window, steps, sides, spacing, ceil_mode)
        counts = _image_size(pool(x))
        rows, columns = (
            np.arange(counts[i])[:, None] * steps[i]
            + np.arange(window[i]) * spacing[i]
            - whole[i][0]
            for i in range(2)
        )
        return _largest_at(x, rows, columns)

    return pool, places


def _largest_at(x: Value, rows: np.ndarray, columns: np.ndarray) -> Value:
    """Positions ``y * W + x`` of the largest pixels, of the first if several are equal.

    ``rows`` ``[OH, h]`` and ``columns`` ``[OW, w]`` are those of each window; what lies beyond
    the image is smaller than all pixels.
    """
    sizes, width = _image_size(x), columns.shape[1]
    axes = list(zip((rows, columns), sizes, strict=True))
    border = [(max(-at.min(), 0), max(at.max() + 1 - size, 0)) for at, size in axes]
    seen = ops.pad(x, [(0, 0), *border, (0, 0)], -np.inf)
    for axis, (at, (before, _)) in enumerate(zip((rows, columns), border, strict=True), 1):
        seen = ops.pick(seen, (at + before).ravel(), axis)
    seen = ops.reshape(seen, (-1, *rows.shape, *columns.shape, x.type.sizes[3]))
    windows = ops.transpose(seen, (0, 1, 3, 5, 2, 4))
    best = ops.argmax(ops.reshape(windows, (*windows.shape[:4], -1)))
    first = [ops.iota((len(rows), 1, 1)), ops.iota((len(columns), 1))]
    within = (ops.floor_divide(best, width), ops.remainder(best, width))
    y, x_ = (
        ops.take(ops.constant(at.ravel()), start * at.shape[1] + place)
        for at, start, place in zip((rows, columns), first, within, strict=True)
    )
    return y * sizes[1] + x_


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
    window, steps, sides = _geometry(name, axes, kernel_size, stride, padding)

    def pool(x: Value) -> Value:
        whole = _sides(x, window, steps, sides, (1, 1), ceil_mode)
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
                _image_size(y), steps, window, _image_size(x), sides, strict=True
            )
        ]
        return y * (math.prod(window) / np.multiply.outer(*counts)[:, :, None])

    return pool


def _root(mean: Value, norm_type: float, count: int) -> Value:
    return ops.power(mean * count, 1 / float(norm_type))


def _adaptive(
    output_size: OutputSize,
    axes: int,
    uniform: Callable[[Value, Pair], Value],
    uneven: Callable[[Value, Pair], Value],
) -> Pool:
    """Pooling into windows of one size where the image divides into such."""
    wanted = output_size if isinstance(output_size, tuple | list) else (output_size,) * axes
    known = [1 if size is None else size for size in wanted]
    as_sizes("output_size", known, axes)

    def pool(x: Value) -> Value:
        sizes = _image_size(x)
        outputs = [
            there if size is None else size
            for size, there in zip([None, *wanted][-2:], sizes, strict=True)
        ]
        if any(size % count for size, count in zip(sizes, outputs, strict=True)):
            return uneven(x, (outputs[0], outputs[1]))
        return uniform(x, (sizes[0] // outputs[0], sizes[1] // outputs[1]))

    return pool


def _image_size(x: Value) -> Pair:
    height, width = TensorType(x.shape[1:3], x.dtype).sizes
    return height, width


def _bounds(size: int, outputs: int) -> list[tuple[int, int]]:
    """Where each window begins, and before what it ends."""
    return [(i * size // outputs, -(-(i + 1) * size // outputs)) for i in range(outputs)]


def _mean_window(x: Value, window: Pair) -> Value:
    if window == x.shape[1:3]:
        return ops.mean(x, (1, 2), keepdims=True)
    return ops.avg_pool2d(x, window)


def _mean_windows(x: Value, outputs: Pair) -> Value:
    for axis, count, size in zip((1, 2), outputs, _image_size(x), strict=True):
        matrix = np.zeros((count, size))
        for row, (begin, end) in zip(matrix, _bounds(size, count), strict=True):
            row[begin:end] = 1 / (end - begin)
        x = ops.resample(x, matrix, axis)
    return x


def _max_windows(x: Value, outputs: Pair) -> Value:
    windows = _positions(x, outputs)
    for axis, at in enumerate(windows, 1):
        x = ops.pick(x, at.ravel(), axis)
    return ops.max_pool2d(x, (windows[0].shape[1], windows[1].shape[1]))


def _window_indices(x: Value, window: Pair) -> Value:
    height, width = _image_size(x)
    return _windows_indices(x, (height // window[0], width // window[1]))


def _windows_indices(x: Value, outputs: Pair) -> Value:
    return _largest_at(x, *_positions(x, outputs))


def _positions(x: Value, outputs: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Rows ``[OH, h]`` and columns ``[OW, w]`` of each window. Shorter windows repeat their
    last, which changes no maximum."""
    rows, columns = (
        np.array(
            [
                [min(begin + i, end - 1) for i in range(max(b - a for a, b in bounds))]
                for begin, end in bounds
            ]
        )
        for bounds in map(_bounds, _image_size(x), outputs)
    )
    return rows, columns
