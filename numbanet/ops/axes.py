"""Axes as callers write them, made plain: not negative, in range, once each."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from numbanet.errors import ArgumentError


def normalise_axis(name: str, axis: int, rank: int) -> int:
    """``axis`` of a value of ``rank`` axes, counted from the front."""
    index = operator.index(axis)
    if not -rank <= index < rank:
        raise ArgumentError(
            f"{name}() of a value with {rank} axes",
            got=f"axis {axis}",
            expected=f"an axis from {-rank} to {rank - 1}" if rank else "no axis",
        )
    return index % rank


def normalise_axes(name: str, axes: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes sorted and counted from the front; None means all."""
    if axes is None:
        return tuple(range(rank))
    listed = axes if isinstance(axes, Sequence) else (axes,)
    which = sorted(normalise_axis(name, axis, rank) for axis in listed)
    if len(set(which)) != len(which):
        raise ArgumentError(f"{name}() takes each axis once", got=str(tuple(listed)))
    return tuple(which)
