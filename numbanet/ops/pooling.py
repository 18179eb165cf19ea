"""Pooling of channels-last images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet.errors import ShapeError
from numbanet.ir.op import Arg, Attrs, Case, Op, attrs_of, register
from numbanet.ir.types import TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops.checks import require_rank, require_shape
from numbanet.ops.elementwise import FLOATING, common_dtype
from numbanet.ops.resampling import join, windows
from numbanet.ops.slices import pad
from numbanet.ops.window import (
    Padding,
    Pair,
    as_pair,
    extent,
    output_size,
    pad_images,
    resolve_padding,
    taps,
)


@dataclass(frozen=True)
class PoolAttrs(Attrs):
    """The window and how it moves. Padding is smaller than the window on every side, so that
    every window sees a pixel."""

    window: Pair
    stride: Pair
    padding: Padding = ((0, 0), (0, 0))


@dataclass(frozen=True)
class AvgPoolAttrs(PoolAttrs):
    """``count_include_pad``: divide by the whole window, not by the pixels that it sees."""

    count_include_pad: bool = False


@dataclass(frozen=True)
class AvgPoolGradAttrs(AvgPoolAttrs):
    """``size`` is the height and width of the images that were pooled."""

    size: Pair = (1, 1)


def max_pool2d(
    x: Value,
    window: int | Pair,
    *,
    stride: int | Pair | None = None,
    padding: Any = 0,
    dilation: int | Pair = 1,
) -> Value:
    """The largest pixel in each window, channel by channel.

    The gradient goes to the first of equal maxima in row-major order, as PyTorch's does.

    Parameters
    ----------
    x : Value
        Images ``[N, H, W, C]``; N may be unknown.
    window : int or (int, int)
    stride : int or (int, int), optional
        The window by default, so that windows do not overlap.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Pixels of minus infinity around the images, fewer than the window on each side.
    dilation : int or (int, int)
        Steps of the pixels within the window.

    Returns
    -------
    Value
        ``[N, OH, OW, C]``, where ``OH = (H + padding - extent) // stride + 1`` and extent is
        ``dilation * (window - 1) + 1``.

    Raises
    ------
    ShapeError
        If ``x`` is no batch of images, the window does not fit, or padding is as large.
    ArgumentError
        If an argument is not of the forms above.
    """
    dilations = as_pair("dilation", dilation)
    sizes, steps, sides = _resolve("max_pool2d", x, window, stride, padding, dilations)
    if dilations == (1, 1):
        return MAX_POOL2D(x, attrs=PoolAttrs(sizes, steps, sides))
    down, across = map(extent, sizes, dilations)
    _check_padding("max_pool2d", sides, (down, across))
    # The windows' pixels next to each other: then the windows lie side by side.
    x = pad(x, ((0, 0), *sides, (0, 0)), -math.inf)
    for axis, *window_of in zip((1, 2), sizes, steps, dilations, strict=True):
        x = join(windows(x, axis, *window_of), axis)
    return MAX_POOL2D(x, attrs=PoolAttrs(sizes, sizes))


def avg_pool2d(
    x: Value,
    window: int | Pair,
    *,
    stride: int | Pair | None = None,
    padding: Any = 0,
    count_include_pad: bool = False,
) -> Value:
    """The mean of the pixels in each window, channel by channel.

    Parameters
    ----------
    x, window, stride, padding
        As in `max_pool2d`, but padding is zeros.
    count_include_pad : bool
        Whether padding counts as pixels: PyTorch's default; Keras never counts it.

    Returns
    -------
    Value
        ``[N, OH, OW, C]``.

    Raises
    ------
    ShapeError, ArgumentError
        As `max_pool2d`.
    """
    resolved = _resolve("avg_pool2d", x, window, stride, padding)
    return AVG_POOL2D(x, attrs=AvgPoolAttrs(*resolved, count_include_pad))


def _resolve(
    name: str, x: Value, window: Any, stride: Any, padding: Any, dilation: Pair = (1, 1)
) -> tuple[Pair, Pair, Padding]:
    require_rank(name, "images", x.type, "N, H, W, C")
    sizes = as_pair("window", window)
    steps = sizes if stride is None else as_pair("stride", stride)
    return sizes, steps, resolve_padding(padding, x.shape[1:3], sizes, steps, dilation)


def _infer(name: str, attrs: PoolAttrs, x: TensorType) -> TensorType:
    require_rank(name, "images", x, "N, H, W, C")
    dtype = common_dtype(name, (x,), FLOATING)
    _check_padding(name, attrs.padding, attrs.window)
    size = output_size(name, x.shape[1:3], attrs.window, attrs.stride, attrs.padding)
    return TensorType((x.shape[0], *size, x.shape[3]), dtype)


def _check_padding(name: str, padding: Padding, window: Pair) -> None:
    if any(max(sides) >= pixels for sides, pixels in zip(padding, window, strict=True)):
        raise ShapeError(
            f"{name}() would have windows of nothing but padding",
            got=f"padding {padding} for a window of {window}",
            expected="padding smaller than the window",
        )


def _infer_max_grad(
    attrs: PoolAttrs, x: TensorType, y: TensorType, g: TensorType
) -> TensorType:
    expected = _infer("max_pool2d_grad", attrs, x).shape
    require_shape("max_pool2d_grad", "maxima", y, expected)
    require_shape("max_pool2d_grad", "gradients", g, expected)
    return TensorType(x.shape, common_dtype("max_pool2d_grad", (x, y, g), FLOATING))


def _infer_avg_grad(attrs: AvgPoolGradAttrs, g: TensorType) -> TensorType:
    require_rank("avg_pool2d_grad", "gradients", g, "N, OH, OW, C")
    images = TensorType((g.shape[0], *attrs.size, g.shape[3]), g.dtype)
    pooled = _infer("avg_pool2d_grad", attrs, images)
    require_shape("avg_pool2d_grad", "gradients", g, pooled.shape)
    return images


def _outputs(attrs: PoolAttrs, size: tuple[int, ...]) -> Pair:
    return output_size("pooling", size, attrs.window, attrs.stride, attrs.padding)


def _max_reference(attrs: PoolAttrs, x: np.ndarray) -> np.ndarray:
    padded = pad_images(x, attrs.padding, -np.inf)
    seen = taps(attrs.window, attrs.stride, _outputs(attrs, x.shape[1:3]))
    return np.max([padded[at] for _, _, at in seen], axis=0)


def _max_grad_reference(
    attrs: PoolAttrs, x: np.ndarray, y: np.ndarray, g: np.ndarray
) -> np.ndarray:
    # Padding takes no gradient, for NaN equals nothing.
    padded = pad_images(x, attrs.padding, np.nan)
    dx = np.zeros_like(padded)
    is_given = np.zeros(y.shape, bool)
    for _, _, at in taps(attrs.window, attrs.stride, y.shape[1:3]):
        takes = (padded[at] == y) & ~is_given
        dx[at] += np.where(takes, g, 0)
        is_given |= takes
    return _crop(attrs, dx)


def _crop(attrs: PoolAttrs, padded: np.ndarray) -> np.ndarray:
    (top, bottom), (left, right) = attrs.padding
    height, width = padded.shape[1:3]
    return np.ascontiguousarray(padded[:, top : height - bottom, left : width - right])


def _counts(attrs: AvgPoolAttrs, size: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """What each window's sum is divided by, ``[1, OH, OW, 1]``."""
    outputs = _outputs(attrs, size)
    fill = 1.0 if attrs.count_include_pad else 0.0
    seen = pad_images(np.ones((1, *size, 1), dtype), attrs.padding, fill)
    each = taps(attrs.window, attrs.stride, outputs)
    return np.sum([seen[at] for _, _, at in each], axis=0)


