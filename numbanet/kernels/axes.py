"""Windows that slide over images, one axis at a time: what both devices convolve by."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numbanet.ops.convolution import ConvolutionAttrs


@dataclass(frozen=True)
class Axis:
    """One dimension of windows: tap ``j`` of window ``i`` reads the source at
    ``i * step - before + j * dilation``, which is zero outside of ``0 .. size - 1``."""

    size: int
    windows: int
    step: int
    before: int
    taps: int
    dilation: int

    @property
    def is_inside(self) -> bool:
        end = (self.windows - 1) * self.step - self.before + (self.taps - 1) * self.dilation
        return self.before <= 0 and end < self.size

    @property
    def is_pointwise(self) -> bool:
        """Whether each window is just the source at its place."""
        one_each = self.taps == self.step == 1 and self.windows == self.size
        return one_each and self.before == 0

    def span(self, windows: int) -> int:
        """Source positions from the first to the last that so many windows see."""
        return (windows - 1) * self.step + (self.taps - 1) * self.dilation + 1


def axes(
    attrs: ConvolutionAttrs, x: tuple[int, ...], w: tuple[int, ...], y: tuple[int, ...]
) -> tuple[Axis, Axis]:
    """Rows and columns of a convolution of ``x`` with ``w`` to ``y``."""
    rows, columns = (
        Axis(
            x[i],
            y[i],
            attrs.stride[i - 1],
            attrs.padding[i - 1][0],
            w[i],
            attrs.dilation[i - 1],
        )
        for i in (1, 2)
    )
    return rows, columns


@dataclass(frozen=True)
class Turned:
    """A part of a data gradient along one axis: the results ``first``, ``first + step``, ..,
    which are a convolution with taps ``tap``, ``tap - tap_step``, .. of the kernel."""

    axis: Axis
    first: int
    tap: int
    tap_step: int


def turn(axis: Axis) -> list[Turned]:
    """The data gradient of a convolution along one axis, in parts of equal remainder.

    Result ``i`` receives what output ``o`` had from it through tap ``j``:
    ``i = o * step - before + j * dilation``.
    """
    parts = []
    tap_step = axis.step // math.gcd(axis.step, axis.dilation)
    for first in range(min(axis.step, axis.size)):
        taps = [
            tap
            for tap in range(axis.taps)
            if (first + axis.before - tap * axis.dilation) % axis.step == 0
        ]
        last = max(taps, default=0)
        turned = Axis(
            size=axis.windows,
            windows=-(-(axis.size - first) // axis.step),
            step=1,
            before=-((first + axis.before - last * axis.dilation) // axis.step) if taps else 0,
            taps=len(taps),
            dilation=tap_step * axis.dilation // axis.step,
        )
        parts.append(Turned(turned, first, last, tap_step))
    return parts
