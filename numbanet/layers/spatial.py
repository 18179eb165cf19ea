"""Images and series: what layers that look at neighbouring positions share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.layers.layer import Layer
from numbanet.ops.shapes import inverse

Pair = tuple[int, int]


class Spatial(Layer):
    """A layer of series (rank 1) or images (rank 2), with channels last or first.

    A subclass implements ``images``, on ``[N, H, W, C]``: a series is an image of one row.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
    **options
        As of `Layer`.
    """

    rank: ClassVar[int] = 2

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.data_format = data_format_name(data_format)

    def images(self, x: Value) -> Value:
        """The layer's work on images of known size, channels last."""
        raise NotImplementedError(f"{type(self).__name__} does not implement images()")

    def forward(self, x: Value) -> Value:
        return self.from_images(self.images(self.to_images(x)))

    @property
    def has_channels_first(self) -> bool:
        return self.data_format == "channels_first"

    @property
    def _to_last(self) -> tuple[int, ...]:
        return (0, *range(2, self.rank + 2), 1)

    def channels(self, x: Value) -> int:
        """How many channels ``x`` has, which is checked."""
        self.check(x)
        return x.shape[1 if self.has_channels_first else -1] or 0

    def check(self, x: Value) -> None:
        """Raise unless ``x`` is a batch of series or images of known size."""
        if x.rank == self.rank + 2 and None not in x.shape[1:]:
            return
        sizes = ("height", "width") if self.rank == 2 else ("steps",)
        names = ("channels", *sizes) if self.has_channels_first else (*sizes, "channels")
        ones = ", ".join("1" if name == "channels" else name for name in names)
        raise ShapeError(
            f"{self.label} takes (batch, {', '.join(names)})",
            got=str(x.shape),
            expected=f"{self.rank + 2} axes, only the batch unknown",
            mend=f"Add a channel axis with Reshape(({ones}))"
            if x.rank == self.rank + 1
            else None,
        )

    def to_images(self, x: Value) -> Value:
        self.check(x)
        if self.has_channels_first:
            x = ops.transpose(x, self._to_last)
        return ops.expand_dims(x, 1) if self.rank == 1 else x

    def from_images(self, y: Value) -> Value:
        if self.rank == 1:
            y = ops.squeeze(y, 1)
        return ops.transpose(y, inverse(self._to_last)) if self.has_channels_first else y

    def sizes(self, argument: str, value: int | Sequence[int]) -> tuple[int, ...]:
        """One positive integer for each axis."""
        listed = tuple(value) if isinstance(value, Sequence) else (value,) * self.rank
        is_whole = all(isinstance(n, int) and n is not True for n in listed)
        if len(listed) != self.rank or not is_whole or min(listed, default=0) < 1:
            raise ArgumentError(
                f"{argument} takes a positive integer" + " or two" * (self.rank == 2),
                got=repr(value),
            )
        return listed

    def margins(self, argument: str, value: Any) -> tuple[Pair, Pair]:
        """How much before and after, in rows and in columns: ``1``, ``(1, 2)``, pairs.

        Of series, two integers are before and after; of images, they are rows and columns.
        """
        listed = tuple(value) if isinstance(value, Sequence) else (value,) * self.rank
        if self.rank == 1:
            listed = (listed if len(listed) == 2 else (value, value),)
        pairs = [tuple(p) if isinstance(p, Sequence) else (p, p) for p in listed]
        whole = all(isinstance(n, int) and n >= 0 for pair in pairs for n in pair)
        if len(pairs) != self.rank or any(len(pair) != 2 for pair in pairs) or not whole:
            raise ArgumentError(
                f"{argument} takes an integer, one for each axis, or pairs (before, after)",
                got=repr(value),
            )
        rows, columns = ((0, 0), *pairs) if self.rank == 1 else pairs
        return rows, columns


def pair(sizes: Sequence[int], fill: int = 1) -> Pair:
    """Sizes of the axes as rows and columns: a series has one row."""
    rows, columns = sizes if len(sizes) == 2 else (fill, *sizes)
    return rows, columns


def data_format_name(data_format: str | None) -> str:
    if data_format is None:
        return "channels_last"
    if data_format not in ("channels_last", "channels_first"):
        raise ArgumentError(
            "unknown data_format",
            got=repr(data_format),
            expected="'channels_last' or 'channels_first'",
        )
    return data_format


def padding_name(padding: str, choices: tuple[str, ...] = ("valid", "same")) -> str:
    name = padding.lower() if isinstance(padding, str) else padding
    if name not in choices:
        raise ArgumentError(
            "unknown padding", got=repr(padding), expected=" or ".join(map(repr, choices))
        )
    return name
