"""Attention in several heads, each on projections of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.initializers import InitializerLike
from numbanet.ir import DType, Value
from numbanet.layers.attention_axes import Folding
from numbanet.layers.dense import EinsumDense
from numbanet.layers.dropout import Dropout
from numbanet.layers.layer import ConstraintLike, Layer, RegularizerLike
from numbanet.layers.module import is_size
from numbanet.layers.positions import WEIGHT_OPTIONS, positional
from numbanet.ops.attention_weights import attention_weights, causal_mask, window_mask


class _Heads(Layer):
    """What attention in several heads is made of: projections, masks, and the weights between.

    Subclasses say how many heads there are of queries, and of keys and values, and how wide.
    """

    query_heads: int
    key_heads: int
    query_width: int
    value_width: int
    output_sizes: tuple[int, ...] | None = None
    attention_axes: Sequence[int] | None = None
    takes_more_axes: ClassVar[bool] = False

    def __init__(
        self,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        use_gate: bool = False,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if sliding_window is not None and not is_size(sliding_window):
            raise ArgumentError("sliding_window is positive", got=repr(sliding_window))
        self.use_bias = use_bias
        self.use_gate = use_gate
        self.sliding_window = sliding_window
        self._projection_options = {
            "kernel_initializer": kernel_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "bias_constraint": bias_constraint,
        }
        self.dropout_layer = Dropout(dropout, seed=seed)

    def build(
        self, query: Value, value: Value, key: Value | None = None, *_: Any, **__: Any
    ) -> None:
        for each in [query, value] if key is None else [query, value, key]:
            is_folded = self.takes_more_axes and each.rank > 3
            odd = None in each.shape[1:] if is_folded else each.rank != 3
            if odd or each.shape[-1] is None:
                raise ShapeError(
                    f"{self.label} takes sequences",
                    got=str(each.shape),
                    expected="(batch, steps, features)",
                )
        Folding.of(query.rank, self.attention_axes, self.label)
        self.query_dense = self._split("query", self.query_heads, self.query_width)
        self.key_dense = self._split("key", self.key_heads, self.query_width)
        if self.use_gate:
            self.gate_dense = self._split(
                "gate", self.query_heads, self.value_width, activation="sigmoid"
            )
        self.value_dense = self._split("value", self.key_heads, self.value_width)
        sizes = self.output_sizes or (query.shape[-1],)
        letters = "mnop"[: len(sizes)]
        self.output_dense = self._projection(
            "attention_output", f"blhv,hv{letters}->bl{letters}", (None, *sizes), letters
        )

    def _split(self, name: str, heads: int, width: int, **options: Any) -> EinsumDense:
        """A projection to heads ``[N, L, H, E]``."""
        return self._projection(name, "blf,fhe->blhe", (None, heads, width), "he", **options)

    def _projection(
        self,
        name: str,
        equation: str,
        sizes: Sequence[int | None],
        bias_axes: str,
        **options: Any,
    ) -> EinsumDense:
        return EinsumDense(
            equation,
            sizes,
            bias_axes=bias_axes if self.use_bias else None,
            name=name,
            **self._projection_options,
            **options,
        )

    def forward(
        self,
        query: Value,
        value: Value,
        key: Value | None = None,
        query_mask: Value | None = None,
        value_mask: Value | None = None,
        key_mask: Value | None = None,
        attention_mask: Value | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Record attention.

        Parameters
        ----------
        query : Value
            ``(batch, queries, features)``, or with more axes between; see ``attention_axes``.
        value, key : Value
            ``(batch, keys, features)``; the keys are the values by default.
        query_mask, value_mask, key_mask : Value, optional
            Bools ``(batch, queries)`` or ``(batch, keys)``.
        attention_mask : Value, optional
            Bools that broadcast to ``(batch, queries, keys)``, or with an axis of heads before
            the last two. All masks must let an element take part. A query that attends to
            nothing takes the mean of all values.
        return_attention_scores : bool
            Return the weights ``(batch, heads, queries, keys)``, too.
        use_causal_mask : bool
            Whether queries attend to keys up to their own place only.
        """
        key = value if key is None else key
        if query.rank > 3:
            masks = {"query_mask": query_mask, "value_mask": value_mask, "key_mask": key_mask}
            given = [name for name, mask in masks.items() if mask is not None]
            given += ["use_causal_mask"] * use_causal_mask
            return self._folded(
                query, value, key, attention_mask, return_attention_scores, given
            )
        masks = [] if attention_mask is None else [_as_bools(attention_mask)]
        masks += [] if query_mask is None else [ops.expand_dims(_as_bools(query_mask), -1)]
        for mask in (value_mask, key_mask):
            masks += [] if mask is None else [ops.expand_dims(_as_bools(mask), -2)]
        if self.sliding_window is not None:
            masks.append(window_mask(query, key, self.sliding_window))
        gate = self.gate_dense(query) if self.use_gate else None
        heads = self.query_dense(query), self.key_dense(key), self.value_dense(value)
        q, k, v = (self._shared(each) for each in heads)
        mask = _all(masks)
        weights = None
        if return_attention_scores or self.dropout_layer.rate:
            weights = _weights(q, k, mask, use_causal_mask)
        if weights is None or not self.dropout_layer.rate:
            mixed = ops.attention(q, k, v, mask, is_causal=use_causal_mask, empty="uniform")
        else:
            mixed = ops.matmul(self.dropout_layer(weights), ops.transpose(v, (0, 2, 1, 3)))
            mixed = ops.transpose(mixed, (0, 2, 1, 3))
        output = self.output_dense(mixed if gate is None else mixed * gate)
        return (output, weights) if return_attention_scores else output

    def _folded(
        self,
        query: Value,
        value: Value,
        key: Value,
        attention_mask: Value | None,
        return_attention_scores: bool,
        other_masks: Sequence[str],
    ) -> Any:
        """Attention over some axes of several."""
        for name in other_masks:
            raise NotImplementedError(
                f"{type(self).__name__} does not support {name} of values with "
                f"{query.rank} axes: give an attention_mask"
            )
        folding = Folding.of(query.rank, self.attention_axes, self.label)
        if attention_mask is not None:
            attention_mask = folding.fold_mask(attention_mask, query, key)
        output, weights = self.forward(
            *(folding.fold(each) for each in (query, value, key)),
            attention_mask=attention_mask,
            return_attention_scores=True,
        )
        output = folding.unfold(output, query)
        if not return_attention_scores:
            return output
        return output, folding.unfold_weights(weights, query, key)

    def compute_mask(self, inputs: Value, previous_mask: Value | None = None) -> Value | None:
        return previous_mask

    def _shared(self, x: Value) -> Value:
        """``[N, L, H, E]``, repeated for query heads that share a head."""
        times = self.query_heads // (x.shape[2] or 1)
        return x if times == 1 else ops.repeat(x, times, 2)


