"""Attention without projections, by products or by sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value, Variable
from numbanet.layers.dropout import Dropout
from numbanet.layers.layer import Layer
from numbanet.ops.attention_weights import causal_mask, masked_softmax
from numbanet.ops.leaf import variable_value


class Attention(Layer):
    """Weighs values by how their keys fit a query (Luong et al., 2015).

    Called on a list of query ``(batch, queries, size)``, value ``(batch, keys, width)`` and, if
    it is not the value, key ``(batch, keys, size)``.

    Parameters
    ----------
    use_scale : bool
        Multiply by a trained number.
    score_mode : {"dot", "concat"}
        Product of query and key, or the sum of the tangents of their sums, times a trained
        number.
    dropout : float
        Of the weights.
    seed : int, optional
        Of the dropout.
    **options
        As of `Layer`.

    Attributes
    ----------
    scale, concat_score_weight : Variable or None
        Scalars.
    """

    modes: ClassVar[tuple[str, ...]] = ("dot", "concat")
    scale: Variable | None = None
    concat_score_weight: Variable | None = None

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if score_mode not in self.modes:
            raise ArgumentError(
                "unknown score_mode", got=repr(score_mode), expected="'dot' or 'concat'"
            )
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout_layer = Dropout(dropout, seed=seed)
        self.describe("scale", "ones")
        self.describe("concat_score_weight", "ones")

    def build(self, inputs: Sequence[Value], *_: Any, **__: Any) -> None:
        query = self._operands(inputs)[0]
        if self.use_scale:
            self.scale = self.weight("scale", (), query.dtype)
        if self.score_mode == "concat":
            self.concat_score_weight = self.weight("concat_score_weight", (), query.dtype)

    def forward(
        self,
        inputs: Sequence[Value],
        mask: Sequence[Value | None] | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Record attention.

        Parameters
        ----------
        inputs : list of Value
            Query, value, and perhaps key.
        mask : list of Value or None, optional
            Bools ``(batch, queries)``: where false the output is zero; and bools
            ``(batch, keys)``: where false the value does not take part.
        return_attention_scores : bool
            Return the weights ``(batch, queries, keys)``, too.
        use_causal_mask : bool
            Whether queries attend to keys up to their own place only.
        """
        query, value, key = self._operands(inputs)
        query_mask, value_mask = (None, None) if mask is None else tuple(mask)[:2]
        masks = [] if value_mask is None else [ops.expand_dims(value_mask, -2)]
        masks += [causal_mask(query, key)] if use_causal_mask else []
        allowed = ops.logical_and(*masks) if len(masks) > 1 else next(iter(masks), None)
        weights = masked_softmax(self.scores(query, key), allowed, empty="uniform")
        if self.dropout_layer.rate or not self.multiplies:
            output = ops.matmul(self.dropout_layer(weights), value)
        else:
            output = self._in_one_pass(query, key, value, allowed)
        if query_mask is not None:
            output = ops.where(ops.expand_dims(query_mask, -1), output, 0.0)
        return (output, weights) if return_attention_scores else output

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Value | None:
        """The query's."""
        return None if previous_mask is None else previous_mask[0]

    def scores(self, query: Value, key: Value) -> Value:
        """How well each key fits each query, ``(batch, queries, keys)``."""
        scale = 1.0 if self.scale is None else variable_value(self.scale)
        if self.concat_score_weight is None:
            return ops.matmul(query, key, transpose_b=True) * scale
        sums = ops.sum(ops.tanh(_pairs(query, key) * scale), -1)
        return sums * variable_value(self.concat_score_weight)

    @property
    def multiplies(self) -> bool:
        """Whether scores are products of queries and keys."""
        return self.score_mode == "dot"

    def _in_one_pass(
        self, query: Value, key: Value, value: Value, allowed: Value | None
    ) -> Value:
        """Attention in one head, whose weights are nowhere stored."""
        if self.scale is not None:
            query = query * variable_value(self.scale)
        if allowed is not None and allowed.rank == 3:
            allowed = ops.expand_dims(allowed, 1)
        q, k, v = (ops.expand_dims(each, 2) for each in (query, key, value))
        return ops.squeeze(ops.attention(q, k, v, allowed, scale=1.0, empty="uniform"), 2)

    def _operands(self, inputs: Sequence[Value]) -> tuple[Value, Value, Value]:
        if not isinstance(inputs, list | tuple) or len(inputs) not in (2, 3):
            raise ArgumentError(
                f"{self.label} takes a list of query, value and perhaps key",
                got=repr(inputs),
            )
        query, value = inputs[:2]
        return query, value, inputs[2] if len(inputs) > 2 else value


def _pairs(query: Value, key: Value) -> Value:
    """The sum of each query and each key, ``(batch, queries, keys, size)``."""
    return ops.expand_dims(query, -2) + ops.expand_dims(key, -3)


class AdditiveAttention(Attention):
    """`Attention` by the sum of the tangents of query plus key (Bahdanau et al., 2015).

    Parameters
    ----------
    use_scale : bool
        Multiply each tangent by a trained number of its own.
    dropout : float
        Of the weights.
    **options
        As of `Layer`, and ``seed``.

    Attributes
    ----------
    scale : Variable or None
        Of shape (size,).
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **options)
        self.describe("scale", "glorot_uniform")

    @property
    def multiplies(self) -> bool:
        return False

    def build(self, inputs: Sequence[Value], *_: Any, **__: Any) -> None:
        query = self._operands(inputs)[0]
        size = query.shape[-1]
        if size is None:
            raise ShapeError(f"{self.label} needs to know its size", got=str(query.shape))
        if self.use_scale:
            self.scale = self.weight("scale", (size,), query.dtype)

    def scores(self, query: Value, key: Value) -> Value:
        scale = 1.0 if self.scale is None else variable_value(self.scale)
        return ops.sum(ops.tanh(_pairs(query, key)) * scale, -1)
