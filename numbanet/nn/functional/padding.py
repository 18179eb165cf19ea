"""Padding: constants, reflections, copies of the edges, and the other end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.tensors.dispatch import tensor_function

_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""NumPy's names of the modes that repeat elements."""


@tensor_function
def pad(
    input: Value, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Value:
    """A border around ``input``.

    Parameters
    ----------
    input : Tensor
    pad : sequence of int
        Elements before and after the last axis, then those of the axis before it, and so on.
        Negative numbers crop.
    mode : {"constant", "reflect", "replicate", "circular"}
        What the border holds: a constant, the elements that lie across the edge (the edge
        itself is not repeated), the edge's, or those of the other end.
    value : float, optional
        The constant, zero by default.

    Returns
    -------
    Tensor

    Raises
    ------
    ArgumentError
        If ``pad`` has an odd number of elements, ``mode`` is unknown or takes no ``value``.
    ShapeError
        If there are more pairs than axes, or an axis is too short for the border or the crop.
    """
    pairs = list(zip(pad[::2], pad[1::2], strict=False))
    if len(pad) % 2 or not all(isinstance(n, int | np.integer) for n in pad):
        raise ArgumentError("pad() takes a pair of integers for each axis", got=str(pad))
    if len(pairs) > input.rank:
        raise ShapeError("pad() takes no more pairs than axes", got=f"{pad} for {input.type}")
    if mode != "constant" and (mode not in _MODES or value is not None):
        raise ArgumentError(
            "pad() with an unknown mode, or a value for a mode that takes none",
            got=f"mode={mode!r}, value={value}",
            expected=" or ".join(map(repr, ["constant", *_MODES])),
        )
    # PyTorch counts axes from the last.
    sides = [(0, 0)] * (input.rank - len(pairs)) + pairs[::-1]
    cropped = _crop(input, sides)
    borders = [(max(before, 0), max(after, 0)) for before, after in sides]
    if mode == "constant":
        return ops.pad(cropped, borders, value or 0.0)
    for axis, border in enumerate(borders):
        if border != (0, 0):
            cropped = _repeat(cropped, axis, border, mode)
    return cropped


def _crop(x: Value, sides: list[tuple[int, int]]) -> Value:
    keys = [slice(None)] * x.rank
    for axis, pair in enumerate(sides):
        before, after = (max(-n, 0) for n in pair)
        size = x.shape[axis]
        if before or after:
            if size is None or before + after > size:
                raise ShapeError(
                    f"pad() cannot crop axis {axis}", got=f"{-before, -after} for {x.type}"
                )
            keys[axis] = slice(before, size - after)
    return ops.slice(x, keys)


def _repeat(x: Value, axis: int, border: tuple[int, int], mode: str) -> Value:
    size = x.shape[axis]
    most = {"reflect": (size or 0) - 1, "circular": size or 0}.get(mode, max(border))
    if not size or max(border) > most:
        raise ShapeError(
            f"pad() cannot take so much of axis {axis}",
            got=f"{border} for {x.type}",
            expected=f"at most {most} with mode={mode!r}" if size else "a known size",
        )
    return ops.pick(x, np.pad(np.arange(size), border, mode=_MODES[mode]), axis)  # type: ignore[call-overload]
