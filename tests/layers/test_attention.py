"""Attention layers against Keras's: values, gradients, scores, masks; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet import Input, layers
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Graph
from numbanet.passes.inference import inference
from numbanet.testing import evaluate
from tests.layers.calls import compare_calls, needs_jax

pytestmark = needs_jax

N, L, S, E = 2, 3, 4, 5
RNG = np.random.default_rng(0)
QUERY, VALUE, KEY = (RNG.normal(size=shape) for shape in ((N, L, E), (N, S, 6), (N, S, 2)))
SAME = RNG.normal(size=(N, S, E))
BETWEEN = np.array(
    [[[1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]], [[1] * 4, [0, 0, 1, 1], [1] * 4]]
)
QUERY_MASK = np.array([[True, True, False], [False, True, True]])
VALUE_MASK = np.array([[True, False, True, False], [False, True, True, True]])

HEADS = [
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}, {}),
    (
        "MultiHeadAttention",
        {"num_heads": 1, "key_dim": 3, "value_dim": 4, "use_bias": False, "output_shape": 7},
        {"return_attention_scores": True, "use_causal_mask": True},
    ),
    (
        "MultiHeadAttention",
        {"num_heads": 2, "key_dim": 1, "output_shape": (2, 3), "use_gate": True},
        {"return_attention_scores": True},
    ),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "sliding_window": 2}, {}),
    (
        "GroupQueryAttention",
        {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2},
        {"return_attention_scores": True},
    ),
    (
        "GroupQueryAttention",
        {"head_dim": 2, "num_query_heads": 2, "num_key_value_heads": 1, "use_gate": True},
        {"use_causal_mask": True},
    ),
]


@pytest.mark.parametrize(("name", "options", "call"), HEADS)
def test_heads(name, options, call):
    # Keras wants values as wide as queries where heads are grouped.
    others = [VALUE, KEY] if name == "MultiHeadAttention" else [SAME, 2.0 - SAME]
    compare_calls(
        lambda room: getattr(room, name)(**options),
        [QUERY, *others],
        lambda layer, query, value, key: layer(query, value, key, **call),
    )


@pytest.mark.parametrize("shape", ["each", "with heads"])
def test_heads_with_masks(shape):
    mask = BETWEEN.astype(bool)
    mask = np.stack([mask, ~mask], 1) if shape == "with heads" else mask
    compare_calls(
        lambda room: room.MultiHeadAttention(2, 3),
        [SAME[:, :L], SAME, mask],
        lambda layer, query, value, mask: layer(query, value, attention_mask=mask),
    )


def test_masks_of_queries_values_and_keys_are_joined():
    layer = layers.MultiHeadAttention(2, 3)
    masks = {"query_mask": QUERY_MASK, "value_mask": VALUE_MASK, "key_mask": ~VALUE_MASK}
    masks["key_mask"] = VALUE_MASK | (np.arange(S) > 2)
    joined = QUERY_MASK[:, :, None] & (VALUE_MASK & masks["key_mask"])[:, None]
    query, value = Input((L, E)), Input((S, E))
    given = {name: Input(m.shape[1:], dtype="bool") for name, m in masks.items()}
    between = Input((L, S), dtype="int64")
    ours = [layer(query, value, **given), layer(query, value, attention_mask=between)]
    feeds = {query: QUERY.astype(np.float32), value: SAME.astype(np.float32)}
    feeds |= {given[name]: mask for name, mask in masks.items()} | {between: joined}
    found = evaluate(ours, feeds)
    np.testing.assert_array_equal(found[0], found[1])
    free = evaluate(layer(query, value), feeds)
    assert not np.allclose(found[0], free, atol=1e-3)


SCORES = [
    ("Attention", {}),
    ("Attention", {"use_scale": True}),
    ("Attention", {"use_scale": True, "score_mode": "concat"}),
    ("Attention", {"score_mode": "concat"}),
    ("AdditiveAttention", {}),
    ("AdditiveAttention", {"use_scale": False}),
]


@pytest.mark.parametrize(("name", "options"), SCORES)
def test_scores(name, options):
    compare_calls(
        lambda room: getattr(room, name)(**options),
        [QUERY, VALUE, SAME],
        lambda layer, *inputs: layer(list(inputs), return_attention_scores=True),
    )


@pytest.mark.parametrize("is_causal", [False, True])
def test_scores_with_masks(is_causal):
    # The first value is open, so that a causal mask leaves something to each query.
    mask = VALUE_MASK | (np.arange(S) == 0)
    compare_calls(
        lambda room: room.Attention(),
        [QUERY, SAME, QUERY_MASK, mask],
        lambda layer, query, value, *masks: layer(
            [query, value], mask=list(masks), use_causal_mask=is_causal
        ),
    )


@pytest.mark.parametrize("name", ["MultiHeadAttention", "Attention"])
def test_dropout_is_of_the_weights_and_ends_at_inference(name):
    x = Input((S, E))
    if name == "Attention":
        y = layers.Attention(dropout=0.5)([x, x])
        plain = layers.Attention()([x, x])
    else:
        layer = layers.MultiHeadAttention(2, 3, dropout=0.5)
        y = layer(x, x)
        bare = layers.MultiHeadAttention(2, 3)
        plain = bare(x, x)
        bare.set_weights(layer.get_weights())
    graph = Graph((x,), {"y": y})
    assert [n.op.name for n in graph.nodes].count("dropout") == 1
    calm = inference(graph)
    array = SAME.astype(np.float32)
    np.testing.assert_allclose(
        evaluate(calm.outputs["y"], {calm.inputs[0]: array}),
        evaluate(plain, {x: array}),
        rtol=1e-4,
        atol=1e-6,
    )


def test_weights_are_named_and_begin_as_in_keras():
    layer = layers.MultiHeadAttention(2, 3)
    layer(Input((L, E)), Input((S, E)))
    names = [variable.name.split("/", 1)[1] for variable in layer.weights]
    places = ("query", "key", "value", "attention_output")
    assert names == [f"{place}/{part}" for place in places for part in ("kernel", "bias")]
    assert not any(bias.any() for bias in layer.get_weights()[1::2])


@pytest.mark.parametrize(("name", "options", "call"), HEADS)
def test_heads_are_made_again_from_their_configuration(name, options, call):
    layer = getattr(layers, name)(**options)
    again = type(layer).from_config(layer.get_config())
    inputs = [Input((L, E)), Input((L, E))]
    layer(*inputs)
    again(*inputs)
    shapes = [[w.shape for w in each.get_weights()] for each in (layer, again)]
    assert shapes[0] == shapes[1]


def test_what_is_refused():
    with pytest.raises(ArgumentError, match="positive sizes"):
        layers.MultiHeadAttention(0, 3)
    with pytest.raises(ArgumentError, match="sliding_window"):
        layers.MultiHeadAttention(1, 3, sliding_window=0)
    with pytest.raises(ArgumentError, match="multiple of the key"):
        layers.GroupQueryAttention(2, 3, 2)
    with pytest.raises(ArgumentError, match="score_mode"):
        layers.Attention(score_mode="cosine")
    with pytest.raises(ShapeError, match="takes sequences"):
        layers.MultiHeadAttention(2, 3)(Input((E,)), Input((E,)))
    with pytest.raises(ArgumentError, match="a list of query"):
        layers.Attention()(Input((L, E)))


FIELD, OTHER = RNG.normal(size=(N, 3, 2, E)), RNG.normal(size=(N, 3, 4, E))


@pytest.mark.parametrize(
    ("axes", "value", "options"),
    [
        (None, FIELD, {}),
        ((1, 2), FIELD, {"output_shape": (2, 3)}),
        ((2,), OTHER, {}),
        (2, OTHER, {"output_shape": 4}),
        ((-3,), FIELD, {"use_gate": True}),
    ],
)
def test_attention_over_some_axes(axes, value, options):
    scores = {"return_attention_scores": True}
    compare_calls(
        lambda room: room.MultiHeadAttention(2, 3, attention_axes=axes, **options),
        [FIELD, value],
        lambda layer, query, value: layer(query, value, **scores),
    )


@pytest.mark.parametrize(("axes", "shape"), [((2,), (N, 2, 4)), ((1, 2), (N, 3, 2, 3, 4))])
def test_attention_over_some_axes_with_a_mask(axes, shape):
    mask = RNG.random(shape) > 0.4
    mask[..., 0] = True
    compare_calls(
        lambda room: room.MultiHeadAttention(2, 3, attention_axes=axes),
        [FIELD, OTHER, mask],
        lambda layer, query, value, mask: layer(query, value, attention_mask=mask),
    )


def test_axes_that_cannot_be_attended_over():
    for axes in ((0,), (3,), (1, 1), ()):
        with pytest.raises(ArgumentError, match="attends over axes between"):
            layers.MultiHeadAttention(2, 3, attention_axes=axes)(*[Input((3, 2, E))] * 2)
    layer = layers.MultiHeadAttention(2, 3)
    with pytest.raises(NotImplementedError, match="use_causal_mask"):
        layer(*[Input((3, 2, E))] * 2, use_causal_mask=True)
