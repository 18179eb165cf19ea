"""Images read at positions that are computed."""

from __future__ import annotations

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import DType, Value
from numbanet.tensors.dispatch import tensor_function

_MODES = ("bilinear", "nearest")
_PADDINGS = ("zeros", "border", "reflection")


@tensor_function
def affine_grid(
    theta: Value, size: tuple[int, ...], align_corners: bool | None = None
) -> Value:
    """Positions for `grid_sample`: those of an image's pixels, moved by an affine map.

    (Jaderberg et al., "Spatial Transformer Networks", 2015.)

    Parameters
    ----------
    theta : Tensor
        Maps ``[N, 2, 3]``, from a result's positions to those of the image.
    size : sequence of int
        Of the result, ``[N, C, H, W]``.
    align_corners : bool, optional
        Whether -1 and 1 are the centres of the first and the last pixels, or their edges (the
        default).

    Returns
    -------
    Tensor
        ``[N, H, W, 2]``, x before y.

    Raises
    ------
    ShapeError
        If ``theta`` is of another shape.
    NotImplementedError
        For volumes.
    """
    if len(size) == 5:
        raise NotImplementedError("affine_grid() of volumes")
    if len(size) != 4 or theta.rank != 3 or theta.shape[1:] != (2, 3):
        raise ShapeError("affine_grid() takes maps [N, 2, 3]", got=f"{theta.type} for {size}")
    height, width = size[2:]
    rows, columns = (_centres(count, bool(align_corners)) for count in (height, width))
    x, y = np.broadcast_arrays(columns[None, :], rows[:, None])
    base = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(1, height * width, 3)
    points = ops.matmul(
        ops.expand(ops.constant(base, theta.dtype), (size[0], -1, -1)), theta, transpose_b=True
    )
    return ops.reshape(points, (-1, height, width, 2))


def _centres(count: int, align_corners: bool) -> np.ndarray:
    """Where pixels are, from -1 to 1."""
    if align_corners:
        return np.linspace(-1, 1, count) if count > 1 else np.zeros(1)
    return (2 * np.arange(count) + 1) / count - 1


@tensor_function
def grid_sample(
    input: Value,
    grid: Value,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Value:
    """Images read at the positions of a grid, between pixels by interpolation.

    Parameters
    ----------
    input : Tensor
        Images ``[N, C, H, W]``.
    grid : Tensor
        Positions ``[N, OH, OW, 2]``, x before y, from -1 to 1 within the image.
    mode : {"bilinear", "nearest"}
    padding_mode : {"zeros", "border", "reflection"}
        What lies beyond the image: zeros, its nearest pixel, or its mirror image.
    align_corners : bool, optional
        As in `affine_grid`.

    Returns
    -------
    Tensor
        ``[N, C, OH, OW]``.

    Raises
    ------
    ShapeError
        If the operands are not of these shapes.
    ArgumentError
        If a mode is unknown.
    NotImplementedError
        For volumes, and ``"bicubic"``.
    """
    if input.rank == 5 or mode == "bicubic":
        raise NotImplementedError(f"grid_sample() of {input.type} with mode={mode!r}")
    if mode not in _MODES or padding_mode not in _PADDINGS:
        raise ArgumentError(
            "grid_sample() has no such mode",
            got=f"mode={mode!r}, padding_mode={padding_mode!r}",
            expected=f"one of {_MODES} and one of {_PADDINGS}",
        )
    if (
        input.rank != 4
        or grid.rank != 4
        or grid.shape[3] != 2
        or grid.shape[0] != input.shape[0]
    ):
        raise ShapeError("grid_sample() of such operands", got=f"{input.type} and {grid.type}")
    sizes = input.type.sizes[2:]
    y, x = (
        _position(grid[:, :, :, axis], size, padding_mode, bool(align_corners))
        for axis, size in zip((1, 0), sizes, strict=True)
    )
    taps = _nearest_taps(y, x) if mode == "nearest" else _bilinear_taps(y, x)
    rows = ops.reshape(ops.transpose(input, (0, 2, 3, 1)), (-1, input.type.sizes[1]))
    total = None
    for row, column, weight in taps:
        term = _read(rows, row, column, sizes) * ops.expand_dims(weight, -1)
        total = term if total is None else total + term
    assert total is not None
    return ops.transpose(total, (0, 3, 1, 2))


Tap = tuple[Value, Value, Value]
"""Row and column of a pixel, in whole numbers of floating-point dtype, and its weight."""


def _position(at: Value, size: int, padding_mode: str, align_corners: bool) -> Value:
    """Positions from -1 to 1 in pixels, brought into the image if it is padded."""
    low, high = (0.0, size - 1.0) if align_corners else (-0.5, size - 0.5)
    pixels = (at + 1) * ((high - low) / 2) + low
    if padding_mode == "reflection":
        pixels = _reflected(pixels, low, high)
    return pixels if padding_mode == "zeros" else ops.clip(pixels, 0, size - 1)


def _reflected(pixels: Value, low: float, high: float) -> Value:
    span = high - low
    if span == 0:
        return pixels * 0
    away = ops.absolute(pixels - low)
    turns = ops.floor(away / span)
    rest = away - turns * span
    is_even = ops.equal(ops.remainder(turns, 2), 0)
    return ops.where(is_even, rest + low, high - rest)


def _nearest_taps(y: Value, x: Value) -> list[Tap]:
    """Halves go to the even pixel."""
    row, column = (_rounded(each) for each in (y, x))
    return [(row, column, ops.ones_like(row))]


def _rounded(at: Value) -> Value:
    below = ops.floor(ops.stop_gradient(at))
    part = ops.stop_gradient(at) - below
    is_up = ops.logical_or(
        ops.greater(part, 0.5),
        ops.logical_and(ops.equal(part, 0.5), ops.equal(ops.remainder(below, 2), 1)),
    )
    return below + ops.cast(is_up, at.dtype)


def _bilinear_taps(y: Value, x: Value) -> list[Tap]:
    top, left = (ops.floor(ops.stop_gradient(each)) for each in (y, x))
    down, across = y - top, x - left
    return [
        (top, left, (1 - down) * (1 - across)),
        (top, left + 1, (1 - down) * across),
        (top + 1, left, down * (1 - across)),
        (top + 1, left + 1, down * across),
    ]


def _read(rows: Value, row: Value, column: Value, sizes: tuple[int, ...]) -> Value:
    """Pixels ``[N, OH, OW, C]`` out of all images' ``[N * H * W, C]``; zeros beyond them."""
    height, width = sizes
    is_inside = ops.logical_and(_within(row, height), _within(column, width))
    at = ops.clip(row, 0, height - 1) * width + ops.clip(column, 0, width - 1)
    first = ops.iota((row.type.sizes[0], 1, 1)) * (height * width)
    pixels = ops.take(rows, ops.cast(at, DType.INT64) + first)
    return ops.where(ops.expand_dims(is_inside, -1), pixels, 0)


def _within(at: Value, size: int) -> Value:
    return ops.logical_and(ops.greater_equal(at, 0), ops.less_equal(at, size - 1))
