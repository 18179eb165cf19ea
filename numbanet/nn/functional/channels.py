"""Between channels-first tensors, with or without a batch, and channels-last images."""

from __future__ import annotations

from collections.abc import Callable

from numbanet import ops
from numbanet.errors import ShapeError
from numbanet.ir import Value
from numbanet.ops.window import Pair, as_sizes

Sizes = int | tuple[int, ...]
"""A number for all axes of pixels, or one for each."""

_AXES = {1: "C, L", 2: "C, H, W", 3: "C, D, H, W"}


def over_images(name: str, axes: int, function: Callable[[Value], Value], x: Value) -> Value:
    """``function`` of images ``[N, H, W, C]``, applied to a channels-first tensor.

    Parameters
    ----------
    name : str
        Who asks, for messages.
    axes : int
        Two for images ``[N, C, H, W]`` or ``[C, H, W]``; one for series ``[N, C, L]`` or
        ``[C, L]``, which ``function`` sees as images one pixel high.
    function : callable
        From value to value.
    x : Value

    Raises
    ------
    ShapeError
        If ``x`` has other axes.
    """

    def apply(batch: Value) -> Value:
        y = function(as_images(batch))
        return channels_first(y if axes == 2 else ops.squeeze(y, 1))

    return _over_batch(name, axes, apply, x)


def over_volumes(name: str, function: Callable[[Value], Value], x: Value) -> Value:
    """``function`` of volumes ``[N, D, H, W, C]``, applied to ``[N, C, D, H, W]`` or without N.

    Raises
    ------
    ShapeError
        If ``x`` has other axes.
    """
    return _over_batch(name, 3, lambda x: channels_first(function(channels_last(x))), x)


def _over_batch(name: str, axes: int, function: Callable[[Value], Value], x: Value) -> Value:
    if x.rank not in (axes + 1, axes + 2):
        raise ShapeError(
            f"{name}() takes other axes",
            got=str(x.type),
            expected=f"[N, {_AXES[axes]}] or [{_AXES[axes]}]",
        )
    if x.rank == axes + 2:
        return function(x)
    return ops.squeeze(function(ops.expand_dims(x, 0)), 0)


def as_images(x: Value) -> Value:
    """``[N, C, H, W]`` or ``[N, C, L]`` as ``[N, H, W, C]``; weights likewise."""
    last = channels_last(x)
    return last if x.rank == 4 else ops.expand_dims(last, 1)


def channels_last(x: Value) -> Value:
    """``[N, C, ...]`` as ``[N, ..., C]``."""
    return ops.transpose(x, (0, *range(2, x.rank), 1))


def channels_first(x: Value) -> Value:
    """``[N, ..., C]`` as ``[N, C, ...]``."""
    return ops.transpose(x, (0, x.rank - 1, *range(1, x.rank - 1)))


def image_sizes(what: str, value: Sizes, axes: int, least: int = 1) -> Pair:
    """Sizes of one axis of pixels or two, as (vertical, horizontal) of images."""
    sizes = as_sizes(what, value, axes, least)
    return (sizes[0], sizes[1]) if axes == 2 else (least, sizes[0])