def _avg_reference(attrs: AvgPoolAttrs, x: np.ndarray) -> np.ndarray:
    padded = pad_images(x, attrs.padding)
    seen = taps(attrs.window, attrs.stride, _outputs(attrs, x.shape[1:3]))
    total = np.sum([padded[at] for _, _, at in seen], axis=0)
    return total / _counts(attrs, x.shape[1:3], x.dtype)


def _avg_grad_reference(attrs: AvgPoolGradAttrs, g: np.ndarray) -> np.ndarray:
    share = g / _counts(attrs, attrs.size, g.dtype)
    dx = pad_images(np.zeros((len(g), *attrs.size, g.shape[3]), g.dtype), attrs.padding)
    for _, _, at in taps(attrs.window, attrs.stride, g.shape[1:3]):
        dx[at] += share
    return _crop(attrs, dx)


def _max_gradient(node: Node, g: Value) -> tuple[Value]:
    return (MAX_POOL2D_GRAD(node.inputs[0], node.outputs[0], g, attrs=node.attrs),)


def _avg_gradient(node: Node, g: Value) -> tuple[Value]:
    attrs = attrs_of(node, AvgPoolAttrs)
    _, height, width, _ = node.inputs[0].type.sizes
    return (AVG_POOL2D_GRAD(g, attrs=AvgPoolGradAttrs(*_pooling(attrs), (height, width))),)


