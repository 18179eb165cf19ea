"""Multi-head attention."""

from __future__ import annotations

from typing import Any

from numbanet.errors import ArgumentError
from numbanet.nn import functional as F  # noqa: N812 - the name it is known by
from numbanet.nn import init
from numbanet.nn.factory import new_parameter
from numbanet.nn.linear import Linear
from numbanet.nn.module import Module
from numbanet.tensors.functions.shapes import transpose
from numbanet.tensors.tensor import Tensor


class NonDynamicallyQuantizableLinear(Linear):
    """`Linear`, under the name that PyTorch prints for it within attention."""


class MultiheadAttention(Module):
    """Attention in several heads (Vaswani et al., "Attention is all you need", 2017).

    Parameters
    ----------
    embed_dim, num_heads : int
        Features of the queries and the output, and how many heads divide them.
    dropout : float
        Of the attention's weights, in training.
    bias : bool
        Whether the projections have biases.
    add_bias_kv, add_zero_attn : bool
        Whether a learnt key and value, and ones of zeros, stand behind the given ones.
    kdim, vdim : int, optional
        Features of keys and values, by default ``embed_dim``.
    batch_first : bool
        Whether inputs and outputs are ``[N, L, E]``, not ``[L, N, E]``.
    device, dtype
        Of the parameters: the device in use, and float32 by default.

    Attributes
    ----------
    in_proj_weight : Parameter or None
        ``[3 E, E]``: of queries, keys and values. With ``kdim`` or ``vdim`` there are
        ``q_proj_weight``, ``k_proj_weight`` and ``v_proj_weight`` in its place. First drawn
        by Glorot and Bengio's rule.
    in_proj_bias : Parameter or None
        ``[3 E]``, first zero.
    out_proj : Linear
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise ArgumentError(
                "num_heads divides embed_dim, and both are positive",
                got=f"embed_dim={embed_dim}, num_heads={num_heads}",
            )
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim == self.vdim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        self.add_zero_attn = add_zero_attn
        self._make_parameters(bias, add_bias_kv, {"device": device, "dtype": dtype})
        self.reset_parameters()

    def _make_parameters(self, bias: bool, with_key: bool, made: dict[str, Any]) -> None:
        size, same = self.embed_dim, self._qkv_same_embed_dim
        shapes = {
            "q_proj_weight": None if same else (size, size),
            "k_proj_weight": None if same else (size, self.kdim),
            "v_proj_weight": None if same else (size, self.vdim),
            "in_proj_weight": (3 * size, size) if same else None,
            "in_proj_bias": (3 * size,) if bias else None,
            "bias_k": (1, 1, size) if with_key else None,
            "bias_v": (1, 1, size) if with_key else None,
        }
        for name, shape in shapes.items():
            parameter = None if shape is None else new_parameter(shape, **made)
            self.register_parameter(name, parameter)
        self.out_proj = NonDynamicallyQuantizableLinear(size, size, bias=bias, **made)

    def reset_parameters(self) -> None:
        """Draw the projections anew; the biases become zero."""
        for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_weight"):
            if getattr(self, name) is not None:
                init.xavier_uniform_(getattr(self, name))
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)
        if self.bias_k is not None:
            init.xavier_normal_(self.bias_k)
            init.xavier_normal_(self.bias_v)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The attended values, and the weights.

        Parameters
        ----------
        query, key, value : Tensor
            ``[L, N, E]``, ``[S, N, E_k]`` and ``[S, N, E_v]``, with ``N`` first if
            ``batch_first``, or all without ``N``.
        key_padding_mask, attn_mask : Tensor, optional
            Bools, true for what does not take part, or numbers to add to scores: ``[N, S]``,
            and ``[L, S]`` or ``[N num_heads, L, S]``.
        need_weights : bool
            Whether the weights are returned, not None.
        average_attn_weights : bool
            Whether they are the mean over heads.
        is_causal : bool
            A hint that ``attn_mask`` is causal, which changes nothing.
        """
        is_turned = self.batch_first and len(query.shape) == 3
        if is_turned:
            # Self-attention stays one product if all three stay one tensor.
            turned = {id(each): transpose(each, 0, 1) for each in (query, key, value)}
            query, key, value = (turned[id(each)] for each in (query, key, value))
        output, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            self.training,
            key_padding_mask,
            need_weights,
            attn_mask,
            not self._qkv_same_embed_dim,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
            None,
            None,
            average_attn_weights,
            is_causal,
        )
        return (transpose(output, 0, 1) if is_turned else output), weights
