"""Windows that slide over images: the arithmetic that convolution and pooling share.

Pairs are (vertical, horizontal) or (before, after). Images are channels-last.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError, ShapeError

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
"""((top, bottom), (left, right))."""


def as_pair(what: str, value: Any, least: int = 1) -> Pair:
    """An integer, meaning both, or two integers; none below ``least``."""
    first, second = as_sizes(what, value, 2, least)
    return first, second


def as_sizes(what: str, value: Any, axes: int, least: int | None = 1) -> tuple[int, ...]:
    """An integer for all axes, or one for each of them; none below ``least``, if given."""
    listed = tuple(value) if isinstance(value, tuple | list) else (value,) * axes
    is_integer = all(isinstance(each, int | np.integer) for each in listed)
    is_small = is_integer and least is not None and min(listed, default=least) < least
    if len(listed) != axes or not is_integer or is_small:
        raise ArgumentError(
            f"{what} must be an integer" + f", or {axes} of them" * (axes > 1),
            got=repr(value),
            expected=None if least is None else f"at least {least}",
        )
    return tuple(map(int, listed))


def resolve_padding(
    padding: Any, size: tuple[int | None, ...], window: Pair, stride: Pair, dilation: Pair
) -> Padding:
    """Padding in pixels from an integer, pairs, ``"valid"`` or ``"same"``.

    ``"same"`` gives ``ceil(size / stride)`` outputs, and where the padding is odd the extra
    pixel comes after the image, as TensorFlow and Keras place it.
    """
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        top_bottom, left_right = (
            split_padding(_same(*each))
            for each in zip(size, window, stride, dilation, strict=True)
        )
        return top_bottom, left_right
    if isinstance(padding, int):
        padding = (padding, padding)
    if not isinstance(padding, tuple | list) or len(padding) != 2:
        raise ArgumentError(
            "unknown padding",
            got=repr(padding),
            expected='"same", "valid", an integer, or pairs of them',
        )
    return as_pair("padding", padding[0], 0), as_pair("padding", padding[1], 0)


def _same(size: int | None, window: int, stride: int, dilation: int) -> int:
    if size is None:
        raise ShapeError('padding="same" needs images of a known size')
    outputs = -(-size // stride)
    return max((outputs - 1) * stride + extent(window, dilation) - size, 0)


def split_padding(total: int) -> Pair:
    return total // 2, total - total // 2


def extent(window: int, dilation: int) -> int:
    """Pixels from the first to the last of a dilated window."""
    return (window - 1) * dilation + 1


def output_size(
    name: str,
    size: tuple[int | None, ...],
    window: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair = (1, 1),
) -> Pair:
    """How often the window fits, down and across; raises ShapeError if it never does."""
    counts = []
    for axis in range(2):
        pixels = size[axis]
        if pixels is None:
            raise ShapeError(f"{name}() needs images of a known size", got=str(size))
        room = pixels + sum(padding[axis]) - extent(window[axis], dilation[axis])
        counts.append(room // stride[axis] + 1)
    if min(counts) < 1 or 0 in size:
        raise ShapeError(
            f"{name}() cannot fit its window into the padded image",
            got=f"images of {size}, padding {padding}",
            expected=f"room for {window} with dilation {dilation}",
            mend='Use padding="same", a smaller window, or fewer strides before it',
        )
    return counts[0], counts[1]


def pad_images(x: np.ndarray, padding: Padding, fill: float = 0.0) -> np.ndarray:
    return np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=fill)


def taps(
    window: Pair, stride: Pair, outputs: Pair, dilation: Pair = (1, 1)
) -> Iterator[tuple[int, int, tuple[slice, slice, slice]]]:
    """For each pixel of the window in row-major order: the slices of the padded images that
    hold what all the windows see there, ``[N, *outputs, C]``."""
    for i, j in np.ndindex(*window):
        rows, columns = (
            slice(at * d, at * d + (count - 1) * step + 1, step)
            for at, d, count, step in zip((i, j), dilation, outputs, stride, strict=True)
        )
        yield i, j, (slice(None), rows, columns)
