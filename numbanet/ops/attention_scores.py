"""What attention and its gradient have in common: attributes, checks, and scores.

Operands are ``[N, L, H, E]``, heads beside each other as projections leave them; scores are
``[N, H, L, S]``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numbanet.errors import DTypeError, ShapeError
from numbanet.ir.op import Attrs
from numbanet.ir.types import DType, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops.attention_weights import causal_mask
from numbanet.ops.checks import require_rank, require_shape
from numbanet.ops.comparison import where
from numbanet.ops.elementwise import FLOATING, broadcast_shapes, common_dtype
from numbanet.ops.fused import Access, gather
from numbanet.ops.matmul import matmul
from numbanet.ops.shapes import expand_dims, squeeze, transpose

HEADS_FIRST = (0, 2, 1, 3)


@dataclass(frozen=True)
class Read:
    """An operand of this shape, read out of another tensor's memory."""

    shape: tuple[int, ...]
    access: Access

    def __str__(self) -> str:
        return str(self.access)


@dataclass(frozen=True)
class AttentionAttrs(Attrs):
    """
    Attributes
    ----------
    scale : float
        Of the products of queries and keys.
    is_causal : bool
        Whether a query attends to keys up to its own place only.
    reads : tuple of Read
        Where queries, keys and values lie in a node's first inputs, if a pass found them to be
        parts of something larger; none where they are those inputs.
    """

    scale: float
    is_causal: bool = False
    reads: tuple[Read, ...] = ()

    def types(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Types of queries, keys and values."""
        if not self.reads:
            return inputs[:3]
        pairs = zip(self.reads, inputs, strict=False)
        return tuple(TensorType(read.shape, type_.dtype) for read, type_ in pairs)

    def arrays(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Queries, keys and values."""
        if not self.reads:
            return inputs[:3]
        pairs = zip(self.reads, inputs, strict=False)
        return tuple(gather(array, read.access, read.shape) for read, array in pairs)


def check_operands(
    name: str, q: TensorType, k: TensorType, v: TensorType, masks: Sequence[TensorType]
) -> None:
    """Raise ShapeError or DTypeError unless queries, keys, values and a mask meet."""
    common_dtype(name, (q, k, v), FLOATING)
    for what, each in (("queries", q), ("keys", k), ("values", v)):
        require_rank(name, what, each, "N, length, heads, width")
    batch, length, heads, width = q.shape
    keys = k.shape[1]
    require_shape(name, "keys", k, (batch, keys, heads, width))
    require_shape(name, "values", v, (batch, keys, heads, v.shape[-1]))
    for each in (k, v):
        if keys == 0 or each.shape[-1] == 0:
            raise ShapeError(f"{name}() needs keys, and heads of some width", got=str(each))
    for mask in masks:
        if mask.dtype not in (DType.BOOL, q.dtype):
            raise DTypeError(f"{name}() takes a mask of bool or {q.dtype}", got=str(mask))
        scores = TensorType((batch, heads, length, keys), q.dtype)
        if broadcast_shapes(name, (scores, mask)) != scores.shape:
            raise ShapeError(
                f"{name}() takes a mask that broadcasts to the scores",
                got=str(mask),
                expected=str(scores),
            )


def reference_scores(
    attrs: AttentionAttrs, q: np.ndarray, k: np.ndarray, masks: Sequence[np.ndarray]
) -> np.ndarray:
    """Scores; of keys that take no part they are minus infinity."""
    scores = q.transpose(HEADS_FIRST) @ k.transpose(0, 2, 3, 1) * q.dtype.type(attrs.scale)
    if attrs.is_causal:
        masks = (*masks, np.tri(*scores.shape[2:], dtype=bool))
    for mask in masks:
        is_open = mask.dtype == bool
        scores = np.where(mask, scores, -np.inf) if is_open else scores + mask
    return scores.astype(q.dtype)


def scores_of(attrs: AttentionAttrs, q: Value, k: Value, masks: Sequence[Value]) -> Value:
    """The same in ops, of queries and keys whose heads come first."""
    scores = matmul(q * attrs.scale, k, transpose_b=True)
    if attrs.is_causal:
        masks = (*masks, causal_mask(q, k))
    for mask in masks:
        is_open = mask.dtype is DType.BOOL
        scores = where(mask, scores, -math.inf) if is_open else scores + mask
    return scores


def heads_first(*values: Value) -> list[Value]:
    """``[N, H, L, E]`` of ``[N, L, H, E]``, and the reverse."""
    return [transpose(each, HEADS_FIRST) for each in values]


def beside_scores(*values: Value) -> list[Value]:
    """A number of each query, ``[N, L, H]``, as ``[N, H, L, 1]``."""
    return [expand_dims(transpose(each, (0, 2, 1)), -1) for each in values]


def of_queries(x: Value) -> Value:
    """The reverse of `beside_scores`."""
    return transpose(squeeze(x, -1), (0, 2, 1))


def product_flops(node: Node, products: int) -> int:
    """Of so many products between queries and keys; a causal mask leaves half of them."""
    attrs = node.attrs
    if not isinstance(attrs, AttentionAttrs):
        raise TypeError(f"{node!r} has no AttentionAttrs")
    q, k, v = attrs.types(*(value.type for value in node.inputs))
    batch, length, heads, width = q.sizes
    scores = batch * heads * length * k.sizes[1]
    # Half of the products are as wide as a key, half as a value.
    flops = products * scores * (width + v.sizes[-1])
    return flops // 2 if attrs.is_causal else flops
