"""Look-up by index, and one-hot codes."""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError, DataError, DTypeError, ShapeError
from numbanet.ir import DType, Value
from numbanet.ops.indexing import check_range
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions import narrow
from numbanet.tensors.tensor import Tensor


def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """Rows of a table, by index.

    Parameters
    ----------
    input : Tensor
        Integers ``[...]``, at least 0 and less than the number of rows. That is checked where
        they are an array on the host, such as a batch of data; computed ones that name no row
        read the nearest.
    weight : Tensor
        ``[rows, D]``.
    padding_idx : int, optional
        A row that gets no gradient; negative ones count from the end.
    max_norm, norm_type, scale_grad_by_freq, sparse
        Not supported, except for their defaults.

    Returns
    -------
    Tensor
        ``[..., D]``.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet.
    ArgumentError
        If there is no row ``padding_idx``.
    DataError
        If a number names no row.
    """
    refuse_options("embedding", max_norm, scale_grad_by_freq, sparse)
    _check_range("numbers that embedding() looks up", input, weight.shape[0])
    return _embedding(input, weight, padding_idx)


@tensor_function
def _embedding(input: Value, weight: Value, padding_idx: int | None) -> Value:
    if weight.rank != 2:
        raise ShapeError("embedding() takes a table", got=str(weight.type), expected="[V, D]")
    rows = ops.take(weight, input)
    if padding_idx is None:
        return rows
    padding = row_of(padding_idx, weight.type.sizes[0])
    is_padding = ops.expand_dims(ops.equal(input, padding), -1)
    return ops.where(is_padding, ops.stop_gradient(rows), rows)


def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """Sums, means or maxima of bags of rows of a table.

    Parameters
    ----------
    input : Tensor
        Integers as of `embedding`: ``[B, N]``, N rows for each bag, or ``[L]``, those of the
        bags one after the other.
    weight : Tensor
        ``[rows, D]``.
    offsets : Tensor, optional
        Where each bag begins in ``[L]``: integers that do not decrease, the first 0.
    mode : {"sum", "mean", "max"}
        Of an empty bag all are zeros.
    per_sample_weights : Tensor, optional
        Factors of the rows of a sum, of the shape of ``input``.
    include_last_offset : bool
        Whether ``offsets`` ends with ``L``, where no bag begins.
    padding_idx : int, optional
        A row that is in no bag, and gets no gradient; negative ones count from the end.
    max_norm, norm_type, scale_grad_by_freq, sparse
        Not supported, except for their defaults.

    Returns
    -------
    Tensor
        ``[B, D]``.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet.
    ArgumentError
        If ``mode`` is something else, or offsets or weights come where there can be none.
    DataError
        If a number names no row, or offsets on the host do not rise from 0 to at most ``L``.
    """
    refuse_options("embedding_bag", max_norm, scale_grad_by_freq, sparse)
    if mode not in ("sum", "mean", "max"):
        raise ArgumentError("unknown mode", got=repr(mode), expected="'sum', 'mean' or 'max'")
    if per_sample_weights is not None and mode != "sum":
        raise ArgumentError("per_sample_weights are for mode='sum'", got=repr(mode))
    if (offsets is None) is not (len(input.shape) == 2):
        raise ArgumentError(
            "embedding_bag() takes offsets with a vector, and none with bags of one size",
            got=str(input.shape),
        )
    _check_range("numbers that embedding_bag() looks up", input, weight.shape[0])
    if offsets is not None:
        _check_offsets(offsets, input.shape[0])
    if include_last_offset and offsets is not None:
        offsets = narrow(offsets, 0, 0, offsets.shape[0] - 1)
    return _embedding_bag(input, weight, offsets, mode, per_sample_weights, padding_idx)


@tensor_function
def _embedding_bag(
    input: Value,
    weight: Value,
    offsets: Value | None,
    mode: str,
    per_sample_weights: Value | None,
    padding_idx: int | None,
) -> Value:
    rows = _embedding(input, weight, padding_idx)
    is_held = ops.full_like(input, 1)
    if padding_idx is not None:
        padding = row_of(padding_idx, weight.type.sizes[0])
        is_held = ops.cast(ops.not_equal(input, padding), input.dtype)
    held = ops.expand_dims(ops.cast(is_held, weight.dtype), -1)
    if per_sample_weights is not None:
        rows = rows * ops.expand_dims(per_sample_weights, -1)
    bag = None if offsets is None else _bags(input, offsets)
    bags = 0 if offsets is None else offsets.type.sizes[0]
    count = _added_up(held, bag, bags)
    if mode == "max":
        return ops.where(ops.greater(count, 0), _largest(rows, held, bag, bags), 0)
    total = _added_up(rows * held, bag, bags)
    return total if mode == "sum" else total / ops.maximum(count, 1)


