"""Attention: values, weights and gradients are PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import numbanet.nn as nn
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Graph
from numbanet.nn import functional as F  # noqa: N812
from numbanet.ops import input_value, transpose
from numbanet.ops.attention import ATTENTION
from numbanet.ops.matmul import MATMUL
from numbanet.tensors.tensor import Tensor
from tests.nn.graphs import compare_graphs
from tests.nn.parity import compare

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
L, S, N, E, HEADS = 3, 5, 2, 4, 2


def normal(*shape):
    return RNG.normal(size=shape)


def triple(*batch, width=E):
    return normal(*batch, L, E), normal(*batch, S, E), normal(*batch, S, width)


CLOSED = np.array([[True, False, True, True, False], [False] * 5, [True] * 5])
INFINITE = np.where(CLOSED, 0.0, -np.inf)

CASES = [
    ("F.scaled_dot_product_attention", (*triple(N),), {}),
    ("F.scaled_dot_product_attention", (*triple(N, HEADS, width=3),), {"scale": 0.3}),
    ("F.scaled_dot_product_attention", (*triple(),), {"is_causal": True}),
    ("F.scaled_dot_product_attention", (*triple(N), normal(L, S)), {}),
    ("F.scaled_dot_product_attention", (*triple(N), normal(N, 1, S)), {}),
    ("F.scaled_dot_product_attention", (*triple(N), CLOSED), {}),
    ("F.scaled_dot_product_attention", (*triple(N, HEADS), CLOSED), {"scale": 2.0}),
    ("F.scaled_dot_product_attention", (normal(1, 1), normal(1, 1), normal(1, 1)), {}),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "arrays", "options"), CASES)
def test_attention(name, arrays, options, dtype):
    def call(library):
        return lambda *operands: getattr(library, name[2:])(*operands, **options)

    compare_graphs(call(F), call(torch.nn.functional), arrays, dtype)


def test_nothing_to_attend_to():
    arrays = (*triple(N), INFINITE)
    ours, theirs = (
        F.scaled_dot_product_attention,
        torch.nn.functional.scaled_dot_product_attention,
    )
    compare_graphs(ours, theirs, arrays, "float64", fixed=(3,))


def causal(length):
    return np.triu(np.ones((length, length), bool), 1)


PADDED = np.array([[False, False, True, False, True], [False] * 5])
PADDED_SELF = np.array([[False, False, True], [False] * 3])
MODULES = [
    ("nn.MultiheadAttention", {}, {}),
    ("nn.MultiheadAttention", {"bias": False, "batch_first": True}, {}),
    ("nn.MultiheadAttention", {"kdim": 3, "vdim": 6}, {"key_padding_mask": PADDED}),
    ("nn.MultiheadAttention", {"add_bias_kv": True}, {"key_padding_mask": PADDED}),
    ("nn.MultiheadAttention", {"add_zero_attn": True}, {"attn_mask": normal(L, S)}),
    (
        "nn.MultiheadAttention",
        {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True},
        {"attn_mask": CLOSED[[0, 2, 0]], "key_padding_mask": np.zeros((N, S), bool)},
    ),
    ("nn.MultiheadAttention", {}, {"attn_mask": normal(N * HEADS, L, S)}),
    ("nn.MultiheadAttention", {}, {"average_attn_weights": False}),
    ("nn.MultiheadAttention", {}, {"need_weights": False}),
    ("nn.MultiheadAttention", {}, {"need_weights": False, "attn_mask": CLOSED}),
]


def as_functions(theirs, masks, plain):
    """The module as a function of query, key, value, masks and parameters, ours and theirs."""
    names = [name for name, _ in theirs.named_parameters()]

    def split(arguments):
        operands, rest = arguments[:3], arguments[3:]
        named_masks = dict(zip(masks, rest, strict=False))
        return operands, named_masks, dict(zip(names, rest[len(masks) :], strict=True))

    def run_theirs(*arguments):
        operands, given, named = split(arguments)
        return torch.func.functional_call(theirs, named, operands, {**given, **plain})

    def run_ours(*arguments):
        operands, given, named = split(arguments)
        if theirs.batch_first and operands[0].rank == 3:
            operands = [turned(each) for each in operands]
        output, weights = F.multi_head_attention_forward(
            *operands,
            theirs.embed_dim,
            theirs.num_heads,
            named.get("in_proj_weight"),
            named.get("in_proj_bias"),
            named.get("bias_k"),
            named.get("bias_v"),
            theirs.add_zero_attn,
            theirs.dropout,
            named["out_proj.weight"],
            named.get("out_proj.bias"),
            use_separate_proj_weight=not theirs._qkv_same_embed_dim,
            q_proj_weight=named.get("q_proj_weight"),
            k_proj_weight=named.get("k_proj_weight"),
            v_proj_weight=named.get("v_proj_weight"),
            **given,
            **plain,
        )
        if theirs.batch_first and output.rank == 3:
            output = turned(output)
        return output, weights

    return run_ours, run_theirs


def turned(value):
    return transpose(value, (1, 0, 2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("is_batch", [True, False])
@pytest.mark.parametrize(("name", "settings", "options"), MODULES)
def test_heads(name, settings, options, is_batch, dtype):
    masks = {key: value for key, value in options.items() if isinstance(value, np.ndarray)}
    plain = {key: value for key, value in options.items() if key not in masks}
    theirs = torch.nn.MultiheadAttention(E, HEADS, **settings, dtype=getattr(torch, dtype))
    operands = [normal(L, N, E), normal(S, N, theirs.kdim), normal(S, N, theirs.vdim)]
    if not is_batch:
        operands = [each[:, 0] for each in operands]
        if "key_padding_mask" in masks:
            masks["key_padding_mask"] = masks["key_padding_mask"][0]
        if masks.get("attn_mask", CLOSED).ndim == 3:
            masks["attn_mask"] = masks["attn_mask"][:HEADS]
    elif theirs.batch_first:
        operands = [each.swapaxes(0, 1) for each in operands]
    parameters = [parameter.detach().numpy() for parameter in theirs.parameters()]
    ours, peer = as_functions(theirs, list(masks), plain)
    compare_graphs(ours, peer, [*operands, *masks.values(), *parameters], dtype)


@pytest.mark.parametrize(("name", "settings", "options"), MODULES)
def test_modules_have_the_same_parameters(name, settings, options):
    ours, theirs = (
        library.MultiheadAttention(E, HEADS, **settings) for library in (nn, torch.nn)
    )
    assert repr(ours) == repr(theirs)
    shapes = {key: tuple(each.shape) for key, each in theirs.state_dict().items()}
    assert {key: tuple(each.shape) for key, each in ours.state_dict().items()} == shapes


def test_a_module_run_by_kernels():
    ours, theirs = (
        library.MultiheadAttention(E, HEADS, batch_first=True) for library in (nn, torch.nn)
    )

    mask = causal(L)
    compare(
        on_itself(nn, ours),
        on_itself(torch.nn, theirs),
        [normal(N, L, E), mask, PADDED_SELF],
    )


def on_itself(library, inner):
    """A module that lets ``inner`` attend from its input to its input."""

    class Module(library.Module):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def forward(self, x, mask, padding):
            return self.inner(x, x, x, attn_mask=mask, key_padding_mask=padding)

    return Module()


def test_self_attention_projects_at_once():
    x = input_value("x", (L, N, E))
    w, o = input_value("w", (3 * E, E)), input_value("o", (E, E))
    arguments = (E, HEADS, w, None, None, None, False, 0.0, o, None)
    output, _ = F.multi_head_attention_forward(x, x, x, *arguments)
    graph = Graph((x, w, o), {"output": output})
    counts = [sum(node.op is op for node in graph.nodes) for op in (MATMUL, ATTENTION)]
    assert counts == [2, 1]


def test_first_numbers():
    ours = nn.MultiheadAttention(32, 4, add_bias_kv=True)
    assert not ours.in_proj_bias.detach().numpy().any()
    assert not ours.out_proj.bias.detach().numpy().any()
    bound = np.sqrt(6 / (4 * 32))
    largest = np.abs(ours.in_proj_weight.detach().numpy()).max()
    assert 0.95 * bound < largest <= bound


X = Tensor.wrap(np.zeros((3, 2, 4), np.float32))
BAD = [
    (lambda: nn.MultiheadAttention(4, 3), ArgumentError, "divides"),
    (lambda: nn.MultiheadAttention(4, 2)(X, X, X, is_causal=True), ArgumentError, "attn_mask"),
    (lambda: nn.MultiheadAttention(6, 2)(X, X, X), ShapeError, "queries of its size"),
    (
        lambda: F.scaled_dot_product_attention(X, X, X, enable_gqa=True),
        NotImplementedError,
        "enable_gqa",
    ),
    (
        lambda: F.scaled_dot_product_attention(X, X, X, attn_mask=X, is_causal=True),
        ArgumentError,
        "is_causal",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
