"""Who attends to whom: masks by position, and the weights of attention as a composition."""

from __future__ import annotations

import math

from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir.types import DType
from numbanet.ir.value import Value
from numbanet.ops.arithmetic import absolute
from numbanet.ops.casts import cast
from numbanet.ops.comparison import where
from numbanet.ops.creation import iota
from numbanet.ops.matmul import matmul
from numbanet.ops.reductions import max as max_
from numbanet.ops.softmax import softmax

EMPTY = ("zeros", "uniform", "nan")
CLOSED = -1e30
"""A score so low that it counts only where all are."""


def causal_mask(queries: Value, keys: Value) -> Value:
    """Bools ``[L, S]``: whether a key stands no later than the query.

    Raises
    ------
    ShapeError
        If a length, the size before the last, is unknown.
    """
    return distance(queries, keys) >= 0


def window_mask(queries: Value, keys: Value, size: int) -> Value:
    """Bools ``[L, S]``: whether a key stands fewer than ``size`` places from the query."""
    return absolute(distance(queries, keys)) < size


def distance(queries: Value, keys: Value) -> Value:
    """How many places each query stands behind each key, ``[L, S]``."""
    sizes = queries.shape[-2], keys.shape[-2]
    if sizes[0] is None or sizes[1] is None:
        raise ShapeError(
            "a mask by position needs known lengths", got=f"{queries.type}, {keys.type}"
        )
    known = (sizes[0], sizes[1])
    return iota(known, 0) - iota(known, 1)


def attention_weights(
    query: Value,
    key: Value,
    mask: Value | None = None,
    *,
    scale: float | None = None,
    empty: str = "zeros",
) -> Value:
    """How much of each value each query takes: ``softmax(query @ key.T * scale + mask)``.

    Parameters
    ----------
    query, key : Value
        ``[.., L, E]`` and ``[.., S, E]``.
    mask : Value, optional
        Broadcasts to ``[.., L, S]``: bools, true for what takes part, or numbers to add.
    scale : float, optional
        ``1 / sqrt(E)`` by default.
    empty : {"zeros", "uniform", "nan"}
        Weights of a query to which ``mask`` leaves nothing. Uniform ones are for bools only.

    Returns
    -------
    Value
        ``[.., L, S]``
    """
    factor = 1.0 / math.sqrt(query.type.shape[-1] or 1) if scale is None else scale
    scores = matmul(query * factor, key, transpose_b=True)
    return masked_softmax(scores, mask, empty=empty)


def masked_softmax(scores: Value, mask: Value | None, *, empty: str = "zeros") -> Value:
    """Softmax of ``scores`` ``[.., L, S]`` where a mask lets them take part.

    The arguments are those of `attention_weights`.

    Raises
    ------
    ArgumentError
        If ``empty`` is none of its choices.
    """
    if empty not in EMPTY:
        raise ArgumentError(
            "unknown weights for an empty query", got=repr(empty), expected=", ".join(EMPTY)
        )
    if mask is None:
        return softmax(scores)
    if mask.dtype is DType.BOOL:
        scores = where(mask, scores, CLOSED if empty == "uniform" else -math.inf)
    else:
        scores = scores + cast(mask, scores.dtype)
    if empty != "zeros":
        return softmax(scores)
    is_open = max_(scores, -1, keepdims=True) > -math.inf
    return where(is_open, softmax(where(is_open, scores, 0.0)), 0.0)
