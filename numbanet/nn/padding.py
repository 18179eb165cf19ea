"""Borders around series and images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from numbanet.nn import functional as F  # noqa: N812
from numbanet.nn.module import Module
from numbanet.ops.window import as_sizes

Sizes = int | Sequence[int]


class _Pad(Module):
    """Padding of the last ``axes`` axes; see `functional.pad`."""

    axes: ClassVar[int]
    mode: ClassVar[str]

    def __init__(self, padding: Sizes) -> None:
        super().__init__()
        # Negative numbers crop.
        self.padding = as_sizes("padding", padding, 2 * self.axes, least=None)

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return str(self.padding)


class _ConstantPad(_Pad):
    mode = "constant"

    def __init__(self, padding: Sizes, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A border of ``value``: ``padding`` is an int, or (left, right)."""

    axes = 1


class ConstantPad2d(_ConstantPad):
    """A border of ``value``: ``padding`` is an int, or (left, right, top, bottom)."""

    axes = 2


class ConstantPad3d(_ConstantPad):
    """A border of ``value``: ``padding`` is an int, or six from the last axis on."""

    axes = 3


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Sizes) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return str(self.padding)


class ZeroPad1d(_ZeroPad):
    """A border of zeros: ``padding`` is an int, or (left, right)."""

    axes = 1


class ZeroPad2d(_ZeroPad):
    """A border of zeros: ``padding`` is an int, or (left, right, top, bottom)."""

    axes = 2


class ZeroPad3d(_ZeroPad):
    """A border of zeros: ``padding`` is an int, or six from the last axis on."""

    axes = 3


class _ReflectionPad(_Pad):
    mode = "reflect"


class ReflectionPad1d(_ReflectionPad):
    """A border that mirrors what lies within: ``padding`` is an int, or (left, right)."""

    axes = 1


class ReflectionPad2d(_ReflectionPad):
    """A border that mirrors what lies within: an int, or (left, right, top, bottom)."""

    axes = 2


class ReflectionPad3d(_ReflectionPad):
    """A border that mirrors what lies within: an int, or six from the last axis on."""

    axes = 3


class _ReplicationPad(_Pad):
    mode = "replicate"


class ReplicationPad1d(_ReplicationPad):
    """A border that repeats the edge: ``padding`` is an int, or (left, right)."""

    axes = 1


class ReplicationPad2d(_ReplicationPad):
    """A border that repeats the edge: an int, or (left, right, top, bottom)."""

    axes = 2


class ReplicationPad3d(_ReplicationPad):
    """A border that repeats the edge: an int, or six from the last axis on."""

    axes = 3


class _CircularPad(_Pad):
    mode = "circular"


class CircularPad1d(_CircularPad):
    """A border of what lies at the other end: ``padding`` is an int, or (left, right)."""

    axes = 1


class CircularPad2d(_CircularPad):
    """A border of what lies at the other end: an int, or (left, right, top, bottom)."""

    axes = 2


class CircularPad3d(_CircularPad):
    """A border of what lies at the other end: an int, or six from the last axis on."""

    axes = 3
