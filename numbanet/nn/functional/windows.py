"""Windows of images as pooling functions have them, and where the largest pixels are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import TensorType, Value
from numbanet.nn.functional.channels import Sizes, image_sizes, over_images, over_volumes
from numbanet.ops.window import Padding, Pair, extent
from numbanet.tensors.functions.indexing import gather

Pool = Callable[[Value], Value]
"""From images ``[N, H, W, C]`` to smaller ones."""


def separable(across: Pool, along: Pool) -> Pool:
    """A pool of volumes ``[N, D, H, W, C]``: ``across`` each image, then ``along`` the depth.

    ``along`` sees a volume as an image of D rows, each of all pixels.
    """

    def pool(x: Value) -> Value:
        depth, height, width, channels = TensorType(x.shape[1:], x.dtype).sizes
        y = across(ops.reshape(x, (-1, height, width, channels)))
        size = image_size(y)
        y = along(ops.reshape(y, (-1, depth, size[0] * size[1], channels)))
        return ops.reshape(y, (-1, image_size(y)[0], *size, channels))

    return pool


def separable_places(across: tuple[Pool, Pool], along: tuple[Pool, Pool]) -> Pool:
    """Where the largest are that a `separable` pool finds: positions ``(d * H + y) * W + x``.

    Of both pairs the first finds the largest and the second their places.
    """

    def places(x: Value) -> Value:
        depth, height, width, channels = TensorType(x.shape[1:], x.dtype).sizes
        images = ops.reshape(x, (-1, height, width, channels))
        largest = across[0](images)
        size = image_size(largest)
        pixels = size[0] * size[1]
        rows = (-1, depth, pixels, channels)
        at = ops.floor_divide(along[1](ops.reshape(largest, rows)), pixels)
        within = gather(ops.reshape(across[1](images), rows), 1, at)
        found = at * (height * width) + within
        return ops.reshape(found, (-1, image_size(found)[0], *size, channels))

    return places


def maxima(
    name: str, axes: int, pools: tuple[Pool, Pool], input: Value, return_indices: bool
) -> Value | tuple[Value, Value]:
    """Largest pixels by the first of ``pools``, and where they are by the second."""
    largest, places = pools

    def over(pool: Pool) -> Value:
        if axes == 3:
            return over_volumes(name, pool, input)
        return over_images(name, axes, pool, input)

    return (over(largest), over(places)) if return_indices else over(largest)


def geometry(
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


def sides_of(
    x: Value, window: Pair, stride: Pair, sides: Pair, dilation: Pair, ceil_mode: bool
) -> Padding:
    """Padding of both ends; ``ceil_mode`` adds what the last windows need beyond it."""
    if not ceil_mode:
        return (sides[0], sides[0]), (sides[1], sides[1])
    sizes = image_size(x)
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


def largest_at(x: Value, rows: np.ndarray, columns: np.ndarray) -> Value:
    """Positions ``y * W + x`` of the largest pixels, of the first if several are equal.

    ``rows`` ``[OH, h]`` and ``columns`` ``[OW, w]`` are those of each window; what lies beyond
    the image is smaller than all pixels.
    """
    sizes, width = image_size(x), columns.shape[1]
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


def image_size(x: Value) -> Pair:
    height, width = TensorType(x.shape[1:3], x.dtype).sizes
    return height, width
