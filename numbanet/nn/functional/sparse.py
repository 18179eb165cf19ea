"""Look-up by index, and one-hot codes."""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.ir import DType, Value
from numbanet.ops.indexing import check_range
from numbanet.tensors.dispatch import tensor_function
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
    refuse_options(max_norm, scale_grad_by_freq, sparse)
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


def refuse_options(max_norm: float | None, scale_grad_by_freq: bool, sparse: bool) -> None:
    """What this look-up does not do."""
    given = {"max_norm": max_norm is not None, "scale_grad_by_freq": scale_grad_by_freq}
    for name, is_given in {**given, "sparse": sparse}.items():
        if is_given:
            raise NotImplementedError(f"{name} of embedding()")


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
