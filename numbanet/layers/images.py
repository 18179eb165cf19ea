"""Other sizes of series and images: borders, cuts, and interpolation."""

from __future__ import annotations

from typing import Any

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.layers.convolution import Sizes
from numbanet.layers.module import is_size
from numbanet.layers.spatial import Spatial, pair

_METHODS = {"nearest": "nearest-exact", "bilinear": "linear"}
_UNSUPPORTED_METHODS = ("bicubic", "lanczos3", "lanczos5", "area")


class _UpSampling(Spatial):
    def __init__(
        self,
        size: Sizes = 2,
        data_format: str | None = None,
        interpolation: str = "nearest",
        **options: Any,
    ) -> None:
        super().__init__(data_format, **options)
        self.size = self.sizes("size", size)
        self.interpolation = _method(self, interpolation)

    def images(self, x: Value) -> Value:
        _, height, width, _ = x.shape
        rows, columns = pair(self.size)
        sizes = ((height or 0) * rows, (width or 0) * columns)
        return _resized(x, sizes, self.interpolation)


class UpSampling1D(_UpSampling):
    """Each step of ``(batch, steps, channels)`` ``size`` times.

    Parameters
    ----------
    size : int
    **options
        As of `Layer`.
    """

    rank = 1

    def __init__(self, size: int = 2, **options: Any) -> None:
        super().__init__(size, **options)


class UpSampling2D(_UpSampling):
    """Images ``size`` times as large.

    Parameters
    ----------
    size : int or (int, int)
    data_format : {"channels_last", "channels_first"}, optional
    interpolation : {"nearest", "bilinear"}
    **options
        As of `Layer`.
    """


class _ZeroPadding(Spatial):
    def __init__(
        self, padding: Any = 1, data_format: str | None = None, **options: Any
    ) -> None:
        super().__init__(data_format, **options)
        self.padding = self.margins("padding", padding)

    def images(self, x: Value) -> Value:
        return ops.pad(x, ((0, 0), *self.padding, (0, 0)))


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after a series.

    Parameters
    ----------
    padding : int or (int, int)
    data_format : {"channels_last", "channels_first"}, optional
    **options
        As of `Layer`.
    """

    rank = 1


class ZeroPadding2D(_ZeroPadding):
    """Zeros around images.

    Parameters
    ----------
    padding : int, (int, int) or ((int, int), (int, int))
        Of rows and of columns, before and after.
    data_format : {"channels_last", "channels_first"}, optional
    **options
        As of `Layer`.
    """


class _Cropping(Spatial):
    def __init__(
        self, cropping: Any = 0, data_format: str | None = None, **options: Any
    ) -> None:
        super().__init__(data_format, **options)
        self.cropping = self.margins("cropping", cropping)

    def images(self, x: Value) -> Value:
        cuts = []
        for (before, after), size in zip(self.cropping, x.shape[1:3], strict=True):
            if before + after >= (size or 0):
                raise ShapeError(
                    f"{self.label} cuts off {self.cropping}",
                    got=str(x.shape),
                    expected="something to be left",
                )
            cuts.append(slice(before, (size or 0) - after))
        return ops.slice(x, (slice(None), *cuts, slice(None)))


class Cropping1D(_Cropping):
    """A series without its first and last steps.

    Parameters
    ----------
    cropping : int or (int, int)
    **options
        As of `Layer`.
    """

    rank = 1

    def __init__(self, cropping: Any = (1, 1), **options: Any) -> None:
        super().__init__(cropping, **options)


class Cropping2D(_Cropping):
    """Images without their edges.

    Parameters
    ----------
    cropping : int, (int, int) or ((int, int), (int, int))
        Of rows and of columns, before and after.
    data_format : {"channels_last", "channels_first"}, optional
    **options
        As of `Layer`.
    """


class CenterCrop(Spatial):
    """The middle of images that are at least as large.

    Parameters
    ----------
    height, width : int
    data_format : {"channels_last", "channels_first"}, optional
    **options
        As of `Layer`.
    """

    def __init__(
        self, height: int, width: int, data_format: str | None = None, **options: Any
    ) -> None:
        super().__init__(data_format, **options)
        self.height, self.width = self.sizes("height and width", (height, width))

    def images(self, x: Value) -> Value:
        cuts = []
        for wanted, size in zip((self.height, self.width), x.shape[1:3], strict=True):
            if wanted > (size or 0):
                raise NotImplementedError(
                    f"{self.label} does not enlarge images: {x.shape} is smaller than "
                    f"{(self.height, self.width)}. Put Resizing before it"
                )
            first = ((size or 0) - wanted) // 2
            cuts.append(slice(first, first + wanted))
        return ops.slice(x, (slice(None), *cuts, slice(None)))


class Resizing(Spatial):
    """Images of another size.

    Parameters
    ----------
    height, width : int
    interpolation : {"bilinear", "nearest"}
    crop_to_aspect_ratio : bool
        Cut off what does not fit the new ratio of height and width, and do not distort.
    pad_to_aspect_ratio, fill_mode, fill_value, antialias
        Not supported.
    data_format : {"channels_last", "channels_first"}, optional
    **options
        As of `Layer`.
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(data_format, **options)
        self.height, self.width = self.sizes("height and width", (height, width))
        self.interpolation = _method(self, interpolation)
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.refuse("pad_to_aspect_ratio", pad_to_aspect_ratio, False)
        self.refuse("fill_mode", fill_mode, "constant")
        self.refuse("fill_value", fill_value, 0.0)
        self.refuse("antialias", antialias, False)

    def images(self, x: Value) -> Value:
        x = self.floating(x)
        if self.crop_to_aspect_ratio:
            x = self._cropped(x)
        return _resized(x, (self.height, self.width), self.interpolation)

    def _cropped(self, x: Value) -> Value:
        height, width = x.shape[1] or 0, x.shape[2] or 0
        rows = min(height, int(width * self.height / self.width))
        columns = min(width, int(height * self.width / self.height))
        top, left = (height - rows) // 2, (width - columns) // 2
        return x[:, top : top + rows, left : left + columns]


def _method(layer: Spatial, interpolation: str) -> str:
    if interpolation in _UNSUPPORTED_METHODS:
        layer.refuse("interpolation", interpolation)
    if interpolation not in _METHODS:
        raise ArgumentError(
            "unknown interpolation",
            got=repr(interpolation),
            expected=" or ".join(map(repr, _METHODS)),
        )
    return interpolation


def _resized(x: Value, sizes: tuple[int, int], interpolation: str) -> Value:
    for axis, size in enumerate(sizes, 1):
        if not is_size(size):
            raise ShapeError("images of no size cannot be resized", got=str(x.shape))
        x = ops.resize(x, axis, size, _METHODS[interpolation])
    return x
