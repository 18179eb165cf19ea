"""Parts of values, and values put together: slice, pad, concatenate, and what follows."""

from __future__ import annotations

import builtins
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir.op import Arg, Attrs, Case, Op, attrs_of, register
from numbanet.ir.types import DType, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops.axes import normalise_axis
from numbanet.ops.elementwise import Operand, as_values, common_dtype
from numbanet.ops.leaf import constant
from numbanet.ops.shapes import expand, expand_dims, reshape, squeeze, transpose


@dataclass(frozen=True)
class SliceAttrs(Attrs):
    """Per axis the first index, the index to stop before, and the step, as in Python.

    Starts are not negative. A stop of None means the end in the step's direction, so a whole
    axis is ``(0, None, 1)`` and stays whole when its size becomes known.
    """

    starts: tuple[int, ...]
    stops: tuple[int | None, ...]
    steps: tuple[int, ...]

    @property
    def keys(self) -> tuple[builtins.slice, ...]:
        return tuple(map(builtins.slice, self.starts, self.stops, self.steps))


def _slice_infer(attrs: SliceAttrs, x: TensorType) -> TensorType:
    if len(attrs.starts) != x.rank:
        raise ShapeError(
            "slice() takes a range for each axis", got=f"{len(attrs.starts)} ranges for {x}"
        )
    shape = []
    for axis, (key, size) in enumerate(zip(attrs.keys, x.shape, strict=True)):
        if size is None and key != _WHOLE:
            raise ShapeError(
                "slice() cannot cut an axis of unknown size",
                got=f"axis {axis} of {x}",
                mend="Keep that axis whole, or cut once the batch size is known",
            )
        shape.append(None if size is None else len(range(size)[key]))
    return TensorType(tuple(shape), x.dtype)


_WHOLE = builtins.slice(0, None, 1)


def _slice_gradient(node: Node, g: Value) -> tuple[Value]:
    """Put the gradient where its elements came from, among zeros."""
    attrs = attrs_of(node, SliceAttrs)
    padding = []
    for axis, (key, size) in enumerate(zip(attrs.keys, node.inputs[0].type.sizes, strict=True)):
        taken = range(size)[key]
        if taken.step < 0:
            g = flip(g, axis)
            taken = taken[::-1]
        g = dilate(g, axis, taken.step if len(taken) > 1 else 1)
        first = taken.start if len(taken) else 0
        padding.append((first, size - first - g.type.sizes[axis]))
    return (pad(g, padding),)


def dilate(x: Value, axis: int, step: int) -> Value:
    """``x`` with ``step - 1`` zeros between neighbours along an axis of known size."""
    if step == 1:
        return x
    (size,) = TensorType(x.shape[axis : axis + 1], x.dtype).sizes
    padding = [(0, 0)] * (x.rank + 1)
    padding[axis + 1] = (0, step - 1)
    spread = pad(expand_dims(x, axis + 1), padding)
    joined = reshape(spread, (*x.shape[:axis], size * step, *x.shape[axis + 1 :]))
    return _cut(joined, axis, 0, size * step - (step - 1))


