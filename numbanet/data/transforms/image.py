"""What counts as an image, and the functions that take all kinds.

Pillow's images and arrays are ``H x W`` or ``H x W x C``, as files hold them; tensors are
``... x C x H x W``, as networks take them. A function is written once, for arrays with the axes
of tensors, and its result is of the kind that came in. Pillow itself is never imported: who has
no Pillow has no images of its kind.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.tensors.tensor import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])

MOST_CHANNELS = 4
"""Arrays with more on their last axis are taken for ``C x H x W`` that lost their way."""

_MODES = ("L", "LA", "RGB", "RGBA")


def image_function(function: Function) -> Function:
    """Let ``function(array, ...)``, for arrays ``[..., H, W]``, take any kind of image."""

    @functools.wraps(function)
    def for_any_kind(img: Any, *args: Any, **kwargs: Any) -> Any:
        array = channels_first(img)
        return _as_kind_of(img, function(array, *args, **kwargs))

    return for_any_kind  # type: ignore[return-value]


def is_pillow(img: Any) -> bool:
    """Whether it is an image of Pillow's."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(img, pillow.Image)


def channels_first(img: Any) -> np.ndarray:
    """The numbers of an image with the axes of a tensor, not to be changed.

    Raises
    ------
    DTypeError
        If it is not an image.
    ShapeError
        If it has not the axes of one.
    ArgumentError
        If it is an image of Pillow's in another mode than L, LA, RGB or RGBA.
    """
    if isinstance(img, Tensor):
        if img.ndim < 2:
            raise ShapeError("an image has height and width", got=str(tuple(img.shape)))
        return img.array()
    if is_pillow(img):
        _check_mode(img)
        img = np.asarray(img)
    if not isinstance(img, np.ndarray):
        raise DTypeError(
            "not an image", got=type(img).__name__, expected="a Tensor, array or Pillow image"
        )
    if img.ndim == 2:
        return img
    if img.ndim != 3 or img.shape[-1] > MOST_CHANNELS:
        raise ShapeError(
            "an array is no image",
            got=str(img.shape),
            expected=f"height x width, or height x width x at most {MOST_CHANNELS} channels",
            mend="Make a tensor of it if it is channels x height x width",
        )
    return img.transpose(2, 0, 1)


def size_of(img: Any) -> tuple[int, int]:
    """Height and width."""
    return channels_first(img).shape[-2:]  # type: ignore[return-value]


def _check_mode(img: Any) -> None:
    if img.mode not in _MODES:
        raise ArgumentError(
            "a mode of Pillow images that transforms do not know",
            got=repr(img.mode),
            expected=", ".join(_MODES),
            mend="Convert it first, for example with image.convert('RGB')",
        )


def _as_kind_of(img: Any, array: np.ndarray) -> Any:
    if isinstance(img, Tensor):
        return Tensor.wrap(array)
    if array.ndim == 3:
        array = array.transpose(1, 2, 0)
    if not is_pillow(img):
        return np.ascontiguousarray(array)
    if array.shape[2:] == (1,):
        array = array[..., 0]
    return sys.modules["PIL.Image"].fromarray(np.ascontiguousarray(array))


def as_working_float(array: np.ndarray) -> np.ndarray:
    """Floating-point numbers to compute with: float64 stays, all else is float32."""
    return array.astype(np.float64 if array.dtype == np.float64 else np.float32, copy=False)


def rounded(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """``array`` as ``dtype``, to the nearest number within its range."""
    if dtype.kind == "f":
        return array.astype(dtype, copy=False)
    if dtype.kind == "b":
        return array >= 0.5
    limits = np.iinfo(dtype)
    return np.clip(np.rint(array), limits.min, limits.max).astype(dtype)
