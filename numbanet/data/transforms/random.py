"""Transforms that draw what they do.

They draw from the generator that `numbanet.set_seed` seeds, and that each worker of a
`DataLoader` seeds for itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numbanet.data.transforms import functional
from numbanet.data.transforms.geometry import Fill, InterpolationMode, interpolation_of, pair
from numbanet.data.transforms.image import size_of
from numbanet.errors import ArgumentError, ShapeError
from numbanet.initializers import shared_generator


@dataclass
class RandomHorizontalFlip:
    """Flip left and right with probability ``p``."""

    p: float = 0.5

    def __call__(self, img: Any) -> Any:
        return functional.hflip(img) if shared_generator().random() < self.p else img


@dataclass
class RandomVerticalFlip:
    """Flip top and bottom with probability ``p``."""

    p: float = 0.5

    def __call__(self, img: Any) -> Any:
        return functional.vflip(img) if shared_generator().random() < self.p else img


@dataclass
class RandomCrop:
    """A rectangle of ``size`` anywhere in the image.

    Parameters
    ----------
    size : int or sequence of int
    padding : int or sequence of int, optional
        Pad first; see `functional.pad`.
    pad_if_needed : bool
        Pad what is smaller than ``size``, on both sides.
    fill : float or sequence of float
    padding_mode : str

    Raises
    ------
    ShapeError
        If the image is too small.
    """

    size: int | Sequence[int]
    padding: int | Sequence[int] | None = None
    pad_if_needed: bool = False
    fill: Fill = 0
    padding_mode: str = "constant"

    def __call__(self, img: Any) -> Any:
        height, width = pair(self.size)
        if self.padding is not None:
            img = functional.pad(img, self.padding, self.fill, self.padding_mode)
        rows, columns = size_of(img)
        missing = (max(0, width - columns), max(0, height - rows))
        if self.pad_if_needed and any(missing):
            img = functional.pad(img, missing, self.fill, self.padding_mode)
            rows, columns = size_of(img)
        if rows < height or columns < width:
            raise ShapeError(
                "an image is smaller than the crop",
                got=f"{rows} x {columns}",
                expected=f"at least {height} x {width}",
                mend="Set pad_if_needed=True",
            )
        top = int(shared_generator().integers(rows - height + 1))
        left = int(shared_generator().integers(columns - width + 1))
        return functional.crop(img, top, left, height, width)


@dataclass
class RandomResizedCrop:
    """A rectangle of random area and shape, resized (Szegedy et al., 2015).

    Parameters
    ----------
    size : int or sequence of int
    scale : sequence of two float
        Least and greatest area, relative to the image's.
    ratio : sequence of two float
        Least and greatest width relative to the height; its logarithm is uniform.
    interpolation : {"bilinear", "nearest"}
    antialias : bool
    """

    size: int | Sequence[int]
    scale: Sequence[float] = (0.08, 1.0)
    ratio: Sequence[float] = (3 / 4, 4 / 3)
    interpolation: Any = InterpolationMode.BILINEAR
    antialias: bool = True

    def __post_init__(self) -> None:
        self.interpolation = interpolation_of(self.interpolation)
        if self.scale[0] > self.scale[1] or self.ratio[0] > self.ratio[1]:
            raise ArgumentError("scale and ratio are (least, greatest)")

    def __call__(self, img: Any) -> Any:
        part = functional.crop(img, *self._rectangle(*size_of(img)))
        size = pair(self.size)
        return functional.resize(part, size, self.interpolation, antialias=self.antialias)

    def _rectangle(self, rows: int, columns: int) -> tuple[int, int, int, int]:
        numbers = shared_generator()
        least, greatest = math.log(self.ratio[0]), math.log(self.ratio[1])
        for _ in range(10):
            area = rows * columns * numbers.uniform(self.scale[0], self.scale[1])
            ratio = math.exp(numbers.uniform(least, greatest))
            width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < width <= columns and 0 < height <= rows:
                top = int(numbers.integers(rows - height + 1))
                left = int(numbers.integers(columns - width + 1))
                return top, left, height, width
        return self._middle(rows, columns)

    def _middle(self, rows: int, columns: int) -> tuple[int, int, int, int]:
        """The largest rectangle in the middle whose shape is allowed."""
        height, width = rows, columns
        if columns / rows < self.ratio[0]:
            height = round(columns / self.ratio[0])
        elif columns / rows > self.ratio[1]:
            width = round(rows * self.ratio[1])
        return (rows - height) // 2, (columns - width) // 2, height, width


@dataclass
class RandomRotation:
    """Turn by an angle in ``degrees``; see `functional.rotate`.

    Parameters
    ----------
    degrees : float or sequence of two float
        Least and greatest angle; one number is the greatest both ways.
    interpolation : {"nearest", "bilinear"}
    expand : bool
    center : sequence of two float, optional
    fill : float or sequence of float
    """

    degrees: float | Sequence[float]
    interpolation: Any = InterpolationMode.NEAREST
    expand: bool = False
    center: Sequence[float] | None = None
    fill: Fill = 0

    def __post_init__(self) -> None:
        self.interpolation = interpolation_of(self.interpolation)
        if isinstance(self.degrees, int | float):
            if self.degrees < 0:
                raise ArgumentError("degrees is negative", got=str(self.degrees))
            self.degrees = (-self.degrees, self.degrees)
        if len(self.degrees) != 2:
            raise ArgumentError("degrees is one number or two", got=str(self.degrees))

    def __call__(self, img: Any) -> Any:
        angle = float(shared_generator().uniform(*self.degrees))  # type: ignore[misc]
        return functional.rotate(
            img, angle, self.interpolation, self.expand, self.center, self.fill
        )


_ADJUSTMENTS = {
    "brightness": functional.adjust_brightness,
    "contrast": functional.adjust_contrast,
    "saturation": functional.adjust_saturation,
    "hue": functional.adjust_hue,
}


@dataclass
class ColorJitter:
    """Change brightness, contrast, saturation and hue at random, in random order.

    Parameters
    ----------
    brightness, contrast, saturation : float or sequence of two float
        Least and greatest factor; one number ``d`` is ``(max(0, 1 - d), 1 + d)``.
    hue : float or sequence of two float
        Within [-0.5, 0.5]; one number ``d`` is ``(-d, d)``.
    """

    brightness: float | Sequence[float] = 0
    contrast: float | Sequence[float] = 0
    saturation: float | Sequence[float] = 0
    hue: float | Sequence[float] = 0

    def __post_init__(self) -> None:
        self._ranges = {
            name: _range(name, getattr(self, name), center=0.0 if name == "hue" else 1.0)
            for name in _ADJUSTMENTS
        }

    def __call__(self, img: Any) -> Any:
        numbers = shared_generator()
        for position in numbers.permutation(len(_ADJUSTMENTS)):
            name = list(_ADJUSTMENTS)[position]
            limits = self._ranges[name]
            if limits is not None:
                img = _ADJUSTMENTS[name](img, float(numbers.uniform(*limits)))
        return img


def _range(
    name: str, given: float | Sequence[float], center: float
) -> tuple[float, float] | None:
    """Least and greatest of what is drawn; None if that is no change."""
    lowest, highest = (-0.5, 0.5) if center == 0.0 else (0.0, math.inf)
    if isinstance(given, int | float):
        if given < 0:
            raise ArgumentError(f"{name} is negative", got=str(given))
        low, high = center - given, center + given
        low = low if center == 0.0 else max(low, lowest)
    else:
        low, high = given
    if not lowest <= low <= high <= highest:
        raise ArgumentError(f"{name} out of range", got=str(given))
    return None if low == high == center else (low, high)
