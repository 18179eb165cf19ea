"""What pixels show: brightness, contrast, saturation, hue, grayscale; number ranges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numbanet.data.transforms.image import (
    as_working_float,
    channels_first,
    image_function,
    is_pillow,
)
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.ir import DType
from numbanet.tensors import Tensor

LUMA = (0.2989, 0.587, 0.114)
"""How bright red, green and blue look (ITU-R BT.601)."""


def to_tensor(pic: Any) -> Tensor:
    """An image as a tensor ``C x H x W``.

    Bytes become float32 in [0, 1]; numbers of other dtypes stay as they are.

    Parameters
    ----------
    pic : array or Pillow image
        ``H x W`` or ``H x W x C``.
    """
    if isinstance(pic, Tensor):
        raise DTypeError("to_tensor of what is a tensor", mend="Leave ToTensor out")
    array = channels_first(pic)
    if array.ndim == 2:
        array = array[None]
    if array.dtype == np.uint8:
        return Tensor.wrap(np.divide(array, np.float32(255), order="C", dtype=np.float32))
    return Tensor.wrap(np.array(array, order="C"))


def normalize(
    tensor: Any, mean: Sequence[float], std: Sequence[float], inplace: bool = False
) -> Any:
    """``(tensor - mean) / std`` for each channel.

    Parameters
    ----------
    tensor : Tensor or array
        Floating-point; of ``... x C x H x W``, an array of ``H x W x C``.
    mean, std : sequence of float
        One number, or one for each channel.
    inplace : bool
        Change the array or tensor itself, and return it.

    Raises
    ------
    DTypeError
        If it is not floating-point.
    ArgumentError
        If a deviation is zero.
    """
    numbers = channels_first(tensor)
    if numbers.dtype.kind != "f" or is_pillow(tensor):
        raise DTypeError(
            "normalize takes floating-point numbers",
            got=str(numbers.dtype),
            mend="Put ToTensor before it",
        )
    shift, scale = _per_channel(numbers, mean, "mean"), _per_channel(numbers, std, "std")
    if not scale.all():
        raise ArgumentError("std is zero", got=str(std))
    if not inplace:
        return _normalized(tensor, shift, scale)
    if isinstance(tensor, Tensor):
        return tensor.copy_(_normalized(tensor, shift, scale))  # type: ignore[attr-defined]
    numbers -= shift
    numbers /= scale
    return tensor


@image_function
def _normalized(img: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> np.ndarray:
    result = img - shift
    result /= scale
    return result


def _per_channel(img: np.ndarray, numbers: Any, name: str) -> np.ndarray:
    values = np.atleast_1d(np.asarray(numbers, dtype=img.dtype))
    channels = img.shape[-3] if img.ndim > 2 else 1
    if len(values) not in (1, channels):
        raise ShapeError(
            f"{name} has one number, or one for each channel",
            got=f"{len(values)} numbers",
            expected=str(channels),
        )
    return values[:, None, None] if img.ndim > 2 else values[0]


@image_function
def convert_image_dtype(img: np.ndarray, dtype: Any = DType.FLOAT32) -> np.ndarray:
    """The image in another dtype and its range: [0, 1] for floats, 0 to the most for integers.

    Raises
    ------
    DTypeError
        If large integers would not fit into the fraction of a float.
    """
    target = DType.of(dtype).numpy
    source = img.dtype
    if source.kind not in "fiu" or target.kind not in "fiu":
        raise DTypeError("images are of integers or floats", got=f"{source}, {target}")
    if source == target:
        return img
    if source.kind == "f":
        return img.astype(target) if target.kind == "f" else _to_integers(img, target)
    most = np.iinfo(source).max
    if target.kind == "f":
        return img.astype(target) / target.type(most)
    return _rescaled(img, most, int(np.iinfo(target).max), target)


def _to_integers(img: np.ndarray, target: np.dtype) -> np.ndarray:
    most = int(np.iinfo(target).max)
    if (most + 1).bit_length() - 1 > np.finfo(img.dtype).nmant:
        raise DTypeError(f"{target} has more digits than {img.dtype}")
    # Each integer gets an equal share of [0, 1]; 1 itself just stays below the next.
    return (img * img.dtype.type(most + 1 - 1e-3)).astype(target)


def _rescaled(img: np.ndarray, most: int, new_most: int, target: np.dtype) -> np.ndarray:
    if most > new_most:
        return (img // ((most + 1) // (new_most + 1))).astype(target)
    return img.astype(target) * target.type((new_most + 1) // (most + 1))


@image_function
def rgb_to_grayscale(img: np.ndarray, num_output_channels: int = 1) -> np.ndarray:
    """How bright each pixel looks, in one channel or three equal ones."""
    if num_output_channels not in (1, 3):
        raise ArgumentError("num_output_channels is 1 or 3", got=str(num_output_channels))
    gray = _gray(img)
    return np.concatenate([gray] * num_output_channels, axis=-3)


@image_function
def adjust_brightness(img: np.ndarray, brightness_factor: float) -> np.ndarray:
    """0 is black, 1 the image, 2 twice as bright."""
    return _blend(img, np.zeros((), img.dtype), brightness_factor)


@image_function
def adjust_contrast(img: np.ndarray, contrast_factor: float) -> np.ndarray:
    """0 is the mean gray, 1 the image."""
    gray = as_working_float(_gray(img))
    mean = gray.mean(axis=(-3, -2, -1), keepdims=True)
    return _blend(img, mean, contrast_factor)


@image_function
def adjust_saturation(img: np.ndarray, saturation_factor: float) -> np.ndarray:
    """0 is gray, 1 the image."""
    return _blend(img, _gray(img), saturation_factor)


@image_function
def adjust_hue(img: np.ndarray, hue_factor: float) -> np.ndarray:
    """Colors turned on their circle by ``hue_factor`` in [-0.5, 0.5]; gray stays."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ArgumentError("hue_factor is in [-0.5, 0.5]", got=str(hue_factor))
    if _channels(img) == 1:
        return img
    is_integer = img.dtype.kind != "f"
    numbers = convert_image_dtype.__wrapped__(img) if is_integer else img  # type: ignore[attr-defined]
    hue, saturation, value = _to_hsv(numbers)
    turned = _to_rgb((hue + hue_factor) % 1.0, saturation, value).astype(numbers.dtype)
    return _to_integers(turned, img.dtype) if is_integer else turned


