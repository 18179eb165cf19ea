"""Transformers: values and gradients of inputs and parameters are PyTorch's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import numbanet.nn as nn
from numbanet.errors import ArgumentError, ShapeError
from numbanet.tensors.tensor import Tensor
from tests.nn.graphs import compare_graphs
from tests.nn.parity import compare

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
L, S, N, E, HEADS, UNITS = 3, 4, 2, 4, 2, 5


def normal(*shape):
    return RNG.normal(size=shape)


def causal(length):
    return np.triu(np.ones((length, length), bool), 1)


PADDED = np.array([[False, False, True], [False] * 3])
COMMON = {"dropout": 0.0, "dim_feedforward": UNITS}

CASES = [
    ("nn.TransformerEncoderLayer", {}, {}),
    (
        "nn.TransformerEncoderLayer",
        {"norm_first": True, "activation": "gelu", "batch_first": True},
        {"src_mask": causal(L), "is_causal": True},
    ),
    (
        "nn.TransformerEncoderLayer",
        {"bias": False, "layer_norm_eps": 1e-2},
        {"src_key_padding_mask": PADDED},
    ),
    ("nn.TransformerDecoderLayer", {}, {"tgt_mask": causal(L), "tgt_is_causal": True}),
    ("nn.TransformerDecoderLayer", {"norm_first": True, "batch_first": True}, {}),
]


def pair(make):
    """What ``make`` makes of either library, printing the same and of the same parameters."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="enable_nested_tensor is True")
        ours, theirs = make(nn), make(torch.nn)
    assert repr(ours) == repr(theirs)
    shapes = {key: tuple(each.shape) for key, each in theirs.state_dict().items()}
    assert {key: tuple(each.shape) for key, each in ours.state_dict().items()} == shapes
    return ours, theirs


def inputs(name, is_turned):
    operands = [normal(L, N, E)] + ([normal(S, N, E)] if "Decoder" in name else [])
    return [each.swapaxes(0, 1) for each in operands] if is_turned else operands


@pytest.mark.parametrize(("name", "settings", "options"), CASES)
def test_layers(name, settings, options):
    ours, theirs = pair(lambda lib: getattr(lib, name[3:])(E, HEADS, **COMMON, **settings))
    operands = inputs(name, settings.get("batch_first", False))
    compare(ours, theirs, operands, "float32", kwargs=options)


@pytest.mark.parametrize("kind", ["Encoder", "Decoder"])
def test_layers_in_double_precision(kind):
    """Recorded on values, and computed by the ops' references."""

    def make(library):
        dtype = torch.float64 if library is torch.nn else "float64"
        return getattr(library, f"Transformer{kind}Layer")(E, HEADS, **COMMON, dtype=dtype)

    ours, theirs = pair(make)
    ours.load_state_dict({key: each.numpy() for key, each in theirs.state_dict().items()})
    compare_graphs(ours, theirs, inputs(kind, False), "float64")


def test_stacks_of_decoders():
    def make(library):
        layer = library.TransformerDecoderLayer(E, HEADS, **COMMON)
        return library.TransformerDecoder(layer, 2, library.LayerNorm(E))

    ours, theirs = pair(make)
    compare(ours, theirs, [normal(L, N, E), normal(S, N, E)], kwargs={"tgt_mask": causal(L)})


def test_stacks():
    def make(library):
        layer = library.TransformerEncoderLayer(E, HEADS, **COMMON)
        return library.TransformerEncoder(layer, 2, library.LayerNorm(E))

    ours, theirs = pair(make)
    compare(ours, theirs, [normal(L, N, E)], kwargs={"mask": causal(L)})
    first, second = (layer.linear1.weight for layer in ours.layers)
    assert first is not second


def test_the_whole():
    def make(library):
        return library.Transformer(E, HEADS, 1, 1, UNITS, 0.0, batch_first=True)

    ours, theirs = pair(make)
    mask = nn.Transformer.generate_square_subsequent_mask(L)
    expected = torch.nn.Transformer.generate_square_subsequent_mask(L)
    np.testing.assert_array_equal(mask.numpy(), expected.numpy())
    options = {"tgt_mask": expected.numpy(), "tgt_is_causal": True}
    compare(ours, theirs, [normal(N, S, E), normal(N, L, E)], kwargs=options)


def test_dropout_reaches_every_part():
    """With everything dropped that is added, an encoder's layer normalises only."""
    layer = nn.TransformerEncoderLayer(E, HEADS, UNITS, dropout=1.0, norm_first=True)
    x = Tensor.wrap(normal(L, N, E).astype(np.float32))
    np.testing.assert_array_equal(layer(x).detach().numpy(), x.numpy())
    assert not np.allclose(layer.eval()(x).detach().numpy(), x.numpy())


def test_activations():
    layer = nn.TransformerEncoderLayer(E, HEADS, UNITS, activation=nn.functional.silu)
    assert layer.activation is nn.functional.silu
    with pytest.raises(ArgumentError, match="activation"):
        nn.TransformerEncoderLayer(E, HEADS, activation="swish")
    whole = nn.Transformer(E, HEADS, 1, 1, UNITS)
    with pytest.raises(ShapeError, match="d_model"):
        whole(Tensor.wrap(np.zeros((L, 5))), Tensor.wrap(np.zeros((L, E))))
