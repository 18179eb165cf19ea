"""The functions behind the transforms: nothing random, any kind of image."""

from numbanet.data.transforms.color import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    convert_image_dtype,
    normalize,
    rgb_to_grayscale,
    to_tensor,
)
from numbanet.data.transforms.geometry import (
    InterpolationMode,
    center_crop,
    crop,
    hflip,
    pad,
    resize,
    rotate,
    vflip,
)

__all__ = [
    "InterpolationMode",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "hflip",
    "normalize",
    "pad",
    "resize",
    "rgb_to_grayscale",
    "rotate",
    "to_tensor",
    "vflip",
]