def _channels(img: np.ndarray) -> int:
    channels = img.shape[-3] if img.ndim > 2 else 1
    if channels not in (1, 3):
        raise ShapeError("colors have 1 channel or 3", got=str(img.shape))
    return channels


def _gray(img: np.ndarray) -> np.ndarray:
    if _channels(img) == 1:
        return img if img.ndim > 2 else img[None]
    numbers = as_working_float(img)
    gray = sum(share * numbers[..., [channel], :, :] for channel, share in enumerate(LUMA))
    return gray.astype(img.dtype)  # type: ignore[union-attr]


def _blend(img: np.ndarray, other: np.ndarray, ratio: float) -> np.ndarray:
    if ratio < 0:
        raise ArgumentError("a factor is not negative", got=str(ratio))
    numbers = as_working_float(img)
    share = numbers.dtype.type(ratio)
    mixed = share * numbers + (1 - share) * other.astype(numbers.dtype)
    most = 1.0 if img.dtype.kind == "f" else np.iinfo(img.dtype).max
    result = np.clip(mixed, 0, most).astype(img.dtype)
    return result.reshape(img.shape)


def _to_hsv(img: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    red, green, blue = (img[..., channel, :, :] for channel in range(3))
    value = img.max(axis=-3)
    spread = value - img.min(axis=-3)
    divisor = np.where(spread == 0, 1, spread)
    sixths = np.select(
        [value == red, value == green],
        [(green - blue) / divisor, 2 + (blue - red) / divisor],
        4 + (red - green) / divisor,
    )
    hue = np.where(spread == 0, 0, sixths / 6) % 1.0
    return hue, spread / np.where(value == 0, 1, value), value


def _to_rgb(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    def channel(offset: int) -> np.ndarray:
        position = (offset + hue * 6) % 6
        ramp = np.clip(np.minimum(position, 4 - position), 0, 1)
        return value * (1 - saturation * ramp)

    return np.stack([channel(5), channel(3), channel(1)], axis=-3)