def _bags(input: Value, offsets: Value) -> Value:
    """Of each element of ``[L]`` the number of its bag."""
    places = ops.iota((input.type.sizes[0], 1), 0, offsets.dtype)
    has_begun = ops.cast(ops.greater_equal(places, offsets), offsets.dtype)
    return ops.sum(has_begun, 1) - 1


def _added_up(rows: Value, bag: Value | None, bags: int) -> Value:
    """Sums ``[B, D]`` of ``[B, N, D]``, or of ``[L, D]`` by bag."""
    return ops.sum(rows, 1) if bag is None else ops.scatter_add(rows, bag, bags)


def _largest(rows: Value, held: Value, bag: Value | None, bags: int) -> Value:
    """Likewise maxima. By bag, each is compared with all elements."""
    if bag is not None:
        is_own = ops.equal(ops.iota((bags, 1), 0, bag.dtype), bag)
        held = ops.expand_dims(ops.cast(is_own, rows.dtype), -1) * held
    return ops.max(ops.where(ops.greater(held, 0), rows, -np.inf), 1)


def _check_offsets(offsets: Any, length: int) -> None:
    """Check offsets that are on the host already."""
    if not isinstance(offsets, Tensor) or not isinstance(offsets.numbers, np.ndarray):
        return
    numbers = offsets.numbers
    if numbers.size and (
        numbers[0] or (np.diff(numbers) < 0).any() or not 0 <= numbers[-1] <= length
    ):
        raise DataError(
            "offsets of bags rise from 0 to at most the number of elements",
            got=str(numbers.tolist()),
            expected=f"0 to {length}",
        )


def refuse_options(
    name: str, max_norm: float | None, scale_grad_by_freq: bool, sparse: bool
) -> None:
    """What this look-up does not do."""
    given = {"max_norm": max_norm is not None, "scale_grad_by_freq": scale_grad_by_freq}
    for option, is_given in {**given, "sparse": sparse}.items():
        if is_given:
            raise NotImplementedError(f"{option} of {name}()")


def row_of(padding_idx: int, rows: int) -> int:
    """``padding_idx`` counted from the front."""
    if not -rows <= padding_idx < rows:
        raise ArgumentError(
            "padding_idx names no row", got=str(padding_idx), expected=f"{-rows} to {rows - 1}"
        )
    return padding_idx % rows


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """One at the position that each number names, zero elsewhere.

    Parameters
    ----------
    tensor : Tensor
        Integers ``[...]``, at least 0 and less than ``num_classes``.
    num_classes : int
        -1: one more than the largest number, which is read for this.

    Returns
    -------
    Tensor
        int64 ``[..., num_classes]``.

    Raises
    ------
    DTypeError
        If ``tensor`` does not hold integers.
    ArgumentError
        If there are no classes.
    DataError
        If a number on the host names no class.
    """
    if num_classes == -1:
        num_classes = _count_classes(tensor)
    if num_classes < 1:
        raise ArgumentError("one_hot() takes a number of classes", got=str(num_classes))
    _check_range("classes of one_hot()", tensor, num_classes)
    return _one_hot(tensor, num_classes)


def _check_range(what: str, ids: Any, count: int) -> None:
    """Check integers that are on the host already: nobody waits for others."""
    if isinstance(ids, Tensor) and isinstance(ids.numbers, np.ndarray):
        check_range(what, ids.numbers, count)


def _count_classes(tensor: Any) -> int:
    if isinstance(tensor, Value):
        raise ArgumentError("one_hot() of a symbolic value needs num_classes", got="-1")
    numbers = tensor.array()
    if not numbers.size:
        raise ArgumentError("one_hot() of nothing needs num_classes", got="-1")
    return int(numbers.max()) + 1


@tensor_function
def _one_hot(tensor: Value, num_classes: int) -> Value:
    if not tensor.dtype.is_integer:
        raise DTypeError("one_hot() takes integers", got=str(tensor.type))
    return ops.one_hot(tensor, num_classes, DType.INT64)
