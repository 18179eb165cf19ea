"""Transforms that do the same to every image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from numbanet.data.transforms import functional
from numbanet.data.transforms.geometry import Fill, InterpolationMode, interpolation_of
from numbanet.errors import ArgumentError
from numbanet.ir import DType


class Compose:
    """Transforms one after another."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        lines = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"Compose({lines}\n)"


class Lambda:
    """Any function as a transform."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise ArgumentError("Lambda takes a function", got=repr(lambd))
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self) -> str:
        return "Lambda()"


@dataclass
class ToTensor:
    """An array or Pillow image as a tensor; see `functional.to_tensor`."""

    def __call__(self, pic: Any) -> Any:
        return functional.to_tensor(pic)


@dataclass
class Normalize:
    """``(x - mean) / std`` for each channel; see `functional.normalize`."""

    mean: Sequence[float]
    std: Sequence[float]
    inplace: bool = field(default=False, repr=False)

    def __call__(self, tensor: Any) -> Any:
        return functional.normalize(tensor, self.mean, self.std, self.inplace)


@dataclass
class ConvertImageDtype:
    """Another dtype, and its range; see `functional.convert_image_dtype`."""

    dtype: Any = DType.FLOAT32

    def __call__(self, img: Any) -> Any:
        return functional.convert_image_dtype(img, self.dtype)


@dataclass
class Pad:
    """Pixels around the image; see `functional.pad`."""

    padding: int | Sequence[int]
    fill: Fill = 0
    padding_mode: str = "constant"

    def __call__(self, img: Any) -> Any:
        return functional.pad(img, self.padding, self.fill, self.padding_mode)


@dataclass
class CenterCrop:
    """The middle; see `functional.center_crop`."""

    size: int | Sequence[int]

    def __call__(self, img: Any) -> Any:
        return functional.center_crop(img, self.size)


@dataclass
class Resize:
    """Another number of pixels; see `functional.resize`."""

    size: int | Sequence[int]
    interpolation: Any = InterpolationMode.BILINEAR
    max_size: int | None = None
    antialias: bool = True

    def __post_init__(self) -> None:
        self.interpolation = interpolation_of(self.interpolation)

    def __call__(self, img: Any) -> Any:
        return functional.resize(
            img, self.size, self.interpolation, self.max_size, self.antialias
        )


@dataclass
class Grayscale:
    """How bright each pixel looks; see `functional.rgb_to_grayscale`."""

    num_output_channels: int = 1

    def __call__(self, img: Any) -> Any:
        return functional.rgb_to_grayscale(img, self.num_output_channels)
