"""Scaled dot-product attention as one op (Vaswani et al., "Attention is all you need", 2017).

Its weights are never stored: of each query the logarithm of the sum of its powers is kept, from
which the gradient computes them anew (Dao et al., "FlashAttention: fast and memory-efficient
exact attention", 2022).
"""

from __future__ import annotations

import math

import numpy as np

from numbanet.errors import ArgumentError
from numbanet.ir.op import Arg, Case, Op, attrs_of, register
from numbanet.ir.types import DType, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops import reductions
from numbanet.ops.arithmetic import maximum
from numbanet.ops.attention_grad import ATTENTION_GRAD, gradient_of_scores
from numbanet.ops.attention_scores import (
    HEADS_FIRST,
    AttentionAttrs,
    check_operands,
    heads_first,
    of_queries,
    product_flops,
    reference_scores,
    scores_of,
)
from numbanet.ops.attention_weights import EMPTY
from numbanet.ops.casts import cast
from numbanet.ops.comparison import where
from numbanet.ops.creation import zeros_like
from numbanet.ops.matmul import matmul
from numbanet.ops.shapes import expand_dims
from numbanet.ops.transcendental import exp, log


def attention(
    query: Value,
    key: Value,
    value: Value,
    mask: Value | None = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
    empty: str = "zeros",
) -> Value:
    """``softmax(query @ key.T * scale + mask) @ value`` for each head.

    Parameters
    ----------
    query, key, value : Value
        ``[N, L, H, E]``, ``[N, S, H, E]`` and ``[N, S, H, V]``: heads beside each other.
    mask : Value, optional
        Broadcasts to ``[N, H, L, S]``: bools, true for what takes part, or numbers to add.
    scale : float, optional
        ``1 / sqrt(E)`` by default.
    is_causal : bool
        Whether position ``i`` attends to positions up to ``i`` only.
    empty : {"zeros", "uniform", "nan"}
        Weights of a query to which ``mask`` leaves nothing. Uniform ones are for bools only.

    Returns
    -------
    Value
        ``[N, L, H, V]``

    Raises
    ------
    ArgumentError
        If ``empty`` is none of its choices.
    ShapeError, DTypeError
        If the operands do not meet, or there are no keys.
    """
    if empty not in EMPTY:
        raise ArgumentError(
            "unknown weights for an empty query", got=repr(empty), expected=", ".join(EMPTY)
        )
    factor = 1.0 / math.sqrt(query.shape[-1] or 1) if scale is None else float(scale)
    attrs = AttentionAttrs(factor, is_causal)
    if mask is None:
        return ATTENTION(query, key, value, attrs=attrs)[0]
    mask = mask if mask.dtype is DType.BOOL else cast(mask, query.dtype)
    mixed, lse = ATTENTION(query, key, value, mask, attrs=attrs)
    if empty == "zeros":
        return mixed
    other = math.nan if empty == "nan" else reductions.mean(value, 1, keepdims=True)
    return where(expand_dims(lse, -1) < math.inf, mixed, other)


def _infer(attrs: AttentionAttrs, *inputs: TensorType) -> tuple[TensorType, TensorType]:
    q, k, v = attrs.types(*inputs)
    check_operands("attention", q, k, v, inputs[3:])
    return TensorType((*q.shape[:-1], v.shape[-1]), q.dtype), TensorType(q.shape[:-1], q.dtype)


def _reference(attrs: AttentionAttrs, *inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    q, k, v = attrs.arrays(*inputs)
    scores = reference_scores(attrs, q, k, inputs[3:])
    most = scores.max(-1, keepdims=True)
    most = np.where(most == -np.inf, 0, most)
    powers = np.exp(scores - most)
    total = powers.sum(-1, keepdims=True)
    is_empty = total == 0
    total = np.where(is_empty, 1, total)
    lse = np.where(is_empty, np.inf, most + np.log(total))
    mixed = (powers / total @ v.transpose(HEADS_FIRST)).transpose(HEADS_FIRST)
    return (
        np.ascontiguousarray(mixed, dtype=q.dtype),
        np.ascontiguousarray(lse[..., 0].transpose(0, 2, 1), dtype=q.dtype),
    )


_LOWEST = {dtype: float(np.finfo(dtype.numpy).min) for dtype in DType if dtype.is_floating}


def _decompose(node: Node) -> tuple[Value, Value]:
    q, k, v = heads_first(*node.inputs[:3])
    masks = node.inputs[3:]
    scores = scores_of(attrs_of(node, AttentionAttrs), q, k, masks)
    most = reductions.max(scores, -1, keepdims=True)
    if masks:
        # A row that is all minus infinity would be NaN without its own largest element.
        most = maximum(most, _LOWEST[scores.dtype])
    powers = exp(scores - most)
    total = reductions.sum(powers, -1, keepdims=True)
    lse = most + log(total)
    if masks:
        is_empty = total <= 0.0
        total, lse = where(is_empty, 1.0, total), where(is_empty, math.inf, lse)
    return heads_first(matmul(powers / total, v))[0], of_queries(lse)


def _gradient(node: Node, g: Value | None, to_lse: Value | None) -> tuple[Value | None, ...]:
    out, lse = node.outputs
    g = zeros_like(out) if g is None else g
    delta = reductions.sum(g * out, -1)
    if to_lse is not None:
        # The slope of lse is the weights, those of which g knows less their mean.
        delta = delta - to_lse
    q, k, v, *masks = node.inputs
    grad = ATTENTION_GRAD.node(q, k, v, lse, delta, g, *masks, attrs=node.attrs)
    is_added = [mask.dtype.is_floating for mask in masks]
    return *grad.outputs, *(gradient_of_scores(grad) if each else None for each in is_added)


def _case(
    sizes: tuple[int, int, int, int, int, int], attrs: AttentionAttrs, *mask: Arg
) -> Case:
    n, length, keys, heads, width, wide = sizes
    q, k, v = (n, length, heads, width), (n, keys, heads, width), (n, keys, heads, wide)
    return Case((Arg(q), Arg(k), Arg(v), *mask), attrs)


ATTENTION = register(
    Op(
        "attention",
        infer=_infer,
        reference=_reference,
        gradient=_gradient,
        decompose=_decompose,
        flops=lambda node: product_flops(node, 2),
        cases=(
            _case((2, 3, 5, 2, 4, 3), AttentionAttrs(0.5)),
            _case((1, 5, 5, 2, 3, 3), AttentionAttrs(0.7, is_causal=True)),
            _case((1, 3, 6, 1, 2, 2), AttentionAttrs(0.7, is_causal=True), Arg((3, 6))),
            _case((1, 1, 1, 1, 1, 1), AttentionAttrs(1.0)),
            _case((2, 3, 4, 2, 2, 2), AttentionAttrs(0.5), Arg((2, 1, 1, 4))),
            _case((1, 3, 4, 2, 2, 2), AttentionAttrs(0.5), Arg((3, 4), DType.BOOL)),
            _case((2, 0, 3, 1, 2, 2), AttentionAttrs(0.5)),
        ),
    )
)
"""``(q, k, v, mask?) -> (out, lse)``; ``lse`` is ``[N, L, H]``, the logarithm of the sum of the
powers of a query's scores: infinite where there are none, so that its weights come out as
zero."""