def _avg_grad_gradient(node: Node, dx: Value) -> tuple[Value]:
    attrs = attrs_of(node, AvgPoolGradAttrs)
    return (AVG_POOL2D(dx, attrs=AvgPoolAttrs(*_pooling(attrs))),)


def _pooling(attrs: AvgPoolAttrs) -> tuple[Pair, Pair, Padding, bool]:
    return attrs.window, attrs.stride, attrs.padding, attrs.count_include_pad


def _flops(node: Node) -> int:
    """One for each pixel of each window; the pooled side is the smaller one."""
    attrs = attrs_of(node, PoolAttrs)
    pooled = min(value.type.size for value in (*node.inputs, *node.outputs))
    return pooled * math.prod(attrs.window)


_POOLS = (
    ((2, 6, 4, 3), PoolAttrs((2, 2), (2, 2))),
    ((2, 5, 7, 3), PoolAttrs((2, 3), (2, 3))),
    ((1, 5, 5, 2), PoolAttrs((3, 3), (2, 2), ((1, 1), (1, 1)))),
    ((1, 4, 6, 1), PoolAttrs((3, 2), (1, 1), ((0, 2), (1, 0)))),
    ((1, 7, 3, 2), PoolAttrs((1, 2), (3, 1), ((0, 0), (0, 1)))),
    ((1, 1, 1, 1), PoolAttrs((1, 1), (1, 1))),
    ((0, 4, 4, 2), PoolAttrs((2, 2), (2, 2))),
)
_AVERAGES = tuple(
    (shape, AvgPoolAttrs(attrs.window, attrs.stride, attrs.padding, counts))
    for shape, attrs in _POOLS
    for counts in (False, True)
)


def _max_grad_case(shape: tuple[int, ...], attrs: PoolAttrs) -> Case:
    """All pixels equal their maxima, so the first of each window takes the gradient."""
    images = Arg(shape, low=0.0, high=0.0)
    pooled = (shape[0], *_outputs(attrs, shape[1:3]), shape[3])
    return Case((images, Arg(pooled, low=0.0, high=0.0), Arg(pooled)), attrs)


def _avg_grad_case(shape: tuple[int, ...], attrs: AvgPoolAttrs) -> Case:
    pooled = (shape[0], *_outputs(attrs, shape[1:3]), shape[3])
    height, width = shape[1:3]
    return Case((Arg(pooled),), AvgPoolGradAttrs(*_pooling(attrs), (height, width)))


MAX_POOL2D = register(
    Op(
        "max_pool2d",
        infer=lambda attrs, x: _infer("max_pool2d", attrs, x),
        reference=_max_reference,
        gradient=_max_gradient,
        flops=_flops,
        cases=tuple(Case((Arg(shape),), attrs) for shape, attrs in _POOLS),
    )
)

MAX_POOL2D_GRAD = register(
    Op(
        "max_pool2d_grad",
        infer=_infer_max_grad,
        reference=_max_grad_reference,
        flops=_flops,
        cases=tuple(_max_grad_case(shape, attrs) for shape, attrs in _POOLS),
    )
)
"""``(x, y, g)``: in each window, the first pixel of ``x`` that equals ``y`` takes ``g``."""

AVG_POOL2D = register(
    Op(
        "avg_pool2d",
        infer=lambda attrs, x: _infer("avg_pool2d", attrs, x),
        reference=_avg_reference,
        gradient=_avg_gradient,
        flops=_flops,
        cases=tuple(Case((Arg(shape),), attrs) for shape, attrs in _AVERAGES),
    )
)

AVG_POOL2D_GRAD = register(
    Op(
        "avg_pool2d_grad",
        infer=_infer_avg_grad,
        reference=_avg_grad_reference,
        gradient=_avg_grad_gradient,
        flops=_flops,
        cases=tuple(_avg_grad_case(shape, attrs) for shape, attrs in _AVERAGES),
    )
)
"""``(g)``: every pixel that a window counted takes an equal share of its ``g``."""
