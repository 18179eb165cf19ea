"""Parts of tensors, by integers, slices, tensors of indices and masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.ir import DType, Value
from numbanet.ops.axes import normalise_axis
from numbanet.ops.elementwise import broadcast_shapes
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions.arithmetic import Operand
from numbanet.tensors.functions.promotion import Number, as_value, known_size
from numbanet.tensors.functions.shapes import movedim

MASK = (
    "indexing by a mask whose numbers are not known yet: the shape of the result would depend "
    "on them. Use where() or masked_fill()"
)


@tensor_function
def getitem(input: Value, key: Any) -> Value:
    """``input[key]`` for integers, slices, ``...`` and None."""
    return ops.getitem(input, key)


@tensor_function
def pick(input: Value, key: Any) -> Value:
    """``input[key]``, where tensors of integers stand among the keys.

    As PyTorch has it: integers drop their axis first; tensors of indices meet by broadcasting,
    and stand where the first of them stood if they are neighbours, else in front.
    """
    keys = _spread(input, key if isinstance(key, tuple) else (key,))
    basic = tuple(slice(None) if isinstance(each, Value) else each for each in keys)
    kept = [each for each in keys if not isinstance(each, (int, np.integer))]
    indices = {axis: each for axis, each in enumerate(kept) if isinstance(each, Value)}
    part = ops.getitem(input, basic)
    return _picked(part, indices) if indices else part


def _spread(input: Value, keys: tuple[Any, ...]) -> list[Any]:
    """Keys with the ellipsis written out."""
    used = sum(each is not None and each is not Ellipsis for each in keys)
    if used > input.rank:
        raise ArgumentError("too many indices", got=f"{used} for {input.type}")
    dots = [i for i, each in enumerate(keys) if each is Ellipsis]
    if len(dots) > 1:
        raise ArgumentError("an index with more than one ellipsis", got=str(len(dots)))
    where_ = dots[0] if dots else len(keys)
    whole = [slice(None)] * (input.rank - used)
    return [*keys[:where_], *whole, *keys[where_ + 1 :]]


def _picked(input: Value, indices: dict[int, Value]) -> Value:
    axes = list(indices)
    shape = broadcast_shapes("indexing", tuple(value.type for value in indices.values()))
    rest = [axis for axis in range(input.rank) if axis not in indices]
    rows = ops.transpose(input, [*axes, *rest])
    sizes = [known_size("indexing", rows, axis) for axis in range(len(axes))]
    flat = ops.reshape(rows, (math.prod(sizes), *rows.shape[len(axes) :]))
    picked = ops.take(flat, _flat_ids(list(indices.values()), sizes))
    if axes != list(range(axes[0], axes[0] + len(axes))):
        return picked
    moved = range(len(shape))
    return movedim(picked, tuple(moved), tuple(axes[0] + i for i in moved)) if moved else picked


def _flat_ids(indices: Sequence[Value], sizes: Sequence[int]) -> Value:
    """Positions among rows in row-major order; each index counts from the end if negative."""
    total: Value | None = None
    for index, size in zip(indices, sizes, strict=True):
        ids = ops.cast(_checked(index), DType.INT64)
        ids = ops.where(ids < 0, ids + size, ids)
        # A device reads whatever memory it is told to.
        ids = ops.minimum(ops.maximum(ids, 0), max(size - 1, 0))
        total = ids if total is None else total * size + ids
    assert total is not None
    return total


def _checked(index: Value) -> Value:
    if index.dtype is DType.BOOL:
        raise NotImplementedError(MASK)
    if index.dtype not in (DType.INT32, DType.INT64):
        raise DTypeError(
            "a tensor of indices", got=str(index.dtype), expected="int64, int32 or bool"
        )
    return index


@tensor_function
def setitem(input: Value, key: Any, value: Operand) -> Value:
    """``input`` with ``input[key] = value`` done; the keys are those of `getitem`, or a mask.

    Where a tensor of indices names an element twice, what it becomes is not defined.
    """
    if isinstance(key, Value) and key.dtype is DType.BOOL:
        return _with_mask(input, key, value)
    # The gradient of a part puts numbers where the part came from, among zeros.
    probe = ops.input_value("setitem", input.shape, DType.FLOAT64)
    part = pick(probe, key)
    new = ops.expand(_squeezed(as_value(value, input.dtype), part), part.type.sizes)
    if not input.dtype.is_floating:
        return _with_places(input, probe, part, new)
    ones = ops.ones_like(part)
    counts, placed = (
        ops.cast(differentiate([part], [probe], [each])[0], input.dtype)
        for each in (ones, ops.cast(new, DType.FLOAT64))
    )
    return ops.where(ops.not_equal(counts, 0.0), placed, input)


def _with_places(input: Value, probe: Value, part: Value, new: Value) -> Value:
    """For integers: the place in ``new`` of each element, counted from one, is exact."""
    count = part.type.size
    numbered = ops.reshape(ops.iota((count,), 0, DType.FLOAT64) + 1.0, part.type.sizes)
    (places,) = differentiate([part], [probe], [numbered])
    ids = ops.cast(ops.maximum(places - 1.0, 0.0), DType.INT64)
    if not count:
        return input
    taken = ops.take(ops.reshape(new, (-1,)), ids)
    return ops.where(ops.not_equal(places, 0.0), taken, input)


def _squeezed(value: Value, part: Value) -> Value:
    """Without leading axes of size one that the part does not have."""
    while value.rank > part.rank and value.shape[0] == 1:
        value = ops.squeeze(value, 0)
    return value


def _with_mask(input: Value, mask: Value, value: Operand) -> Value:
    if isinstance(value, Value) and value.rank:
        raise NotImplementedError(MASK)
    missing = input.rank - mask.rank
    spread = ops.expand_dims(mask, tuple(range(mask.rank, input.rank))) if missing else mask
    return masked_fill(input, spread, value)


@tensor_function
def masked_fill(input: Value, mask: Value, value: Operand) -> Value:
    """``value`` where the mask is true, ``input`` elsewhere."""
    if mask.dtype is not DType.BOOL:
        raise DTypeError("masked_fill() takes a mask of bools", got=str(mask.dtype))
    if isinstance(value, Value) and value.rank:
        raise ShapeError("masked_fill() takes a number", got=str(value.type))
    return ops.where(mask, as_value(value, input.dtype), input)


@tensor_function
def narrow(input: Value, dim: int, start: int, length: int) -> Value:
    """``length`` elements along an axis, from ``start`` on."""
    axis = normalise_axis("narrow", dim, input.rank)
    size = known_size("narrow", input, axis)
    first = start + size if start < 0 else start
    if not 0 <= first <= first + length <= size:
        raise ArgumentError(
            f"narrow() to {length} elements from {start}", got=f"axis {dim} of {input.type}"
        )
    return ops.slice(
        input,
        [slice(first, first + length) if i == axis else slice(None) for i in range(input.rank)],
    )


@tensor_function
def select(input: Value, dim: int, index: int) -> Value:
    """One position of an axis, without that axis."""
    axis = normalise_axis("select", dim, input.rank)
    return ops.getitem(input, (*[slice(None)] * axis, index))


def index_select(input: Any, dim: int, index: Any) -> Any:
    """Positions of an axis, by a vector of indices."""
    check_range(index, input, dim)
    return _index_select(input, dim, index)


@tensor_function
def _index_select(input: Value, dim: int, index: Value) -> Value:
    if index.rank > 1:
        raise ShapeError("index_select() takes a vector of indices", got=str(index.type))
    axis = normalise_axis("index_select", dim, input.rank)
    return _picked(input, {axis: ops.reshape(index, (-1,))})


def gather(input: Any, dim: int, index: Any) -> Any:
    """``out[i][j] = input[index[i][j]][j]`` for ``dim`` 0, and so on for other axes.

    Parameters
    ----------
    index : Value
        int64, of the rank of ``input``; no larger than it along all axes but ``dim``.
    """
    check_range(index, input, dim)
    return _gather(input, dim, index)


@tensor_function
def _gather(input: Value, dim: int, index: Value) -> Value:
    axis = normalise_axis("gather", dim, max(input.rank, 1))
    if input.rank != index.rank:
        raise ShapeError(
            "gather() takes an index of the input's rank", got=f"{index.type} for {input.type}"
        )
    if input.rank == 0:
        return input
    if index.shape[axis] == 1 or None in index.shape:
        return _gathered_by_comparison(input, axis, _checked(index))
    ids = _flat_ids(_everywhere(axis, index), input.type.sizes)
    return ops.take(ops.reshape(input, (-1,)), ids)


def _everywhere(axis: int, index: Value) -> list[Value]:
    """For each axis the index of each element: ``index`` itself along ``axis``."""
    shape = index.type.sizes
    return [
        index
        if i == axis
        else ops.reshape(ops.iota((n,)), [-1 if i == j else 1 for j in range(len(shape))])
        for i, n in enumerate(shape)
    ]


def _gathered_by_comparison(input: Value, axis: int, index: Value) -> Value:
    """Also for an unknown batch size: the sum of the elements whose position is the index."""
    cut = [
        slice(None) if i == axis or n is None or n == input.shape[i] else slice(0, n)
        for i, n in enumerate(index.shape)
    ]
    rows = movedim(ops.slice(input, cut), axis, -1)
    wanted = ops.expand_dims(movedim(index, axis, -1), -1)
    size = known_size("gather", input, axis)
    is_here = ops.equal(wanted, ops.iota((size,), 0, index.dtype))
    numbers = ops.cast(rows, DType.UINT8) if rows.dtype is DType.BOOL else rows
    chosen = ops.sum(ops.where(is_here, ops.expand_dims(numbers, -2), 0), -1)
    return movedim(ops.cast(chosen, input.dtype), -1, axis)


def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:
    """`gather`, where the axes other than ``dim`` broadcast."""
    check_range(indices, input, dim)
    return _take_along_dim(input, indices, dim)


@tensor_function
def _take_along_dim(input: Value, indices: Value, dim: int | None) -> Value:
    if dim is None:
        return _gather(ops.reshape(input, (-1,)), 0, ops.reshape(indices, (-1,)))
    axis = normalise_axis("take_along_dim", dim, input.rank)
    sizes = [max(a, b) for a, b in zip(input.type.sizes, indices.type.sizes, strict=True)]
    ours = [n if i != axis else -1 for i, n in enumerate(sizes)]
    return _gather(ops.expand(input, ours), axis, ops.expand(indices, ours))


def take(input: Any, index: Any) -> Any:
    """Elements of the flat tensor."""
    check_range(index, input, None)
    return _take(input, index)


@tensor_function
def _take(input: Value, index: Value) -> Value:
    return _picked(ops.reshape(input, (-1,)), {0: index})


def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Any:
    """``input`` with elements of ``src`` added where ``index`` says, see `gather`."""
    check_range(index, input, dim)
    return _scatter_add(input, dim, index, src)


@tensor_function
def _scatter_add(input: Value, dim: int, index: Value, src: Value) -> Value:
    cut = [slice(0, n) for n in index.type.sizes]
    return input + _scattered(input, dim, index, ops.slice(src, cut))


def _scattered(input: Value, dim: int, index: Value, src: Value) -> Value:
    """Sums of elements of ``src`` where ``index`` says, zero elsewhere."""
    axis = normalise_axis("scatter", dim, input.rank)
    sizes = input.type.sizes
    ids = _flat_ids(_everywhere(axis, index), sizes)
    total = ops.scatter_add(ops.reshape(src, (-1,)), ops.reshape(ids, (-1,)), math.prod(sizes))
    return ops.reshape(total, sizes)


def scatter(input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None) -> Any:
    """``input`` with elements of ``src``, or a number, where ``index`` says, see `gather`.

    Where ``index`` names an element several times, it takes the mean of what comes for it;
    PyTorch's takes any.
    """
    check_range(index, input, dim)
    return _scatter(input, dim, index, value if src is None else src)


@tensor_function
def _scatter(input: Value, dim: int, index: Value, src: Operand) -> Value:
    counts = _scattered(input, dim, index, ops.full(index.type.sizes, 1, DType.FLOAT32))
    new = as_value(src, input.dtype)
    if new.rank:
        part = ops.slice(new, [slice(0, n) for n in index.type.sizes])
        floating = part if part.dtype.is_floating else ops.cast(part, DType.FLOAT64)
        total = _scattered(input, dim, index, floating)
        mean = total / ops.cast(ops.maximum(counts, 1.0), total.dtype)
        new = ops.cast(mean, input.dtype)
    return ops.where(counts > 0.0, new, input)


@tensor_function
def index_add(
    input: Value, dim: int, index: Value, source: Value, *, alpha: Number = 1
) -> Value:
    """``input`` with parts of ``source`` added at positions of an axis."""
    axis = normalise_axis("index_add", dim, input.rank)
    size = known_size("index_add", input, axis)
    rows = movedim(source if alpha == 1 else source * alpha, axis, 0)
    total = ops.scatter_add(rows, _flat_ids([index], [size]), size)
    return input + movedim(total, 0, axis)


def check_range(index: Any, input: Any, dim: int | None) -> None:
    """Raise IndexError for indices out of range, if they are numbers on the host already."""
    numbers = getattr(index, "numbers", None)
    if (
        not isinstance(numbers, np.ndarray)
        or not numbers.size
        or numbers.dtype.kind not in "iu"
    ):
        return
    sizes = tuple(input.shape) or (1,)
    size = math.prod(sizes) if dim is None else sizes[dim]
    low, high = numbers.min(), numbers.max()
    if size is not None and (low < -size or high >= size):
        wrong = low if low < -size else high
        raise IndexError(f"index {wrong} is out of range for a dimension of size {size}")
