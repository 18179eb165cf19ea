"""Tensors joined into one, and one cut into several."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.ops.axes import normalise_axis
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions.promotion import known_size, together


def _joined(tensors: Sequence[Value]) -> tuple[Value, ...]:
    if not tensors:
        raise ArgumentError("a list of tensors to join", got="an empty one")
    return together(*tensors)


@tensor_function
def cat(tensors: Sequence[Value], dim: int = 0) -> Value:
    """Tensors one after the other along an axis. Empty vectors are passed over."""
    values = _joined(tensors)
    kept = [value for value in values if value.shape != (0,)]
    return ops.concatenate(kept or values[:1], dim)


concat = concatenate = cat


@tensor_function
def stack(tensors: Sequence[Value], dim: int = 0) -> Value:
    """Tensors of one shape side by side along a new axis."""
    return ops.stack(_joined(tensors), dim)


def _at_least(value: Value, rank: int) -> Value:
    missing = rank - value.rank
    return ops.expand_dims(value, tuple(range(missing))) if missing > 0 else value


@tensor_function
def hstack(tensors: Sequence[Value]) -> Value:
    """Tensors side by side: along axis 1, vectors along axis 0."""
    values = [_at_least(value, 1) for value in _joined(tensors)]
    return cat(values, 0 if values[0].rank == 1 else 1)


@tensor_function
def vstack(tensors: Sequence[Value]) -> Value:
    """Tensors below each other: along axis 0, vectors as rows."""
    return cat([_at_least(value, 2) for value in _joined(tensors)], 0)


@tensor_function
def split(
    tensor: Value, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Value, ...]:
    """Parts along an axis, of one size (the last may be smaller) or of given sizes."""
    size = known_size("split", tensor, dim)
    if isinstance(split_size_or_sections, int):
        each = split_size_or_sections
        if each <= 0:
            raise ArgumentError("split() takes a positive size", got=str(each))
        sections = [each] * (size // each) + [size % each] * (size % each > 0) or [0]
    else:
        sections = list(split_size_or_sections)
    return ops.split(tensor, sections, dim)


@tensor_function
def chunk(input: Value, chunks: int, dim: int = 0) -> tuple[Value, ...]:
    """At most ``chunks`` parts of one size along an axis; the last may be smaller."""
    if chunks <= 0:
        raise ArgumentError("chunk() takes a positive number", got=str(chunks))
    size = known_size("chunk", input, dim)
    return split(input, max(1, -(-size // chunks)), dim)


@tensor_function
def tensor_split(
    input: Value, indices_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Value, ...]:
    """Parts along an axis: so many that differ by one element at most, or cut at indices."""
    size = known_size("tensor_split", input, dim)
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        sections = [size // count + (i < size % count) for i in range(count)]
    else:
        marks = [slice(None, index).indices(size)[1] for index in indices_or_sections]
        edges = [0, *marks, size]
        sections = [max(0, stop - start) for start, stop in itertools.pairwise(edges)]
        if sum(sections) != size:
            raise NotImplementedError("tensor_split() at indices that are not in order")
    return ops.split(input, sections, dim)


@tensor_function
def unbind(input: Value, dim: int = 0) -> tuple[Value, ...]:
    """The parts of size one along an axis, without that axis."""
    if input.rank == 0:
        raise ShapeError("unbind() of a tensor without axes", got=str(input.type))
    axis = normalise_axis("unbind", dim, input.rank)
    size = known_size("unbind", input, axis)
    return tuple(ops.squeeze(part, axis) for part in ops.split(input, [1] * size, axis))