def _as_bools(mask: Value) -> Value:
    return mask if mask.dtype is DType.BOOL else mask > 0


def _weights(q: Value, k: Value, mask: Value | None, is_causal: bool) -> Value:
    q, k = (ops.transpose(each, (0, 2, 1, 3)) for each in (q, k))
    causal = [causal_mask(q, k)] if is_causal else []
    given = [] if mask is None else [mask]
    return attention_weights(q, k, _all([*given, *causal]), empty="uniform")


def _all(masks: Sequence[Value]) -> Value | None:
    """Where all masks are true, with an axis for heads; None if there is no mask."""
    mask = None
    for each in masks:
        each = ops.expand_dims(each, 1) if each.rank == 3 else each
        mask = each if mask is None else ops.logical_and(mask, each)
    return mask


_as_in_keras = positional(
    "sliding_window", "flash_attention", *WEIGHT_OPTIONS, "use_gate", "seed"
)


@_as_in_keras
class MultiHeadAttention(_Heads):
    """Attention in several heads, each on projections of its own (Vaswani et al., 2017).

    Called on ``(query, value)`` or ``(query, value, key)``; see ``forward``.

    Parameters
    ----------
    num_heads : int
    key_dim : int
        Width of each head's queries and keys.
    value_dim : int, optional
        Width of each head's values; ``key_dim`` by default.
    dropout : float
        Of the weights.
    use_bias : bool
    output_shape : int or sequence of int, optional
        Sizes after the batch and the queries; by default the queries' features.
    attention_axes : int or sequence of int, optional
        Axes that are attended over; by default all between batch and features. Those that are
        left over are attended over one by one. With more than one axis between, of masks only
        an ``attention_mask`` ``(batch, queries..., keys...)`` can be given.
    sliding_window : int, optional
        Queries attend to keys fewer than so many places away only.
    flash_attention : bool, optional
        Taken for Keras's sake: it changes no value.
    use_gate : bool
        Multiply what the heads give by a sigmoid of the query's projection.
    **options
        Initializers, regularizers and constraints of the projections, ``seed``, and those of
        `Layer`.
    """

    takes_more_axes = True

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(dropout, use_bias, **options)
        is_one = isinstance(attention_axes, int)
        self.attention_axes = (attention_axes,) if is_one else attention_axes  # type: ignore[assignment]
        value_dim = key_dim if value_dim is None else value_dim
        if not all(map(is_size, (num_heads, key_dim, value_dim))):
            raise ArgumentError(
                "MultiHeadAttention takes positive sizes",
                got=f"num_heads={num_heads}, key_dim={key_dim}, value_dim={value_dim}",
            )
        self.num_heads = self.query_heads = self.key_heads = num_heads
        self.key_dim = self.query_width = key_dim
        self.value_dim = self.value_width = value_dim
        if output_shape is not None:
            sizes = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
            self.output_sizes = sizes


@_as_in_keras
class GroupQueryAttention(_Heads):
    """Attention whose heads share keys and values in groups (Ainslie et al., 2023).

    Called as `MultiHeadAttention` is.

    Parameters
    ----------
    head_dim : int
    num_query_heads, num_key_value_heads : int
        The first is a multiple of the second.
    dropout : float
        Of the weights.
    use_bias : bool
    **options
        As of `MultiHeadAttention`.
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(dropout, use_bias, **options)
        sizes = (head_dim, num_query_heads, num_key_value_heads)
        if not all(map(is_size, sizes)) or num_query_heads % num_key_value_heads:
            raise ArgumentError(
                "GroupQueryAttention takes a multiple of the key and value heads",
                got=f"{num_query_heads} and {num_key_value_heads} heads of {head_dim}",
            )
        self.head_dim = self.query_width = self.value_width = head_dim
        self.num_query_heads = self.query_heads = num_query_heads
        self.num_key_value_heads = self.key_heads = num_key_value_heads
