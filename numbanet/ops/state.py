"""Flat state: many parameters in one buffer, and many gradients written into another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir.op import Arg, Attrs, Case, Op, attrs_of, register
from numbanet.ir.types import TensorType
from numbanet.ir.value import Value
from numbanet.ops.elementwise import common_dtype


@dataclass(frozen=True)
class SegmentAttrs(Attrs):
    """The first element's place in the flat value, and the shape of the segment."""

    offset: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class PackAttrs(Attrs):
    """Where each value's first element goes, in order, and the size of the flat value."""

    offsets: tuple[int, ...]
    size: int


def segment(flat: Value, offset: int, shape: Sequence[int]) -> Value:
    """A part of a flat value under a shape of its own: no copy, the same memory.

    Parameters
    ----------
    flat : Value
        ``[N]``.
    offset : int
        Of the segment's first element.
    shape : sequence of int

    Returns
    -------
    Value
        Of the given shape. It has no gradient: differentiate with respect to segments.

    Raises
    ------
    ShapeError
        If the segment is not within ``flat``.
    """
    return SEGMENT(flat, attrs=SegmentAttrs(offset, tuple(shape)))


def pack(values: Sequence[Value], offsets: Sequence[int], size: int) -> Value:
    """Values laid into one flat value, zero between them.

    Parameters
    ----------
    values : sequence of Value
        Of one dtype, at least one, with known shapes.
    offsets : sequence of int
        Of each value's first element, rising; values must not overlap.
    size : int

    Returns
    -------
    Value
        ``[size]``.

    Raises
    ------
    ShapeError
        If values overlap, or do not lie within ``size``.
    ArgumentError
        If there is no value, or not an offset for each.
    """
    if not values or len(values) != len(offsets):
        raise ArgumentError(
            "pack() takes values and an offset for each",
            got=f"{len(values)} values and {len(offsets)} offsets",
        )
    return PACK(*values, attrs=PackAttrs(tuple(offsets), size))


def _infer_segment(attrs: SegmentAttrs, flat: TensorType) -> TensorType:
    (size,) = flat.sizes if flat.rank == 1 else (-1,)
    if attrs.offset < 0 or attrs.offset + math.prod(attrs.shape) > size:
        raise ShapeError(
            "segment() does not lie within a flat value",
            got=str(flat),
            expected=f"one axis with room for {attrs.shape} at {attrs.offset}",
        )
    return TensorType(attrs.shape, flat.dtype)


def _infer_pack(attrs: PackAttrs, *values: TensorType) -> TensorType:
    end = 0
    for offset, value in zip(attrs.offsets, values, strict=True):
        if offset < end:
            raise ShapeError(
                "pack() has values that overlap", got=str(attrs.offsets), expected="rising ends"
            )
        end = offset + value.size
    if end > attrs.size:
        raise ShapeError(
            "pack() has values that do not fit", got=str(end), expected=str(attrs.size)
        )
    return TensorType((attrs.size,), common_dtype("pack", values))


def _segment_reference(attrs: SegmentAttrs, flat: np.ndarray) -> np.ndarray:
    end = attrs.offset + math.prod(attrs.shape)
    return flat[attrs.offset : end].reshape(attrs.shape)


def _pack_reference(attrs: PackAttrs, *values: np.ndarray) -> np.ndarray:
    flat = np.zeros(attrs.size, values[0].dtype)
    for offset, value in zip(attrs.offsets, values, strict=True):
        flat[offset : offset + value.size] = value.reshape(-1)
    return flat


SEGMENT = register(
    Op(
        "segment",
        infer=_infer_segment,
        reference=_segment_reference,
        view=lambda node: attrs_of(node, SegmentAttrs).offset,
        cases=(
            Case((Arg((20,)),), SegmentAttrs(3, (2, 5))),
            Case((Arg((7,)),), SegmentAttrs(6, ())),
            Case((Arg((7,)),), SegmentAttrs(7, (0, 2))),
            Case((Arg((6,)),), SegmentAttrs(0, (6,))),
        ),
    )
)

PACK = register(
    Op(
        "pack",
        infer=_infer_pack,
        reference=_pack_reference,
        cases=(
            Case((Arg((2, 3)), Arg((5,)), Arg(())), PackAttrs((0, 8, 13), 16)),
            Case((Arg((1,)),), PackAttrs((2,), 5)),
            Case((Arg((3,)), Arg((0, 4)), Arg((2, 2))), PackAttrs((0, 3, 3), 7)),
        ),
    )
)
