"""Where pixels are: cropping, padding, flipping, resizing, rotating."""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from numbanet.data.transforms.image import as_working_float, image_function, rounded, size_of
from numbanet.errors import ArgumentError, ShapeError

Fill = float | Sequence[float]


class InterpolationMode(str, enum.Enum):
    """How pixels are read between pixels."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"


def interpolation_of(mode: Any) -> InterpolationMode:
    """The mode of a name; raises NotImplementedError for any other."""
    try:
        return InterpolationMode(mode)
    except ValueError:
        raise NotImplementedError(f"interpolation={mode!r}: nearest and bilinear are") from None


@image_function
def crop(img: np.ndarray, top: int, left: int, height: int, width: int) -> np.ndarray:
    """The rectangle at ``(top, left)``; zeros where it leaves the image."""
    rows, columns = img.shape[-2:]
    inside = img[..., max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    if 0 <= top <= rows - height and 0 <= left <= columns - width:
        return inside
    result = np.zeros((*img.shape[:-2], height, width), img.dtype)
    begin, side = max(-top, 0), max(-left, 0)
    result[..., begin : begin + inside.shape[-2], side : side + inside.shape[-1]] = inside
    return result


@image_function
def hflip(img: np.ndarray) -> np.ndarray:
    """Left becomes right."""
    return img[..., ::-1]


@image_function
def vflip(img: np.ndarray) -> np.ndarray:
    """Top becomes bottom."""
    return img[..., ::-1, :]


_PAD_MODES = ("constant", "edge", "reflect", "symmetric")


@image_function
def pad(
    img: np.ndarray,
    padding: int | Sequence[int],
    fill: Fill = 0,
    padding_mode: str = "constant",
) -> np.ndarray:
    """Pixels around the image.

    Parameters
    ----------
    padding : int or sequence of int
        For all sides; or left and right, top and bottom; or left, top, right, bottom.
    fill : float or sequence of float
        One number, or one for each channel.
    padding_mode : {"constant", "edge", "reflect", "symmetric"}
    """
    left, top, right, bottom = _sides(padding)
    if padding_mode not in _PAD_MODES:
        raise ArgumentError(
            "unknown padding_mode", got=repr(padding_mode), expected=", ".join(_PAD_MODES)
        )
    if min(left, top, right, bottom) < 0:
        raise ArgumentError("padding is negative", got=str(padding), mend="Use crop")
    if padding_mode == "constant":
        return _pad_with(img, (left, top, right, bottom), fill)
    widths = [(0, 0)] * (img.ndim - 2) + [(top, bottom), (left, right)]
    return np.pad(img, widths, mode=padding_mode)  # type: ignore[call-overload]


def _pad_with(img: np.ndarray, sides: tuple[int, int, int, int], fill: Fill) -> np.ndarray:
    left, top, right, bottom = sides
    rows, columns = img.shape[-2:]
    result = np.empty((*img.shape[:-2], top + rows + bottom, left + columns + right), img.dtype)
    result[...] = fill_for(img, fill)
    result[..., top : top + rows, left : left + columns] = img
    return result


def fill_for(img: np.ndarray, fill: Fill) -> np.ndarray:
    """``fill`` in the image's dtype, to be broadcast over its pixels."""
    values = np.asarray(fill, dtype=np.float64)
    if values.ndim == 1 and len(values) > 1:
        channels = img.shape[-3] if img.ndim > 2 else 1
        if len(values) != channels:
            raise ShapeError(
                "fill has one number, or one for each channel",
                got=f"{len(values)} numbers",
                expected=f"{channels}",
            )
    return rounded(values.reshape(-1, 1, 1) if values.ndim else values, img.dtype)


