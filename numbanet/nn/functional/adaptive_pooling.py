"""Pooling into as many windows as are wanted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from numbanet import ops
from numbanet.ir import Value
from numbanet.nn.functional.channels import over_images, over_volumes
from numbanet.nn.functional.windows import (
    Pool,
    image_size,
    largest_at,
    maxima,
    separable,
    separable_places,
)
from numbanet.ops.window import Pair, as_sizes
from numbanet.tensors.dispatch import tensor_function

OutputSize = int | None | tuple[int | None, ...]


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
def adaptive_avg_pool3d(input: Value, output_size: OutputSize) -> Value:
    """Means of as many windows as are wanted, of volumes; see `adaptive_avg_pool2d`.

    Parameters
    ----------
    input : Tensor
        ``[N, C, D, H, W]`` or ``[C, D, H, W]``.
    output_size : int, None, or three of those

    Returns
    -------
    Tensor
        ``[N, C, OD, OH, OW]`` or ``[C, OD, OH, OW]``.

    Raises
    ------
    ShapeError, ArgumentError
        As `adaptive_avg_pool2d`.
    """
    along, across = (
        _adaptive(size, 2, _mean_window, _mean_windows) for size in _parts(output_size)
    )
    return over_volumes("adaptive_avg_pool3d", separable(across, along), input)


@tensor_function
def adaptive_max_pool1d(
    input: Value, output_size: OutputSize, return_indices: bool = False
) -> Value | tuple[Value, Value]:
    """Maxima of ``output_size`` windows of about equal size; see `adaptive_max_pool2d`."""
    pools = _adaptive_maxima(output_size, 1)
    return maxima("adaptive_max_pool1d", 1, pools, input, return_indices)


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
    pools = _adaptive_maxima(output_size, 2)
    return maxima("adaptive_max_pool2d", 2, pools, input, return_indices)


@tensor_function
def adaptive_max_pool3d(
    input: Value, output_size: OutputSize, return_indices: bool = False
) -> Value | tuple[Value, Value]:
    """Maxima of as many windows as are wanted, of volumes; see `adaptive_avg_pool3d`.

    Parameters
    ----------
    input, output_size
        As in `adaptive_avg_pool3d`.
    return_indices : bool
        As in `max_pool3d`.

    Returns
    -------
    Tensor, or (Tensor, Tensor)
        ``[N, C, OD, OH, OW]`` or ``[C, OD, OH, OW]``.

    Raises
    ------
    ShapeError, ArgumentError
        As `adaptive_avg_pool2d`.
    """
    along, across = (_adaptive_maxima(size, 2) for size in _parts(output_size))
    pools = separable(across[0], along[0]), separable_places(across, along)
    return maxima("adaptive_max_pool3d", 3, pools, input, return_indices)


def _parts(output_size: OutputSize) -> tuple[OutputSize, OutputSize]:
    """Sizes of volumes as those of the depth, beside a row that stays, and of images."""
    wanted = output_size if isinstance(output_size, tuple | list) else (output_size,) * 3
    as_sizes("output_size", [1 if size is None else size for size in wanted], 3)
    return (wanted[0], None), tuple(wanted[1:])


def _adaptive_maxima(output_size: OutputSize, axes: int) -> tuple[Pool, Pool]:
    return (
        _adaptive(output_size, axes, ops.max_pool2d, _max_windows),
        _adaptive(output_size, axes, _window_indices, _windows_indices),
    )


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
        sizes = image_size(x)
        outputs = [
            there if size is None else size
            for size, there in zip([None, *wanted][-2:], sizes, strict=True)
        ]
        if any(size % count for size, count in zip(sizes, outputs, strict=True)):
            return uneven(x, (outputs[0], outputs[1]))
        return uniform(x, (sizes[0] // outputs[0], sizes[1] // outputs[1]))

    return pool


def _bounds(size: int, outputs: int) -> list[tuple[int, int]]:
    """Where each window begins, and before what it ends."""
    return [(i * size // outputs, -(-(i + 1) * size // outputs)) for i in range(outputs)]


def _mean_window(x: Value, window: Pair) -> Value:
    if window == x.shape[1:3]:
        return ops.mean(x, (1, 2), keepdims=True)
    return ops.avg_pool2d(x, window)


def _mean_windows(x: Value, outputs: Pair) -> Value:
    for axis, count, size in zip((1, 2), outputs, image_size(x), strict=True):
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
    height, width = image_size(x)
    return _windows_indices(x, (height // window[0], width // window[1]))


def _windows_indices(x: Value, outputs: Pair) -> Value:
    return largest_at(x, *_positions(x, outputs))


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
        for bounds in map(_bounds, image_size(x), outputs)
    )
    return rows, columns
