"""Sliding windows over images, strip by strip.

A strip is a few rows of an image's outputs. The source rows that its windows see are read
where they lie if no window reaches beyond the image. Otherwise they are copied, with zeros
around them, to a piece of scratch memory that stays in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numbanet.kernels.axes import Axis
from numbanet.kernels.kernel import Scratch

_STRIP_BYTES = 32 * 1024
"""Source that a strip reads: about the first-level cache, and all tiles' strips the second."""

_TILES = 32
"""Into how many tiles strips are shared out, if there are so many."""


@dataclass(frozen=True)
class Strips:
    """How images are cut into strips, and strips shared out among tiles."""

    images: int
    channels: int
    rows: Axis
    columns: Axis
    height: int
    """Rows of windows in a strip; the last one of an image may have fewer."""

    @classmethod
    def of(
        cls,
        images: int,
        channels: int,
        rows: Axis,
        columns: Axis,
        itemsize: int,
        nbytes: int = _STRIP_BYTES,
    ) -> Strips:
        """Strips that read at most so many bytes, or are one row high."""
        line = columns.span(columns.windows) * channels * itemsize
        height = rows.windows
        while height > 1 and rows.span(height) * line > nbytes:
            height = -(-height // 2)
        return cls(images, channels, rows, columns, height)

    @property
    def per_image(self) -> int:
        return -(-self.rows.windows // self.height)

    @property
    def count(self) -> int:
        return self.images * self.per_image

    @property
    def tiles(self) -> int:
        return min(self.count, _TILES)

    @property
    def is_copied(self) -> bool:
        return not (self.rows.is_inside and self.columns.is_inside)

    @property
    def size(self) -> int:
        """Elements of a copied strip, rounded up to whole cache lines."""
        line = self.columns.span(self.columns.windows) * self.channels
        return -(-self.rows.span(self.height) * line // 16) * 16 if self.is_copied else 0

    def scratch(self, tiles: int, itemsize: int) -> Scratch:
        """Memory for a copied strip of each tile."""
        return Scratch(max(tiles * self.size, 1) * itemsize)

    @property
    def numbers(self) -> dict[str, int]:
        """What `strip_reader` takes."""
        return {
            "strips": self.count,
            "strips_per_image": self.per_image,
            "strip_height": self.height,
            "strip_size": self.size,
            "source_height": self.rows.size,
            "source_width": self.columns.size,
            "channels": self.channels,
            "row_windows": self.rows.windows,
            "row_step": self.rows.step,
            "rows_before": self.rows.before,
            "row_reach": (self.rows.taps - 1) * self.rows.dilation,
            "columns_before": self.columns.before,
            "copied_width": self.columns.span(self.columns.windows),
        }


def strip_reader(is_copied: bool) -> Callable[..., Any]:
    """A compiled function that finds a strip, and copies it if need be.

    Returns
    -------
    function
        ``read(strip, slot, source, *numbers) -> (first, length, image, row, rows)``: the
        address of what tap (0, 0) of the strip's first window reads, the distance between
        source rows from there, and the image, the first row and the number of rows of windows.
    """
    from numbanet.kernels.cpu.mathematics import inline
    from numbanet.kernels.cpu.memory import load, store
    from numbanet.kernels.cpu.pointers import offset

    @inline
    def clear(to, count):
        for i in range(count):
            store(0, to, i, 0)

    @inline
    def copy_line(to, line, count, channels, width, before):
        """Positions ``-before .. -before + count - 1`` of a source row of ``width``."""
        start = min(max(before, 0), count)
        end = max(min(width + before, count), start)
        clear(to, start * channels)
        inside = offset(to, start * channels)
        source = offset(line, (start - before) * channels)
        for i in range((end - start) * channels):
            store(0, inside, i, load(source, i))
        clear(offset(to, end * channels), (count - end) * channels)

    @inline
    def read(
        strip, slot, source, strips, strips_per_image, strip_height, strip_size,
        source_height, source_width, channels, row_windows, row_step, rows_before, row_reach,
        columns_before, copied_width,
    ):  # fmt: skip
        image = strip // strips_per_image
        row = strip % strips_per_image * strip_height
        rows = min(strip_height, row_windows - row)
        top = row * row_step - rows_before
        length = source_width * channels
        start = offset(source, image * source_height * length)
        if not is_copied:
            return (
                offset(start, top * length - columns_before * channels),
                length,
                image,
                row,
                rows,
            )
        copied = copied_width * channels
        for i in range((rows - 1) * row_step + row_reach + 1):
            to = offset(slot, i * copied)
            if 0 <= top + i < source_height:
                line = offset(start, (top + i) * length)
                copy_line(to, line, copied_width, channels, source_width, columns_before)
            else:
                clear(to, copied)
        return slot, copied, image, row, rows

    return read
