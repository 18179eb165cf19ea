"""Values at other positions along an axis: picked, laid out as windows, or interpolated.

All positions are known when the graph is recorded, so these are slices, copies and products
with small constant matrices: they need no kernels of their own, and gradients follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir.value import Value
from numbanet.ops import slices
from numbanet.ops.axes import normalise_axis
from numbanet.ops.indexing import take
from numbanet.ops.leaf import constant
from numbanet.ops.matmul import matmul
from numbanet.ops.shapes import expand, expand_dims, inverse, reshape, squeeze, transpose
from numbanet.ops.window import extent

_MOST_RUNS = 8
"""Positions in more runs than these are gathered by index."""


def _size(name: str, x: Value, axis: int) -> int:
    size = x.shape[axis]
    if not size:
        raise ShapeError(
            f"{name}() needs a size along axis {axis} that is known and not zero",
            got=str(x.type),
        )
    return size


def pick(x: Value, positions: Sequence[int] | np.ndarray, axis: int) -> Value:
    """The elements of ``x`` at constant positions along an axis.

    Parameters
    ----------
    x : Value
    positions : sequence of int
        In any order and as often as wanted, each from 0 to the axis's size less one.
    axis : int

    Returns
    -------
    Value
        As ``x``, with as many elements along ``axis`` as there are positions.

    Raises
    ------
    ShapeError
        If the axis's size is unknown.
    ArgumentError
        If there is no position, or one is out of range.
    """
    axis = normalise_axis("pick", axis, x.rank)
    size = _size("pick", x, axis)
    where = np.asarray(positions, dtype=np.int64)
    if where.ndim != 1 or not where.size or where.min() < 0 or where.max() >= size:
        raise ArgumentError(
            f"pick() along axis {axis} of {x.type}",
            got=str(where.tolist()),
            expected=f"positions from 0 to {size - 1}",
        )
    times = len(where) // size
    if times > 1 and np.array_equal(where, np.repeat(np.arange(size), times)):
        return repeat(x, times, axis)
    runs = _runs(where.tolist())
    if len(runs) <= _MOST_RUNS:
        return slices.concatenate([_run(x, run, axis) for run in runs], axis)
    order = (axis, *(other for other in range(x.rank) if other != axis))
    return transpose(take(transpose(x, order), constant(where)), inverse(order))


def _runs(positions: list[int]) -> list[list[int]]:
    """Positions cut into the longest pieces, from the front, that have one step."""
    runs: list[list[int]] = []
    for position in positions:
        last = runs[-1] if runs else []
        if last and (len(last) == 1 or position - last[-1] == last[1] - last[0]):
            last.append(position)
        else:
            runs.append([position])
    return runs


def _run(x: Value, run: list[int], axis: int) -> Value:
    step = run[1] - run[0] if len(run) > 1 else 1
    if step == 0:
        return repeat(_slice(x, axis, slice(run[0], run[0] + 1)), len(run), axis)
    end = run[-1] + (1 if step > 0 else -1)
    return _slice(x, axis, slice(run[0], end if end >= 0 else None, step))


def _slice(x: Value, axis: int, key: slice) -> Value:
    return slices.slice(x, [key if i == axis else slice(None) for i in range(x.rank)])


def repeat(x: Value, times: int, axis: int) -> Value:
    """Each element along an axis of known size, ``times`` over: ``a a b b``."""
    axis = normalise_axis("repeat", axis, x.rank)
    if times == 1:
        return x
    sizes = [times if i == axis + 1 else -1 for i in range(x.rank + 1)]
    return join(expand(expand_dims(x, axis + 1), sizes), axis)


def join(x: Value, axis: int) -> Value:
    """Two neighbouring axes, ``axis`` and the next, as one; their sizes are known."""
    sizes = _size("join", x, axis) * _size("join", x, axis + 1)
    return reshape(x, (*x.shape[:axis], sizes, *x.shape[axis + 2 :]))


def windows(x: Value, axis: int, window: int, stride: int = 1, dilation: int = 1) -> Value:
    """The windows that slide along an axis, each along a new axis behind it.

    Parameters
    ----------
    x : Value
        Of size L along ``axis``.
    axis : int
    window, stride, dilation : int

    Returns
    -------
    Value
        ``[..., count, window, ...]``, where ``count = (L - extent) // stride + 1`` and extent
        is ``dilation * (window - 1) + 1``. What several windows see is there several times.

    Raises
    ------
    ShapeError
        If the window does not fit, or the size is unknown.
    """
    axis = normalise_axis("windows", axis, x.rank)
    count = _count(_size("windows", x, axis), window, stride, dilation)
    if stride == window and dilation == 1:
        whole = _slice(x, axis, slice(0, count * window))
        return reshape(whole, (*x.shape[:axis], count, window, *x.shape[axis + 1 :]))
    taps = [
        _slice(x, axis, slice(first, first + (count - 1) * stride + 1, stride))
        for first in range(0, window * dilation, dilation)
    ]
    return slices.stack(taps, axis + 1)


def overlap_add(x: Value, axis: int, size: int, stride: int = 1, dilation: int = 1) -> Value:
    """Windows put back where `windows` took them from; where several lie, they add up.

    Parameters
    ----------
    x : Value
        ``[..., count, window, ...]``: ``count`` windows along ``axis``.
    axis : int
    size : int
        Of the result along ``axis``: one from which ``count`` windows can be taken.
    stride, dilation : int

    Returns
    -------
    Value
        ``[..., size, ...]``.

    Raises
    ------
    ShapeError
        If another number of windows fits into ``size``.
    """
    axis = normalise_axis("overlap_add", axis, x.rank - 1)
    count, window = _size("overlap_add", x, axis), _size("overlap_add", x, axis + 1)
    fitting = _count(size, window, stride, dilation)
    if fitting != count:
        raise ShapeError(
            f"overlap_add() to a size of {size}", got=f"{count} windows", expected=str(fitting)
        )
    total = None
    for tap, part in enumerate(slices.split(x, window, axis + 1)):
        spread = slices.dilate(squeeze(part, axis + 1), axis, stride)
        before = tap * dilation
        after = size - before - ((count - 1) * stride + 1)
        padding = [(before, after) if i == axis else (0, 0) for i in range(spread.rank)]
        padded = slices.pad(spread, padding)
        total = padded if total is None else total + padded
    assert total is not None
    return total


def _count(size: int, window: int, stride: int, dilation: int) -> int:
    count = (size - extent(window, dilation)) // stride + 1
    if count < 1:
        raise ShapeError(
            "a window does not fit",
            got=f"a size of {size}",
            expected=f"room for {window} with dilation {dilation}",
        )
    return count


def resample(x: Value, matrix: np.ndarray, axis: int) -> Value:
    """Each element along an axis becomes weighted sums: ``matrix @ x`` along that axis.

    Parameters
    ----------
    x : Value
        Floating-point, of size L along ``axis``.
    matrix : ndarray
        ``[outputs, L]``.
    axis : int

    Returns
    -------
    Value
        As ``x``, with ``outputs`` elements along ``axis``.

    Raises
    ------
    ShapeError
        If the matrix has another number of columns.
    """
    axis = normalise_axis("resample", axis, x.rank)
    weights = constant(matrix, x.dtype)
    if axis == x.rank - 1:
        return matmul(x, weights, transpose_b=True)
    behind = [_size("resample", x, other) for other in range(axis + 1, x.rank)]
    columns = reshape(x, (*x.shape[: axis + 1], math.prod(behind)))
    return reshape(matmul(weights, columns), (*x.shape[:axis], len(matrix), *behind))


def resize(
    x: Value,
    axis: int,
    outputs: int,
    method: str = "linear",
    *,
    scale: float | None = None,
    align_corners: bool = False,
) -> Value:
    """``x`` stretched or shrunk along one axis, by interpolation.

    Positions are those of pixel centres: output i lies at ``(i + 0.5) / scale - 0.5``.

    Parameters
    ----------
    x : Value
        Of size L along ``axis``.
    axis : int
    outputs : int
        The new size.
    method : {"nearest", "nearest-exact", "linear", "cubic"}
        ``"nearest"`` takes the element at ``floor(i / scale)``, and ``"nearest-exact"`` the one
        whose centre is nearest. ``"cubic"`` convolves with the kernel of Keys (1981), whose
        parameter is -0.75.
    scale : float, optional
        ``outputs / L`` by default; another one moves the positions.
    align_corners : bool
        The first and the last element stay where they are: output i lies at
        ``i * (L - 1) / (outputs - 1)``. For ``"linear"`` and ``"cubic"``.

    Returns
    -------
    Value
        As ``x``, with ``outputs`` elements along ``axis``.

    Raises
    ------
    ArgumentError
        If the method is unknown or the new size is not positive.
    ShapeError
        If the size along ``axis`` is unknown.
    """
    size = _size("resize", x, axis)
    if method not in {**_NEAREST, **_WEIGHTS} or outputs < 1:
        raise ArgumentError(
            "resize() along an axis",
            got=f"method={method!r}, outputs={outputs}",
            expected=f"one of {', '.join({**_NEAREST, **_WEIGHTS})}, and a positive size",
        )
    if outputs == size and scale is None:
        return x
    step = size / outputs if scale is None else 1 / scale
    if method in _NEAREST:
        return pick(x, _nearest(size, outputs, step, _NEAREST[method]), axis)
    if align_corners:
        at = np.arange(outputs) * ((size - 1) / max(outputs - 1, 1))
    else:
        at = (np.arange(outputs) + 0.5) * step - 0.5
    return resample(x, _WEIGHTS[method](at, size), axis)


def _nearest(size: int, outputs: int, step: float, offset: float) -> np.ndarray:
    # In float32, as PyTorch counts: where a position is a whole number, rounding decides.
    at = (np.arange(outputs, dtype=np.float32) + np.float32(offset)) * np.float32(step)
    return np.minimum(np.floor(at).astype(np.int64), size - 1)


def _linear(at: np.ndarray, size: int) -> np.ndarray:
    at = np.clip(at, 0, size - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(size)))


def _cubic(at: np.ndarray, size: int) -> np.ndarray:
    matrix = np.zeros((len(at), size))
    first = np.floor(at).astype(np.int64)
    for tap in range(-1, 3):
        weights = _keys(np.abs(at - (first + tap)))
        # Positions beyond the ends take the elements at the ends.
        np.add.at(matrix, (np.arange(len(at)), np.clip(first + tap, 0, size - 1)), weights)
    return matrix


def _keys(distance: np.ndarray, a: float = -0.75) -> np.ndarray:
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = a * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))


_NEAREST = {"nearest": 0.0, "nearest-exact": 0.5}
"""Where in an output pixel its position is taken."""

_WEIGHTS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "linear": _linear,
    "cubic": _cubic,
}
