"""Attention (Vaswani et al., "Attention is all you need", 2017)."""

from __future__ import annotations

import math
from typing import NamedTuple

from numbanet import ops
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.ir import DType, TensorType, Value
from numbanet.ir.types import Shape
from numbanet.nn.functional.dropout import dropout
from numbanet.nn.functional.linear import linear
from numbanet.ops.attention_weights import attention_weights, causal_mask
from numbanet.ops.elementwise import broadcast_shapes
from numbanet.tensors.dispatch import tensor_function


@tensor_function
def scaled_dot_product_attention(
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    """``softmax(query @ key.T * scale + mask) @ value``.

    Parameters
    ----------
    query : Tensor
        ``[.., L, E]``.
    key, value : Tensor
        ``[.., S, E]`` and ``[.., S, V]``.
    attn_mask : Tensor, optional
        Broadcasts to ``[.., L, S]``: bools, true for what takes part, or numbers to add.
    dropout_p : float
        Of the weights. It drops whether a module trains or not: pass 0 for inference.
    is_causal : bool
        Whether position ``i`` attends to positions up to ``i`` only; takes no other mask.
    scale : float, optional
        ``1 / sqrt(E)`` by default.

    Returns
    -------
    Tensor
        ``[.., L, V]``. Zeros where a mask leaves nothing to attend to.
    """
    if enable_gqa:
        raise NotImplementedError("enable_gqa= is not supported: repeat the keys and values")
    if is_causal and attn_mask is not None:
        raise ArgumentError("is_causal is a mask already", mend="Leave out attn_mask")
    if dropout_p:
        mask = causal_mask(query, key) if is_causal else attn_mask
        weights = attention_weights(query, key, mask, scale=scale)
        return ops.matmul(dropout(weights, dropout_p), value)
    return _in_one_pass(query, key, value, attn_mask, scale, is_causal)


def _in_one_pass(
    query: Value,
    key: Value,
    value: Value,
    mask: Value | None,
    scale: float | None,
    is_causal: bool,
) -> Value:
    """Attention without dropout: leading axes become a batch and heads."""
    lead = broadcast_shapes(
        "scaled_dot_product_attention",
        tuple(TensorType(each.shape[:-2], each.dtype) for each in (query, key, value)),
    )
    if mask is not None and mask.rank > 2 and len(lead) != 2:
        mask = _by_head(_led(mask, lead, mask.shape[-2:]))
    q, k, v = (
        ops.transpose(_by_head(_led(each, lead, each.shape[-2:])), (0, 2, 1, 3))
        for each in (query, key, value)
    )
    mixed = ops.attention(q, k, v, mask, scale=scale, is_causal=is_causal)
    mixed = ops.transpose(mixed, (0, 2, 1, 3))
    sizes = [-1 if size is None else size for size in lead]
    return ops.reshape(mixed, (*sizes, *mixed.shape[-2:])) if len(lead) != 2 else mixed


def _led(x: Value, lead: Shape, last: Shape) -> Value:
    """``x`` with these leading axes, repeated along those that it lacks."""
    if x.shape[:-2] == lead:
        return x
    return ops.expand(x, tuple(-1 if size is None else size for size in (*lead, *last)))


def _by_head(x: Value) -> Value:
    """``[N, H, L, E]`` of ``[.., L, E]``: without a second leading axis there is one head."""
    if x.rank == 4:
        return x
    heads = x.shape[-3] if x.rank > 4 else 1
    return ops.reshape(x, (-1, heads or 1, *(size or 0 for size in x.shape[-2:])))


class Masks(NamedTuple):
    """What may be attended to: both or one of them."""

    attention: Value | None
    padding: Value | None


@tensor_function
def multi_head_attention_forward(
    query: Value,
    key: Value,
    value: Value,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Value | None,
    in_proj_bias: Value | None,
    bias_k: Value | None,
    bias_v: Value | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Value,
    out_proj_bias: Value | None,
    training: bool = True,
    key_padding_mask: Value | None = None,
    need_weights: bool = True,
    attn_mask: Value | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Value | None = None,
    k_proj_weight: Value | None = None,
    v_proj_weight: Value | None = None,
    static_k: Value | None = None,
    static_v: Value | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Value, Value | None]:
    """Attention in several heads, each on a projection of its own.

    Parameters
    ----------
    query, key, value : Tensor
        ``[L, N, E]``, ``[S, N, E_k]`` and ``[S, N, E_v]``, or all without ``N``.
    embed_dim_to_check, num_heads : int
        ``E``, and how many heads divide it.
    in_proj_weight, in_proj_bias : Tensor
        ``[3 E, E]`` and ``[3 E]``: of the queries, keys and values.
    bias_k, bias_v : Tensor, optional
        ``[1, 1, E]``: a further key and value, learnt.
    add_zero_attn : bool
        Whether there is a further key and value of zeros.
    key_padding_mask : Tensor, optional
        ``[N, S]``: bools, true for what does not take part, or numbers to add to scores.
    attn_mask : Tensor, optional
        The same for each query: ``[L, S]`` or ``[N num_heads, L, S]``.
    average_attn_weights : bool
        Whether the weights are the mean over heads.
    is_causal : bool
        A hint that ``attn_mask`` is causal, which changes nothing.
    q_proj_weight, k_proj_weight, v_proj_weight : Tensor
        In place of ``in_proj_weight`` if ``use_separate_proj_weight``.

    Returns
    -------
    (Tensor, Tensor or None)
        ``[L, N, E]``, and if ``need_weights`` the weights ``[N, L, S]``, or
        ``[N, num_heads, L, S]``.
    """
    for name, given in (("static_k", static_k), ("static_v", static_v)):
        if given is not None:
            raise NotImplementedError(f"{name}= is not supported")
    if is_causal and attn_mask is None:
        raise ArgumentError("is_causal is a hint", mend="Pass the causal attn_mask, too")
    is_single = query.rank == 2
    if is_single:
        query, key, value = (ops.expand_dims(each, 1) for each in (query, key, value))
        if key_padding_mask is not None:
            key_padding_mask = ops.expand_dims(key_padding_mask, 0)
    if query.rank != 3 or query.shape[-1] != embed_dim_to_check:
        raise ShapeError(
            "multi-head attention takes queries of its size",
            got=str(query.type),
            expected=f"[L, N, {embed_dim_to_check}]",
        )
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else ()
    q, k, v = _projected((query, key, value), in_proj_weight, separate, in_proj_bias)
    masks = Masks(
        _additive("attn_mask", attn_mask, q), _additive("key_padding_mask", key_padding_mask, q)
    )
    if bias_k is not None and bias_v is not None:
        k, v, masks = _longer(k, bias_k), _longer(v, bias_v), _wider(masks)
    if add_zero_attn:
        zero = ops.full((1, 1, embed_dim_to_check), 0, q.dtype)
        k, v, masks = _longer(k, zero), _longer(v, zero), _wider(masks)
    heads = [_heads(each, num_heads) for each in (q, k, v)]
    mixed, weights = _mixed(
        heads, _joined(masks, num_heads), dropout_p if training else 0.0, need_weights
    )
    mixed = ops.reshape(ops.transpose(mixed, (1, 0, 2, 3)), query.shape)
    output = linear(mixed, out_proj_weight, out_proj_bias)
    if weights is not None and average_attn_weights:
        weights = ops.mean(weights, 1)
    if is_single:
        output = ops.squeeze(output, 1)
        weights = None if weights is None else ops.squeeze(weights, 0)
    return output, weights


def _mixed(
    heads: list[Value], mask: Value | None, dropout_p: float, need_weights: bool
) -> tuple[Value, Value | None]:
    """What ``[N, L, heads, E]`` attend to, and if they are wanted the weights of it.

    Nobody computes weights that are returned and not used.
    """
    empty = "nan" if need_weights else "zeros"
    weights = None
    if need_weights or dropout_p:
        q, k, v = (ops.transpose(each, (0, 2, 1, 3)) for each in heads)
        weights = dropout(attention_weights(q, k, mask, empty=empty), dropout_p)
        if dropout_p:
            mixed = ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3))
            return mixed, weights if need_weights else None
    return ops.attention(heads[0], heads[1], heads[2], mask, empty=empty), weights


