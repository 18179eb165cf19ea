"""How windows slide over images for a weight gradient: which channels, rows and columns a block
has, chosen from sizes alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from numbanet.ir import DType, Value
from numbanet.kernels.cuda.convolution import Geometry
from numbanet.kernels.cuda.matmul import load_width
from numbanet.kernels.cuda.simulate import SIMULATED
from numbanet.kernels.cuda.window import Window


@dataclass(frozen=True)
class Limits:
    """
    Attributes
    ----------
    inputs : int
        Input channels of a block.
    outputs : tuple of (int, int)
        Output channels of a thread for at most so many taps; two threads share an input.
    channels : int
        Most channels, in and out: with more, there are products' tiles for all blocks.
    pixels : (int, int)
        Fewest and most places of the window that are written out in a row.
    columns : int
        Most output columns of a chunk.
    warps : tuple of int
        How many a block may have.
    threads : int
        Of all blocks together, if there are chunks enough.
    """

    inputs: int
    outputs: tuple[tuple[int, int], ...]
    channels: int
    pixels: tuple[int, int]
    columns: int
    warps: tuple[int, ...]
    threads: int


REAL = Limits(16, ((9, 8), (25, 4)), 256, (4, 16), 32, (8, 7, 6, 5, 4), 132 * 16 * 32)
_SMALL = Limits(4, ((9, 2), (25, 2)), 64, (2, 4), 4, (3, 2), 72)
"""For the simulator, whose threads are slow. Else 16 warps on each of an H200's 132
multiprocessors: two blocks of 256 threads, of up to 128 registers each."""
LIMITS = _SMALL if SIMULATED else REAL
_SHARED_BYTES = 48 * 1024
"""What a block may share on every GPU without asking for more."""


@dataclass(frozen=True)
class Sliding:
    """How a weight gradient is cut up: in chunks of ``rows x columns`` outputs."""

    geometry: Geometry
    inputs: int
    thread_outputs: int
    pixels: int
    rows: int
    columns: int
    warps: int

    @property
    def lanes(self) -> int:
        """Threads of a warp: two for each input channel."""
        return 2 * self.inputs

    @property
    def threads(self) -> int:
        return self.warps * self.lanes

    @property
    def outputs(self) -> int:
        return 2 * self.thread_outputs

    @property
    def x_rows(self) -> int:
        return self.geometry.rows.span(self.rows)

    @property
    def x_columns(self) -> int:
        return self.geometry.columns.span(self.columns)

    @property
    def x_size(self) -> int:
        return self.x_rows * self.x_columns * self.inputs

    @property
    def y_size(self) -> int:
        return self.rows * self.columns * self.outputs

    @property
    def stage(self) -> int:
        return self.x_size + self.y_size

    @property
    def slot(self) -> int:
        """Numbers of a warp's sums."""
        return self.lanes * self.window.size

    @property
    def shared(self) -> int:
        return max(2 * self.stage, max(1, self.warps // 2) * self.slot)

    @property
    def bands(self) -> int:
        return math.ceil(self.geometry.rows.windows / self.rows)

    @property
    def strips(self) -> int:
        return self.geometry.columns.windows // self.columns

    @property
    def per_row(self) -> int:
        """Segments of a row of a chunk, each of ``pixels`` pixels."""
        return self.columns // self.pixels

    @property
    def blocks(self) -> int:
        """Blocks that together have all channels."""
        g = self.geometry
        return g.groups * (g.channels // self.inputs) * (g.outputs // self.outputs)

    @property
    def idle(self) -> float:
        """Turns of warps for each one that has something to do."""
        g = self.geometry
        rest = g.rows.windows % self.rows
        heights = [self.rows] * (g.rows.windows // self.rows) + [rest] * bool(rest)
        turns = sum(math.ceil(each * self.per_row / self.warps) for each in heights)
        return turns * self.warps / (g.rows.windows * self.per_row)

    @cached_property
    def window(self) -> Window:
        rows, columns = self.geometry.rows, self.geometry.columns
        return Window(
            pixels=self.pixels,
            outputs=self.thread_outputs,
            rows=tuple(i * rows.dilation for i in range(rows.taps)),
            columns=tuple(i * columns.dilation for i in range(columns.taps)),
            step=columns.step,
            line=self.x_columns * self.inputs,
            x_pixel=self.inputs,
            y_pixel=self.outputs,
        )


def sliding(g: Geometry, x: Value, y: Value) -> Sliding | None:
    """The best way to slide over these images; None where a product is better."""
    taps, limits = g.rows.taps * g.columns.taps, LIMITS
    outputs = next((outs for most, outs in limits.outputs if taps <= most), 0)
    if x.dtype is not DType.FLOAT32 or taps < 2 or not outputs or y.type.size == 0:
        return None
    if max(g.channels, g.outputs) > limits.channels:
        return None
    if g.channels % limits.inputs or g.outputs % (2 * outputs):
        return None
    if load_width(x) == 1 or load_width(y) == 1:
        return None
    least, most = limits.pixels
    pixels = _largest_divisor(g.columns.windows, most)
    if pixels < least:
        return None
    columns = pixels * _largest_divisor(g.columns.windows // pixels, limits.columns // pixels)
    found = [
        Sliding(g, limits.inputs, outputs, pixels, rows, columns, warps)
        for rows in range(1, g.rows.windows + 1)
        for warps in limits.warps
    ]
    found = [each for each in found if 4 * each.shared <= _SHARED_BYTES]
    return min(found, key=lambda each: (each.idle, -each.warps, -each.rows), default=None)


def _largest_divisor(number: int, most: int) -> int:
    return max(each for each in range(1, max(1, most) + 1) if number % each == 0)
