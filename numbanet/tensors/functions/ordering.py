"""Extrema, where they are, and sorting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import DType, Value
from numbanet.ops.axes import normalise_axis
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions.arithmetic import maximum, minimum
from numbanet.tensors.functions.promotion import as_integers, known_size
from numbanet.tensors.functions.reductions import Dim, _axes


class Chosen(NamedTuple):
    """Elements, and their positions along the dimension."""

    values: Any
    indices: Any


@tensor_function
def max(input: Value, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The largest element; with ``dim`` also where it is; of two tensors the larger elements.

    Returns
    -------
    Value, or (values, indices) if ``dim`` is an int
    """
    return _extremum((amax, argmax, maximum), input, dim, keepdim, other)


@tensor_function
def min(input: Value, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The smallest element, as `max`."""
    return _extremum((amin, argmin, minimum), input, dim, keepdim, other)


def _extremum(
    kinds: tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]],
    input: Value,
    dim: Any,
    keepdim: bool,
    other: Any,
) -> Any:
    of_all, where, of_two = kinds
    if isinstance(dim, Value):
        dim, other = None, dim
    if other is not None:
        return of_two(input, other)
    if dim is None:
        return of_all(input)
    return _chosen(input, where(input, dim, keepdim=True), dim, keepdim)


def _chosen(input: Value, indices: Value, dim: int, keepdim: bool) -> Chosen:
    """The elements at ``indices``, which alone get a gradient, unlike with ties of `amax`."""
    if input.rank == 0:
        return Chosen(input, indices)
    axis = normalise_axis("max", dim, input.rank)
    is_chosen = ops.equal(_positions(input, axis), indices)
    numbers = as_integers(input)
    values = ops.sum(ops.where(is_chosen, numbers, 0), axis, keepdims=True)
    values = ops.cast(values, input.dtype)
    if keepdim:
        return Chosen(values, indices)
    return Chosen(ops.squeeze(values, axis), ops.squeeze(indices, axis))


def _positions(input: Value, axis: int) -> Value:
    """Indices along ``axis``, in a shape that broadcasts to the input's."""
    size = known_size("indexing", input, axis)
    shape = [size if i == axis else 1 for i in range(input.rank)]
    return ops.reshape(ops.iota((size,)), shape)


@tensor_function
def amax(input: Value, dim: Dim = (), keepdim: bool = False) -> Value:
    """The largest element over dimensions. Those that tie share the gradient."""
    return _extreme(ops.max, input, dim, keepdim)


@tensor_function
def amin(input: Value, dim: Dim = (), keepdim: bool = False) -> Value:
    """The smallest element over dimensions. Those that tie share the gradient."""
    return _extreme(ops.min, input, dim, keepdim)


def _extreme(op: Callable[..., Value], input: Value, dim: Dim, keepdim: bool) -> Value:
    value = op(as_integers(input), _axes(op.__name__, input, dim), keepdim)
    return ops.cast(value, input.dtype)


@tensor_function
def aminmax(
    input: Value, *, dim: int | None = None, keepdim: bool = False
) -> tuple[Value, Value]:
    """The smallest and the largest element."""
    return amin(input, dim, keepdim), amax(input, dim, keepdim)


@tensor_function
def argmax(input: Value, dim: int | None = None, keepdim: bool = False) -> Value:
    """Where the largest element is, the first if several are as large."""
    return _where_extreme(as_integers(input), dim, keepdim)


@tensor_function
def argmin(input: Value, dim: int | None = None, keepdim: bool = False) -> Value:
    """Where the smallest element is, the first if several are as small."""
    numbers = as_integers(input)
    if numbers.dtype is DType.UINT8:
        numbers = ops.cast(numbers, DType.INT32)
    # The bitwise inverse of an integer has no overflow.
    reversed_ = -numbers if numbers.dtype.is_floating else -1 - numbers
    return _where_extreme(reversed_, dim, keepdim)


def _where_extreme(input: Value, dim: int | None, keepdim: bool) -> Value:
    if input.rank == 0:
        return ops.constant(0, DType.INT64)
    if dim is None:
        index = ops.argmax(ops.reshape(input, (-1,)), 0)
        return ops.reshape(index, (1,) * input.rank) if keepdim else index
    index = ops.argmax(input, dim)
    return (
        ops.expand_dims(index, normalise_axis("argmax", dim, input.rank)) if keepdim else index
    )


@tensor_function
def sort(input: Value, dim: int = -1, descending: bool = False, stable: bool = False) -> Chosen:
    """Elements in order along a dimension, and where they came from. Ties keep their order.

    Every element is compared with every other, which suits devices and short dimensions.
    """
    return _smallest(input, dim, descending, None)


@tensor_function
def argsort(
    input: Value, dim: int = -1, descending: bool = False, stable: bool = False
) -> Value:
    """Where the elements in order along a dimension come from; see `sort`."""
    return sort(input, dim, descending).indices


@tensor_function
def topk(
    input: Value, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> Chosen:
    """The ``k`` largest elements along a dimension (or smallest), and where they are."""
    return _smallest(input, dim, largest, k)


def _smallest(input: Value, dim: int, descending: bool, count: int | None) -> Chosen:
    """The first ``count`` elements in order, by each element's rank."""
    if input.rank == 0:
        return Chosen(input, ops.constant(0, DType.INT64))
    axis = normalise_axis("sort", dim, input.rank)
    size = known_size("sort", input, axis)
    if count is not None and not 0 <= count <= size:
        raise ArgumentError("topk() takes another k", got=str(count), expected=f"0 to {size}")
    order = [i for i in range(input.rank) if i != axis] + [axis]
    rows = ops.transpose(as_integers(input), order)
    positions = ops.iota((size,))
    ranks = _ranks(ops.stop_gradient(rows), positions, descending)
    kept = size if count is None else count
    wanted = ops.expand_dims(ops.iota((kept,)), 1)
    # [..., place in order, element]
    is_here = ops.equal(ops.expand_dims(ranks, -2), wanted)
    values = ops.sum(ops.where(is_here, ops.expand_dims(rows, -2), 0), -1)
    indices = ops.sum(ops.where(is_here, positions, ops.zeros_like(positions)), -1)
    back = [order.index(i) for i in range(input.rank)]
    return Chosen(
        ops.transpose(ops.cast(values, input.dtype), back), ops.transpose(indices, back)
    )


def _ranks(rows: Value, positions: Value, descending: bool) -> Value:
    """How many elements of the last axis come before each; NaN is larger than all."""
    mine, others = ops.expand_dims(rows, -1), ops.expand_dims(rows, -2)
    small, large = (mine, others) if descending else (others, mine)
    is_before = ops.less(small, large)
    is_tie = ops.equal(mine, others)
    if rows.dtype.is_floating:
        is_nan_small, is_nan_large = ops.not_equal(small, small), ops.not_equal(large, large)
        is_before = ops.logical_or(
            is_before, ops.logical_and(is_nan_large, ops.logical_not(is_nan_small))
        )
        is_tie = ops.logical_or(is_tie, ops.logical_and(is_nan_large, is_nan_small))
    is_earlier = positions < ops.expand_dims(positions, 1)
    comes_first = ops.logical_or(is_before, ops.logical_and(is_tie, is_earlier))
    return ops.sum(ops.cast(comes_first, DType.INT64), -1)


@tensor_function
def kthvalue(input: Value, k: int, dim: int = -1, keepdim: bool = False) -> Chosen:
    """The k-th smallest element along a dimension, counted from one, and where it is."""
    if input.rank == 0:
        return Chosen(input, ops.constant(0, DType.INT64))
    axis = normalise_axis("kthvalue", dim, input.rank)
    part = [slice(None)] * input.rank
    part[axis] = slice(k - 1, k)
    values, indices = (ops.slice(each, part) for each in _smallest(input, axis, False, k))
    if keepdim:
        return Chosen(values, indices)
    return Chosen(ops.squeeze(values, axis), ops.squeeze(indices, axis))


@tensor_function
def median(input: Value, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element in order, the lower one of two; with ``dim`` also where it is.

    NaN counts as larger than all other numbers.
    """
    if dim is None:
        return median(ops.reshape(input, (-1,)), 0).values
    size = known_size("median", input, dim) if input.rank else 1
    return kthvalue(input, (size + 1) // 2, dim, keepdim)