def _projected(
    inputs: tuple[Value, Value, Value],
    together: Value | None,
    separate: tuple[Value | None, ...],
    bias: Value | None,
) -> tuple[Value, ...]:
    """Queries, keys and values; those of self-attention are one product."""
    if together is None:
        matrices = separate
    elif inputs[0] is inputs[1] is inputs[2]:
        return ops.split(linear(inputs[0], together, bias), 3, -1)
    else:
        matrices = ops.split(together, 3)
    if len(matrices) != 3 or None in matrices:
        raise ArgumentError("multi-head attention needs weights for queries, keys and values")
    biases = (None, None, None) if bias is None else ops.split(bias, 3)
    return tuple(
        linear(input, matrix, own)
        for input, matrix, own in zip(inputs, matrices, biases, strict=True)
    )


def _additive(name: str, mask: Value | None, like: Value) -> Value | None:
    """A mask as numbers to add to scores."""
    if mask is None:
        return None
    if mask.dtype is DType.BOOL:
        return ops.where(mask, ops.constant(-math.inf, like.dtype), 0.0)
    if not mask.dtype.is_floating:
        raise DTypeError(f"{name} is bool or floating-point", got=str(mask.type))
    return ops.cast(mask, like.dtype)


def _longer(sequence: Value, row: Value) -> Value:
    """``[S + 1, N, E]`` from ``[S, N, E]`` and ``[1, 1, E]``."""
    batch = sequence.shape[1]
    if batch is None:
        raise ShapeError("a learnt key needs a known batch size", got=str(sequence.type))
    return ops.concatenate([sequence, ops.expand(row, (1, batch, -1))], 0)


def _wider(masks: Masks) -> Masks:
    """Masks that let a further key take part."""
    return Masks(
        *(
            None if each is None else ops.pad(each, [(0, 0)] * (each.rank - 1) + [(0, 1)])
            for each in masks
        )
    )


def _heads(sequence: Value, count: int) -> Value:
    """``[N, S, count, E / count]`` from ``[S, N, E]``."""
    length, batch, width = sequence.shape
    parts = ops.reshape(sequence, (length, batch, count, (width or 0) // count))
    return ops.transpose(parts, (1, 0, 2, 3))


def _joined(masks: Masks, heads: int) -> Value | None:
    """Both masks as one that broadcasts to ``[N, heads, L, S]``."""
    attention, padding = masks
    if attention is not None and attention.rank == 3:
        attention = ops.reshape(attention, (-1, heads, *attention.shape[1:]))
    if padding is not None:
        padding = ops.expand_dims(padding, (1, 2))
    if attention is None or padding is None:
        return padding if attention is None else attention
    return attention + padding