def _slice_view(node: Node) -> int | None:
    """Where the slice begins, if its elements lie next to each other."""
    sizes = node.inputs[0].type.sizes
    keys = attrs_of(node, SliceAttrs).keys
    taken = [range(size)[key] for size, key in zip(sizes, keys, strict=True)]
    is_inside = False
    for size, part in zip(sizes, taken, strict=True):
        if is_inside and part != range(size):
            return None
        if len(part) > 1:
            if part.step != 1:
                return None
            is_inside = True
    strides = [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
    return builtins.sum(p.start * s for p, s in zip(taken, strides, strict=True) if len(p))


SLICE = register(
    Op(
        "slice",
        infer=_slice_infer,
        reference=lambda attrs, x: x[attrs.keys],
        gradient=_slice_gradient,
        view=_slice_view,
        cases=(
            Case((Arg((5, 7)),), SliceAttrs((1, 0), (4, None), (1, 1))),
            Case((Arg((5, 7)),), SliceAttrs((0, 1), (None, 7), (2, 3))),
            Case((Arg((5, 7)),), SliceAttrs((4, 5), (None, 0), (-1, -2))),
            Case((Arg((3, 4, 5)),), SliceAttrs((1, 0, 0), (2, None, 3), (1, 1, 1))),
            Case((Arg((3,)),), SliceAttrs((2,), (2,), (1,))),
            Case((Arg((1, 0)),), SliceAttrs((0, 0), (None, None), (1, 1))),
            Case((Arg(()),), SliceAttrs((), (), ())),
        ),
    )
)


def slice(x: Operand, keys: Sequence[builtins.slice]) -> Value:
    """A part of ``x``: a Python slice for each axis.

    Parameters
    ----------
    x : Value, number or array
    keys : sequence of slice
        As for a list: bounds are clipped, negative ones count from the end. An axis of unknown
        size can only be kept whole.

    Returns
    -------
    Value
        ``x`` itself if nothing is cut off.
    """
    (value,) = as_values(x)
    if len(keys) != value.rank:
        raise ArgumentError(
            "slice() takes one slice for each axis", got=f"{len(keys)} for {value.type}"
        )
    plain = [_plain(key, size) for key, size in zip(keys, value.shape, strict=True)]
    if all(key == _WHOLE for key in plain):
        return value
    return SLICE(
        value,
        attrs=SliceAttrs(
            tuple(key.start for key in plain),
            tuple(key.stop for key in plain),
            tuple(key.step for key in plain),
        ),
    )


def _plain(key: builtins.slice, size: int | None) -> builtins.slice:
    """``key`` as `SliceAttrs` wants it; one way to write a whole axis."""
    if size is None:
        return _WHOLE if _is_whole(key) else key
    start, stop, step = key.indices(size)
    taken = range(start, stop, step)
    if not len(taken):
        return builtins.slice(0, 0, 1)
    if taken == range(size):
        return _WHOLE
    return builtins.slice(start, None if stop < 0 else stop, step)


def _is_whole(key: builtins.slice) -> bool:
    return key.start in (None, 0) and key.stop is None and key.step in (None, 1)


def _cut(x: Value, axis: int, start: int, stop: int) -> Value:
    keys = [_WHOLE] * x.rank
    keys[axis] = builtins.slice(start, stop)
    return slice(x, keys)


def flip(x: Operand, axis: int) -> Value:
    """``x`` backwards along ``axis``."""
    (value,) = as_values(x)
    keys = [_WHOLE] * value.rank
    keys[normalise_axis("flip", axis, value.rank)] = builtins.slice(None, None, -1)
    return slice(value, keys)


def getitem(x: Value, key: Any) -> Value:
    """``x[key]`` for integers, slices, ``...`` and None, as NumPy's basic indexing.

    Raises
    ------
    ArgumentError
        If ``key`` holds anything else, or an index out of range.
    """
    keys = _spread(x, key if isinstance(key, tuple) else (key,))
    axes = [each for each in keys if each is not None]
    cuts, taken = [], []
    for axis, each in enumerate(axes):
        if isinstance(each, builtins.slice):
            cuts.append(each)
        else:
            index = _index(x, each, axis)
            cuts.append(builtins.slice(index, index + 1))
            taken.append(axis)
    part = squeeze(slice(x, cuts), taken) if taken else slice(x, cuts)
    kept = [each for each in keys if each is None or isinstance(each, builtins.slice)]
    new = [position for position, each in enumerate(kept) if each is None]
    return expand_dims(part, new) if new else part


def _spread(x: Value, keys: tuple[Any, ...]) -> list[Any]:
    """``keys`` with the ellipsis, or the missing end, as whole axes."""
    used = builtins.sum(each is not None and each is not Ellipsis for each in keys)
    dots = [position for position, each in enumerate(keys) if each is Ellipsis]
    if len(dots) > 1 or used > x.rank:
        raise ArgumentError(
            "too many indices", got=f"{len(keys)} for {x.type}", expected="one for each axis"
        )
    where = dots[0] if dots else len(keys)
    whole = [builtins.slice(None)] * (x.rank - used)
    return [*keys[:where], *whole, *keys[where + 1 :]]


def _index(x: Value, key: Any, axis: int) -> int:
    size = x.shape[axis]
    # NumPy calls bools, and arrays of one element, integers too.
    if isinstance(key, bool) or not isinstance(key, (int, np.integer)):
        raise ArgumentError(
            "a value is indexed by integers, slices, ... and None",
            got=repr(key),
            mend="Pick rows by an array of integers with ops.take(value, ids)",
        )
    index = int(key)
    if size is not None and not -size <= index < size:
        raise ArgumentError(f"an index out of range on axis {axis} of {x.type}", got=str(index))
    return index % size if size else index


def split(x: Operand, sections: int | Sequence[int], axis: int = 0) -> tuple[Value, ...]:
    """Parts of ``x`` along ``axis``, one after the other.

    Parameters
    ----------
    x : Value, number or array
    sections : int or sequence of int
        How many equal parts, or the size of each part.
    axis : int

    Raises
    ------
    ShapeError
        If the parts do not make up the axis, or its size is unknown.
    """
    (value,) = as_values(x)
    axis = normalise_axis("split", axis, value.rank)
    size = value.shape[axis]
    if size is None:
        raise ShapeError("split() needs the size of the axis", got=str(value.type))
    if isinstance(sections, int):
        sections = [size // sections] * sections if sections > 0 else []
    if len(sections) == 1 and sections[0] == size:
        return (value,)
    return SPLIT.node(value, attrs=SplitAttrs(tuple(sections), axis)).outputs


@dataclass(frozen=True)
class SplitAttrs(Attrs):
    """The size of each part along ``axis``, which counts from the front."""

    sizes: tuple[int, ...]
    axis: int


def _split_infer(attrs: SplitAttrs, x: TensorType) -> tuple[TensorType, ...]:
    axis = attrs.axis
    if builtins.sum(attrs.sizes) != x.shape[axis] or any(size < 0 for size in attrs.sizes):
        raise ShapeError(
            f"split() cannot divide axis {axis} of {x}",
            got=f"parts of {list(attrs.sizes)}",
            expected=f"parts that add up to {x.shape[axis]}",
        )
    return tuple(
        TensorType((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype)
        for size in attrs.sizes
    )


def _split_reference(attrs: SplitAttrs, x: np.ndarray) -> tuple[np.ndarray, ...]:
    stops = list(itertools.accumulate(attrs.sizes))[:-1]
    return tuple(np.split(x, stops, attrs.axis))


def _split_gradient(node: Node, *gradients: Value | None) -> tuple[Value]:
    """The parts' gradients side by side: slices would each be padded to the whole."""
    parts = [
        expand(constant(0, part.dtype), part.type.sizes) if g is None else g
        for part, g in zip(node.outputs, gradients, strict=True)
    ]
    return (concatenate(parts, attrs_of(node, SplitAttrs).axis),)


def _split_decompose(node: Node) -> tuple[Value, ...]:
    (value,), attrs = node.inputs, attrs_of(node, SplitAttrs)
    return tuple(
        _cut(value, attrs.axis, stop - size, stop)
        for size, stop in zip(attrs.sizes, itertools.accumulate(attrs.sizes), strict=True)
    )


SPLIT = register(
    Op(
        "split",
        infer=_split_infer,
        reference=_split_reference,
        gradient=_split_gradient,
        decompose=_split_decompose,
        cases=(
            Case((Arg((6, 2)),), SplitAttrs((2, 3, 1), 0)),
            Case((Arg((2, 6)),), SplitAttrs((1, 5), 1)),
            Case((Arg((2, 3, 4)),), SplitAttrs((1, 0, 2), 1)),
            Case((Arg((1,)),), SplitAttrs((1,), 0)),
            Case((Arg((0, 4)),), SplitAttrs((2, 2), 1)),
        ),
    )
)


@dataclass(frozen=True)
class PadAttrs(Attrs):
    """Per axis how many elements of ``number`` stand before and after."""

    padding: tuple[tuple[int, int], ...]
    number: float


def _pad_infer(attrs: PadAttrs, x: TensorType) -> TensorType:
    if len(attrs.padding) != x.rank or any(n < 0 for pair in attrs.padding for n in pair):
        raise ShapeError(
            "pad() takes (before, after) for each axis", got=f"{attrs.padding} for {x}"
        )
    if any(
        size is None and pair != (0, 0)
        for size, pair in zip(x.shape, attrs.padding, strict=True)
    ):
        raise ShapeError("pad() cannot lengthen an axis of unknown size", got=str(x))
    shape = tuple(
        None if size is None else size + before + after
        for size, (before, after) in zip(x.shape, attrs.padding, strict=True)
    )
    return TensorType(shape, x.dtype)


def _pad_gradient(node: Node, g: Value) -> tuple[Value]:
    sizes = node.inputs[0].type.sizes
    pairs = zip(attrs_of(node, PadAttrs).padding, sizes, strict=True)
    return (slice(g, [builtins.slice(before, before + size) for (before, _), size in pairs]),)


PAD = register(
    Op(
        "pad",
        infer=_pad_infer,
        reference=lambda attrs, x: np.pad(x, attrs.padding, constant_values=attrs.number),
        gradient=_pad_gradient,
        cases=(
            Case((Arg((3, 5)),), PadAttrs(((1, 2), (0, 0)), 0.0)),
            Case((Arg((2, 3, 1)),), PadAttrs(((0, 0), (0, 1), (3, 0)), -1.5)),
            Case((Arg((1,)),), PadAttrs(((2, 2),), 0.0)),
            Case((Arg((0, 2)),), PadAttrs(((1, 0), (0, 1)), 0.5)),
            Case((Arg((3,), DType.INT64),), PadAttrs(((1, 1),), 7.0)),
        ),
    )
)


def pad(x: Operand, padding: Sequence[tuple[int, int]], number: float = 0.0) -> Value:
    """``x`` with a border of ``number``.

    Parameters
    ----------
    x : Value, number or array
    padding : sequence of (int, int)
        For each axis how many elements to add before and after.
    number : float

    Returns
    -------
    Value
        ``x`` itself if nothing is added.
    """
    (value,) = as_values(x)
    pairs = tuple((int(before), int(after)) for before, after in padding)
    if len(pairs) == value.rank and all(pair == (0, 0) for pair in pairs):
        return value
    return PAD(value, attrs=PadAttrs(pairs, float(number)))


@dataclass(frozen=True)
class ConcatenateAttrs(Attrs):
    axis: int


def _concatenate_infer(attrs: ConcatenateAttrs, *types: TensorType) -> TensorType:
    axis, first = attrs.axis, types[0]
    others = {(*type_.shape[:axis], *type_.shape[axis + 1 :]) for type_ in types}
    sizes = [type_.shape[axis] if axis < type_.rank else None for type_ in types]
    if len(others) > 1 or len({type_.rank for type_ in types}) > 1 or None in sizes:
        raise ShapeError(
            f"concatenate() along axis {axis}",
            got=" and ".join(str(type_) for type_ in types),
            expected="equal sizes along all other axes, and known ones along this",
        )
    total = builtins.sum(size for size in sizes if size is not None)
    shape = (*first.shape[:axis], total, *first.shape[axis + 1 :])
    return TensorType(shape, common_dtype("concatenate", types))


def _concatenate_gradient(node: Node, g: Value) -> tuple[Value, ...]:
    axis = attrs_of(node, ConcatenateAttrs).axis
    return split(g, [value.type.sizes[axis] for value in node.inputs], axis)


CONCATENATE = register(
    Op(
        "concatenate",
        infer=_concatenate_infer,
        reference=lambda attrs, *arrays: np.concatenate(arrays, axis=attrs.axis),
        gradient=_concatenate_gradient,
        cases=(
            Case((Arg((3, 2)), Arg((3, 5)), Arg((3, 1))), ConcatenateAttrs(1)),
            Case((Arg((2, 3, 4)), Arg((1, 3, 4))), ConcatenateAttrs(0)),
            Case((Arg((2, 0)), Arg((2, 3))), ConcatenateAttrs(1)),
            Case((Arg((0, 1)), Arg((0, 2))), ConcatenateAttrs(1)),
            Case((Arg((1,)),), ConcatenateAttrs(0)),
            Case((*(Arg((2, 3)),) * 9, Arg((2, 1)), Arg((2, 1))), ConcatenateAttrs(1)),
        ),
    )
)


def concatenate(values: Sequence[Operand], axis: int = -1) -> Value:
    """Values one after the other along ``axis``.

    Parameters
    ----------
    values : sequence of Value or array
        At least one; of one dtype, and of equal sizes along all other axes.
    axis : int
    """
    if not values:
        raise ArgumentError("concatenate() takes at least one value", got="none")
    operands = as_values(*values)
    axis = normalise_axis("concatenate", axis, operands[0].rank)
    if len(operands) == 1:
        return operands[0]
    return CONCATENATE(*operands, attrs=ConcatenateAttrs(axis))


def stack(values: Sequence[Operand], axis: int = 0) -> Value:
    """Values of one shape side by side along a new axis, which is ``axis`` of the result."""
    if not values:
        raise ArgumentError("stack() takes at least one value", got="none")
    operands = as_values(*values)
    axis = normalise_axis("stack", axis, operands[0].rank + 1)
    return concatenate([expand_dims(value, axis) for value in operands], axis)


def diagonal(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """A diagonal of two axes of known size, as the last axis of the result.

    A positive ``offset`` is above the main diagonal, a negative one below.
    """
    (value,) = as_values(x)
    first, second = (normalise_axis("diagonal", axis, value.rank) for axis in (axis1, axis2))
    others = [axis for axis in range(value.rank) if axis not in (first, second)]
    if first == second:
        raise ArgumentError("diagonal() takes two axes", got=f"{axis1} and {axis2}")
    rows, columns = TensorType((value.shape[first], value.shape[second]), value.dtype).sizes
    down, right = max(-offset, 0), max(offset, 0)
    length = max(0, min(rows - down, columns - right))
    start = right + down * columns
    flat = reshape(
        transpose(value, (*others, first, second)),
        (*(value.shape[axis] for axis in others), rows * columns),
    )
    stop = start + (length - 1) * (columns + 1) + 1
    part = builtins.slice(start, stop, columns + 1) if length else builtins.slice(0, 0)
    return slice(flat, [_WHOLE] * (flat.rank - 1) + [part])