def _sides(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    given = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(given) not in (1, 2, 4):
        raise ArgumentError("padding is 1, 2 or 4 numbers", got=str(padding))
    left, top, right, bottom = (given * 4)[:4]
    return left, top, right, bottom


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """The middle; with zeros around it where the image is smaller."""
    height, width = pair(output_size)
    rows, columns = size_of(img)
    # An image that is too small gets its odd pixel at the end; one that is too large loses it
    # by rounding half to even.
    top = -((height - rows) // 2) if height > rows else round((rows - height) / 2)
    left = -((width - columns) // 2) if width > columns else round((columns - width) / 2)
    return crop(img, top, left, height, width)


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width of one number, or of two."""
    given = (size,) if isinstance(size, int) else tuple(size)
    if len(given) not in (1, 2) or min(given) <= 0:
        raise ArgumentError("a size is one or two positive integers", got=str(size))
    return given[0], given[-1]


def resize(
    img: Any,
    size: int | Sequence[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool = True,
) -> Any:
    """The image with another number of pixels.

    Parameters
    ----------
    size : int or sequence of int
        Height and width; or the length of the shorter edge.
    interpolation : {"bilinear", "nearest"}
    max_size : int, optional
        Most that the longer edge may have, if ``size`` is one number.
    antialias : bool
        When shrinking, weigh all pixels that a new one covers (a triangle as wide as two new
        pixels), as Pillow does. Without, read between the nearest two, which loses details.

    Notes
    -----
    Numbers are those of PyTorch's ``interpolate(..., antialias=antialias)``, for every kind of
    image; integers are rounded. Nearest reads pixel ``floor(i * old / new)``.
    """
    return _resize(
        img,
        _new_size(size_of(img), size, max_size),
        interpolation_of(interpolation),
        antialias,
    )


def _new_size(
    old: tuple[int, int], size: int | Sequence[int], max_size: int | None
) -> tuple[int, int]:
    if not isinstance(size, int) and len(size) == 2:
        if max_size is not None:
            raise ArgumentError("max_size is for a size of one number", got=str(size))
        return pair(size)
    wanted = pair(size)[0]
    short, long = min(old), max(old)
    new_short, new_long = wanted, int(wanted * long / short)
    if max_size is not None:
        if max_size <= wanted:
            raise ArgumentError("max_size is greater than size", got=str(max_size))
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_short, new_long) if old[0] <= old[1] else (new_long, new_short)


@image_function
def _resize(
    img: np.ndarray, size: tuple[int, int], mode: InterpolationMode, antialias: bool
) -> np.ndarray:
    if img.shape[-2:] == size:
        return img.copy()
    if mode is InterpolationMode.NEAREST:
        rows, columns = (
            np.arange(new) * old // new for old, new in zip(img.shape[-2:], size, strict=True)
        )
        return img[..., rows[:, None], columns]
    numbers = _weighted_rows(as_working_float(img), size[0], antialias)
    turned = _weighted_rows(np.swapaxes(numbers, -1, -2), size[1], antialias)
    return rounded(np.swapaxes(turned, -1, -2), img.dtype)


def _weighted_rows(img: np.ndarray, new: int, antialias: bool) -> np.ndarray:
    img = np.ascontiguousarray(img)
    rows, weights = _triangles(img.shape[-2], new, antialias)
    weights = weights.astype(img.dtype)
    result = weights[0] * img.take(rows[0], axis=-2)
    for taken, weight in zip(rows[1:], weights[1:], strict=True):
        result += weight * img.take(taken, axis=-2)
    return result


@functools.lru_cache(maxsize=64)
def _triangles(old: int, new: int, antialias: bool) -> tuple[np.ndarray, np.ndarray]:
    """Which old rows make each new one, ``[k, new]``, and their weights ``[k, new, 1]``."""
    scale = old / new
    width = max(scale, 1.0) if antialias else 1.0
    centers = (np.arange(new) + 0.5) * scale
    if not antialias:
        # Between pixels only: beyond the outer ones, these are repeated.
        centers = np.clip(centers, 0.5, old - 0.5)
    first = np.floor(centers - width).astype(np.int64)
    rows = first + np.arange(math.ceil(2 * width) + 1)[:, None]
    weights = np.maximum(0.0, 1.0 - np.abs(rows + 0.5 - centers) / width)
    weights[(rows < 0) | (rows >= old)] = 0.0
    weights /= weights.sum(axis=0)
    return np.clip(rows, 0, old - 1), weights[..., None]


@image_function
def rotate(
    img: np.ndarray,
    angle: float,
    interpolation: Any = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Fill = 0,
) -> np.ndarray:
    """The image turned counter-clockwise by ``angle`` degrees.

    Parameters
    ----------
    interpolation : {"nearest", "bilinear"}
    expand : bool
        Make room for the corners.
    center : sequence of two float, optional
        Column and row to turn around; the middle by default. Not with ``expand``.
    fill : float or sequence of float
        What is seen where the image is not: one number, or one for each channel.
    """
    if expand and center is not None:
        raise ArgumentError("expand turns around the middle", got=f"center={center}")
    mode = interpolation_of(interpolation)
    rows, columns = img.shape[-2:]
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    height, width = _room(rows, columns, cosine, sine) if expand else (rows, columns)
    middle = (columns / 2, rows / 2)
    old_x, old_y = middle if center is None else center
    new_x, new_y = (width / 2, height / 2) if center is None else center
    x = np.arange(width) + 0.5 - new_x
    y = np.arange(height)[:, None] + 0.5 - new_y
    source_x = cosine * x - sine * y + old_x - 0.5
    source_y = sine * x + cosine * y + old_y - 0.5
    filling = fill_for(img, fill)
    if mode is InterpolationMode.NEAREST:
        return _pixels(img, _nearest(source_y), _nearest(source_x), filling)
    return _between(img, source_y, source_x, filling)


def _room(rows: int, columns: int, cosine: float, sine: float) -> tuple[int, int]:
    """Height and width of the pixels that a turned image touches."""
    height = abs(columns * sine) + abs(rows * cosine)
    width = abs(columns * cosine) + abs(rows * sine)
    return _touched(height, rows), _touched(width, columns)


def _touched(length: float, old: int) -> int:
    """How many pixels ``length`` touches around the middle of ``old`` ones."""
    # What is less than 1e-4 of a pixel is a rounding error.
    return 2 * math.ceil((length - old) / 2 - 1e-4) + old


def _nearest(positions: np.ndarray) -> np.ndarray:
    return np.rint(positions).astype(np.int64)


def _pixels(
    img: np.ndarray, rows: np.ndarray, columns: np.ndarray, fill: np.ndarray
) -> np.ndarray:
    height, width = img.shape[-2:]
    is_inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    places = np.where(is_inside, rows * width + columns, 0)
    found = img.reshape(*img.shape[:-2], height * width).take(places, axis=-1)
    return np.where(is_inside, found, fill)


def _between(img: np.ndarray, y: np.ndarray, x: np.ndarray, fill: np.ndarray) -> np.ndarray:
    numbers = as_working_float(img)
    top, left = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    below, right = (y - top).astype(numbers.dtype), (x - left).astype(numbers.dtype)
    result = np.zeros((), numbers.dtype)
    for down, vertical in ((0, 1 - below), (1, below)):
        for across, horizontal in ((0, 1 - right), (1, right)):
            pixels = _pixels(numbers, top + down, left + across, fill)
            result = result + vertical * horizontal * pixels
    return rounded(result, img.dtype)
