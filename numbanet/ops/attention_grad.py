"""The gradient of attention, from the weights that it computes anew.

(Dao et al., "FlashAttention: fast and memory-efficient exact attention", 2022, algorithm 4.)
With ``p = exp(scores - lse)`` the weights of a head, ``g`` the gradient of its output and
``delta`` the sum of ``g * out`` along each row, the gradient of the scores is
``d = p * (g @ v.T - delta)``; then ``dq = scale * d @ k``, ``dk = scale * d.T @ q`` and
``dv = p.T @ g``.
"""

from __future__ import annotations

import numpy as np

from numbanet.ir.op import Arg, Case, Op, attrs_of, register
from numbanet.ir.types import DType, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops import reductions
from numbanet.ops.attention_scores import (
    HEADS_FIRST,
    AttentionAttrs,
    beside_scores,
    check_operands,
    heads_first,
    of_queries,
    product_flops,
    reference_scores,
    scores_of,
)
from numbanet.ops.checks import require_shape
from numbanet.ops.creation import zeros_like
from numbanet.ops.elementwise import FLOATING, common_dtype
from numbanet.ops.matmul import matmul
from numbanet.ops.transcendental import exp


def _infer(attrs: AttentionAttrs, *inputs: TensorType) -> tuple[TensorType, ...]:
    q, k, v = attrs.types(*inputs)
    lse, delta, g, *masks = inputs[3:]
    name = "attention_grad"
    check_operands(name, q, k, v, masks)
    common_dtype(name, (q, lse, delta, g), FLOATING)
    require_shape(name, "lse", lse, q.shape[:-1])
    require_shape(name, "delta", delta, q.shape[:-1])
    require_shape(name, "g", g, (*q.shape[:-1], v.shape[-1]))
    return q, k, v


def _reference(attrs: AttentionAttrs, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
    q, k, v = attrs.arrays(*inputs)
    lse, delta, g, *masks = inputs[3:]
    lse, delta = (each.transpose(0, 2, 1)[..., np.newaxis] for each in (lse, delta))
    p = np.exp(reference_scores(attrs, q, k, masks) - lse)
    q, k, v, g = (each.transpose(HEADS_FIRST) for each in (q, k, v, g))
    d = p * (g @ v.swapaxes(-1, -2) - delta) * q.dtype.type(attrs.scale)
    found = d @ k, d.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ g
    return tuple(np.ascontiguousarray(each.transpose(HEADS_FIRST)) for each in found)


class _Parts:
    """What the gradient is made of, heads first, in ops."""

    def __init__(self, node: Node) -> None:
        self.scale = attrs_of(node, AttentionAttrs).scale
        q, k, v, lse, delta, g, *masks = node.inputs
        self.q, self.k, self.v, self.g = heads_first(q, k, v, g)
        lse, self.delta = beside_scores(lse, delta)
        scores = scores_of(attrs_of(node, AttentionAttrs), self.q, self.k, masks)
        self.p = exp(scores - lse)
        self.centred = matmul(self.g, self.v, transpose_b=True) - self.delta
        self.d = self.p * self.centred


def _decompose(node: Node) -> tuple[Value, ...]:
    parts = _Parts(node)
    dq = matmul(parts.d, parts.k) * parts.scale
    # The queries are scaled rather than the keys' gradient: scores have them so already.
    dk = matmul(parts.d, parts.q * parts.scale, transpose_a=True)
    return tuple(heads_first(dq, dk, matmul(parts.p, parts.g, transpose_a=True)))


def gradient_of_scores(node: Node) -> Value:
    """``[N, H, L, S]``, of a node of `ATTENTION_GRAD`: what a mask of numbers has, too."""
    return _Parts(node).d


def _gradient(node: Node, *to: Value | None) -> tuple[Value | None, ...]:
    """Through both ways in which scores enter, ``d`` and the weights."""
    parts = _Parts(node)
    q, k, v, g, p, d = parts.q, parts.k, parts.v, parts.g, parts.p, parts.d
    a, b, c = (
        zeros_like(like) if each is None else heads_first(each)[0]
        for like, each in zip((q, k, v), to, strict=True)
    )
    to_d = (matmul(a, k, transpose_b=True) + matmul(q, b, transpose_b=True)) * parts.scale
    to_p = matmul(g, c, transpose_b=True) + to_d * parts.centred
    to_centred, to_scores = to_d * p, to_p * p
    to_q = (matmul(to_scores, k) + matmul(d, b)) * parts.scale
    to_k = (
        matmul(to_scores, q, transpose_a=True) + matmul(d, a, transpose_a=True)
    ) * parts.scale
    to_v = matmul(to_centred, g, transpose_a=True)
    to_g = matmul(to_centred, v) + matmul(p, c)
    to_lse, to_delta = (
        -of_queries(reductions.sum(each, -1, keepdims=True)) for each in (to_scores, to_centred)
    )
    to_q, to_k, to_v, to_g = heads_first(to_q, to_k, to_v, to_g)
    is_added = [each.dtype.is_floating for each in node.inputs[6:]]
    to_masks = [to_scores if each else None for each in is_added]
    return to_q, to_k, to_v, to_lse, to_delta, to_g, *to_masks


def _case(
    sizes: tuple[int, int, int, int, int, int],
    attrs: AttentionAttrs,
    *mask: Arg,
) -> Case:
    n, length, keys, heads, width, wide = sizes
    rows = (n, length, heads)
    return Case(
        (
            Arg((*rows, width)),
            Arg((n, keys, heads, width)),
            Arg((n, keys, heads, wide)),
            Arg(rows, low=1.0),
            Arg(rows),
            Arg((*rows, wide)),
            *mask,
        ),
        attrs,
    )


ATTENTION_GRAD = register(
    Op(
        "attention_grad",
        infer=_infer,
        reference=_reference,
        gradient=_gradient,
        decompose=_decompose,
        flops=lambda node: product_flops(node, 5),
        cases=(
            _case((2, 3, 5, 2, 4, 3), AttentionAttrs(0.5)),
            _case((1, 5, 5, 2, 3, 3), AttentionAttrs(0.7, is_causal=True)),
            _case((1, 1, 1, 1, 1, 1), AttentionAttrs(1.0)),
            _case((2, 3, 4, 2, 2, 2), AttentionAttrs(0.5), Arg((2, 1, 1, 4))),
            _case((1, 3, 4, 2, 2, 2), AttentionAttrs(0.5), Arg((3, 4), DType.BOOL)),
            _case((2, 0, 3, 1, 2, 2), AttentionAttrs(0.5)),
        ),
    )
)
"""``(q, k, v, lse, delta, g, mask?) -> (dq, dk, dv)``, of a gradient ``g`` of attention's
output; ``lse`` and ``delta`` are ``[N, L, H]``."""
