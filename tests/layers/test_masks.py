"""Masks beside Keras's: where they come from, how far they go, and what layers do with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet import Input, Model, layers, ops
from numbanet.layers.masks import end_of_mask, mask_of
from numbanet.testing import evaluate
from tests.keras_peer import import_keras
from tests.reference_device import ReferenceDevice

keras = import_keras()

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation"),
    pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64"),
    pytest.mark.filterwarnings("ignore:Layer .* does not support masking"),
    pytest.mark.filterwarnings("ignore:.*destroy the mask"),
]

N, T, F, H = 6, 4, 3, 3
RNG = np.random.default_rng(0)
IDS = RNG.integers(1, 5, (N, T)) * (np.arange(T) < RNG.integers(1, T + 1, (N, 1)))
OTHERS = RNG.integers(1, 5, (N, T)) * (np.arange(T) >= RNG.integers(0, T - 1, (N, 1)))
SERIES = RNG.normal(size=(N, T, F)).astype(np.float32) * (IDS > 0)[..., None]
LABELS = RNG.integers(3, size=(N, T))

Build = Callable[[Any, Any], Any]
"""A graph of a library's layers on two embedded sequences: ``build(layers, [a, b])``."""


def attended(room: Any, x: Any) -> Any:
    y = room.MultiHeadAttention(2, 2)(x[0], x[0], use_causal_mask=True)
    return room.LayerNormalization()(room.Add()([x[0], y]))


def encoded(room: Any, x: Any) -> Any:
    _, *state = room.LSTM(H, return_state=True)(x[0])
    return room.LSTM(H, return_sequences=True)(x[1], initial_state=state)


CASES: list[tuple[str, Build]] = [
    ("Dense", lambda room, x: room.Dense(3)(room.Dropout(0.0)(x[0]))),
    ("SimpleRNN", lambda room, x: room.SimpleRNN(H)(x[0])),
    ("SimpleRNN", lambda room, x: room.SimpleRNN(H, go_backwards=True)(x[0])),
    ("LSTM", lambda room, x: room.LSTM(H, return_sequences=True)(x[0])),
    (
        "LSTM",
        lambda room, x: room.LSTM(H, return_sequences=True, zero_output_for_mask=True)(x[0]),
    ),
    ("GRU", lambda room, x: room.GRU(H)(room.GRU(H, return_sequences=True)(x[1]))),
    ("GRU", lambda room, x: room.GRU(H, reset_after=False, unroll=True)(x[1])),
    ("RNN", lambda room, x: room.RNN([room.LSTMCell(2), room.GRUCell(H)])(x[0])),
    ("LSTM", encoded),
    ("Bidirectional", lambda room, x: room.Bidirectional(room.SimpleRNN(H))(x[0])),
    (
        "Bidirectional",
        lambda room, x: room.SimpleRNN(H)(
            room.Bidirectional(room.GRU(2, return_sequences=True), merge_mode="sum")(x[1])
        ),
    ),
    (
        "TimeDistributed",
        lambda room, x: room.SimpleRNN(H)(room.TimeDistributed(room.Dense(2))(x[0])),
    ),
    ("GlobalAveragePooling1D", lambda room, x: room.GlobalAveragePooling1D()(x[0])),
    (
        "GlobalAveragePooling1D",
        lambda room, x: room.GlobalAveragePooling1D(keepdims=True)(x[1]),
    ),
    ("MultiHeadAttention", attended),
    (
        "MultiHeadAttention",
        lambda room, x: room.MultiHeadAttention(1, 2)(query=x[0], value=x[1]),
    ),
    (
        "GroupQueryAttention",
        lambda room, x: room.GroupQueryAttention(2, 2, 1)(x[0], x[0]),
    ),
    ("Attention", lambda room, x: room.SimpleRNN(2)(room.Attention()([x[0], x[1]]))),
    ("AdditiveAttention", lambda room, x: room.AdditiveAttention()([x[1], x[0], x[1]])),
    *(
        (
            name,
            lambda room, x, name=name: room.SimpleRNN(H)(getattr(room, name)()([x[0], x[1]])),
        )
        for name in ("Add", "Average", "Subtract", "Multiply", "Maximum", "Minimum")
    ),
    ("Multiply", lambda room, x: room.Multiply()([x[0], room.Conv1D(F, 1)(x[1])])),
    ("Maximum", lambda room, x: room.Maximum()([room.Conv1D(F, 1)(x[0]), x[1], x[0]])),
    ("Concatenate", lambda room, x: room.SimpleRNN(H)(room.Concatenate()([x[0], x[1]]))),
    ("Concatenate", lambda room, x: room.SimpleRNN(H)(room.Concatenate(axis=1)([x[0], x[1]]))),
    (
        "Concatenate",
        lambda room, x: room.SimpleRNN(H)(room.Concatenate()([x[0], room.Conv1D(F, 1)(x[1])])),
    ),
    ("Dot", lambda room, x: room.Dot(axes=2)([x[0], x[1]])),
    ("Masking", lambda room, x: room.SimpleRNN(H)(room.Masking(-9.0)(x[0]))),
    ("UnitNormalization", lambda room, x: room.SimpleRNN(H)(room.UnitNormalization()(x[0]))),
    ("RMSNormalization", lambda room, x: room.SimpleRNN(H)(room.RMSNormalization()(x[0]))),
    (
        "EinsumDense",
        lambda room, x: room.SimpleRNN(H)(room.EinsumDense("abc,cd->abd", (None, 2))(x[0])),
    ),
    ("PReLU", lambda room, x: room.SimpleRNN(H)(room.PReLU(shared_axes=[1])(x[0]))),
    ("Activation", lambda room, x: room.SimpleRNN(H)(room.Activation("tanh")(x[0]))),
    ("Rescaling", lambda room, x: room.SimpleRNN(H)(room.Rescaling(2.0)(x[0]))),
]


def embedded(library: Any, build: Build) -> Any:
    inputs = [library.Input((T,), dtype="int32"), library.Input((T,), dtype="int32")]
    found = [library.layers.Embedding(5, F, mask_zero=True)(each) for each in inputs]
    return library.Model(inputs, build(library.layers, found))


@pytest.mark.parametrize(("name", "build"), CASES, ids=[case[0] for case in CASES])
def test_what_layers_do_with_masks(name: str, build: Build) -> None:
    del name
    ours, theirs = embedded(nb, build), embedded(keras, build)
    # Both tables are one: where a layer computes a mask, Keras counts that as a step of its
    # model when it puts the weights of branches in order.
    weights = [
        np.random.default_rng(w.size).normal(0, 0.7, w.shape) for w in theirs.get_weights()
    ]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    expected = np.asarray(theirs([IDS, OTHERS]))
    feeds = dict(zip(ours.inputs, [IDS.astype(np.int32), OTHERS.astype(np.int32)], strict=True))
    found = evaluate(ours.outputs[0], feeds)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_masking_hides_steps_and_gives_a_mask() -> None:
    x = Input((T, F))
    y = layers.Masking()(x)
    mask = mask_of(y)
    assert mask is not None
    noisy = np.where((IDS > 0)[..., None], SERIES, 0.0)
    noisy[:, :, 0] = np.where(IDS > 0, noisy[:, :, 0], 0.0)
    found = evaluate([y, mask], {x: noisy})
    np.testing.assert_array_equal(found[1], IDS > 0)
    np.testing.assert_array_equal(found[0], noisy)
    other = layers.Masking(mask_value=2.0)(x)
    full = np.full((N, T, F), 2.0, np.float32)
    full[0, 0, 1] = 1.0
    hidden = evaluate(other, {x: full})
    np.testing.assert_array_equal(hidden[0, 0], full[0, 0])
    assert not hidden[1:].any()


def test_a_mask_that_is_given_comes_before_the_inputs_own() -> None:
    ids, keep = Input((T,), dtype="int32"), Input((T,), dtype="bool")
    x = layers.Embedding(5, F, mask_zero=True)(ids)
    layer = layers.GRU(H)
    feeds = {ids: IDS.astype(np.int32), keep: OTHERS > 0}
    own, given, plain = evaluate(
        [layer(x), layer(x, mask=keep), layer(x, mask=mask_of(x))], feeds
    )
    np.testing.assert_array_equal(own, plain)
    assert np.abs(own - given).max() > 1e-3


def test_layers_of_ones_own() -> None:
    class Doubled(layers.Layer):
        """Twice as many steps, and so twice the mask."""

        def forward(self, x: Any) -> Any:
            return ops.concatenate([x, x], 1)

        def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
            return ops.concatenate([ops.cast(previous_mask, "int32")] * 2, 1) > 0

    class Counted(layers.Layer):
        """What it is told of its mask; Keras's name for its work."""

        def __init__(self) -> None:
            super().__init__()
            self.supports_masking = True
            self.seen: list[Any] = []

        def call(self, inputs: Any, mask: Any = None) -> Any:
            self.seen.append(mask)
            return inputs

    class Plain(layers.Layer):
        def forward(self, x: Any) -> Any:
            return x * 2.0

    ids = Input((T,), dtype="int32")
    x = layers.Embedding(5, F, mask_zero=True)(ids)
    twice = Doubled()(x)
    counted = Counted()
    same = counted(twice)
    assert counted.seen == [mask_of(twice)] == [mask_of(same)]
    feeds = {ids: IDS.astype(np.int32)}
    np.testing.assert_array_equal(
        evaluate([counted.seen[0]], feeds)[0], np.concatenate([IDS > 0, IDS > 0], 1)
    )
    ended = Plain()(same)
    assert mask_of(ended) is None
    assert end_of_mask(ended) == "Plain 'plain'"
    assert end_of_mask(same) is None


def test_a_layer_around_one_that_takes_the_mask_is_no_end_of_it() -> None:
    class Block(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.attention = layers.MultiHeadAttention(2, 3)
            self.norm = layers.LayerNormalization()

        def call(self, x: Any) -> Any:
            return self.norm(x + self.attention(x, x))

    class Forgetful(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layers.Conv1D(F, 1)

        def call(self, x: Any) -> Any:
            return self.inner(x)

    x = layers.Embedding(5, F, mask_zero=True)(Input((T,), dtype="int32"))
    assert end_of_mask(Block()(x)) is None
    assert end_of_mask(Forgetful()(x)) is not None


def test_masks_go_through_nested_and_sequential_models() -> None:
    x = Input((T, F))
    inner = Model(x, layers.Dense(F)(layers.Activation("linear")(x)))
    model = nb.Sequential(
        [Input((T,), dtype="int32"), layers.Embedding(5, F, mask_zero=True), inner]
    )
    model.add(layers.SimpleRNN(H))
    ids = model.inputs[0]
    found = evaluate(model.outputs[0], {ids: IDS.astype(np.int32)})
    sample = int(np.argmin(IDS.all(1)))
    table, kernel, bias, *rnn = model.get_weights()
    state = np.zeros(H)
    for row in table[IDS[sample][IDS[sample] > 0]] @ kernel + bias:
        state = np.tanh(row @ rnn[0] + state @ rnn[1] + rnn[2])
    np.testing.assert_allclose(found[sample], state, rtol=1e-5, atol=1e-6)


def test_softmax_takes_masks_that_broadcast() -> None:
    x, mask = Input((T, F)), Input((T, F), dtype="bool")
    keep = RNG.random((N, T, F)) > 0.4
    keep[0, 0] = False
    array = RNG.normal(size=(N, T, F)).astype(np.float32)
    expected = keras.layers.Softmax(axis=-1)(array, mask=keep)
    found = evaluate(layers.Softmax()(x, mask=mask), {x: array, mask: keep})
    np.testing.assert_allclose(found, np.asarray(expected), atol=1e-6)
    assert not found[0, 0].any()


def test_a_model_with_masks_is_saved_and_loaded(tmp_path: Any) -> None:
    model = embedded(nb, attended)
    model.save(tmp_path / "m.safetensors")
    again = nb.load(tmp_path / "m.safetensors")
    feeds = [IDS.astype(np.int32), OTHERS.astype(np.int32)]
    found, expected = (
        evaluate(each.outputs[0], dict(zip(each.inputs, feeds, strict=True)))
        for each in (again, model)
    )
    np.testing.assert_array_equal(found, expected)
    assert mask_of(again.outputs[0]) is not None


def tagger(library: Any, room: Any) -> Any:
    ids = library.Input((T,), dtype="int32")
    x = room.Embedding(5, F, mask_zero=True)(ids)
    x = room.Bidirectional(room.SimpleRNN(2, return_sequences=True))(x)
    model = library.Model(ids, room.Dense(3)(x))
    metric = library.metrics.SparseCategoricalAccuracy
    model.compile(
        library.optimizers.SGD(0.2, momentum=0.5),
        library.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[metric(name="plain")],
        weighted_metrics=[metric(name="weighted")],
    )
    return model


def regression(library: Any, room: Any) -> Any:
    ids = library.Input((T,), dtype="int32")
    x = room.Embedding(5, F, mask_zero=True)(ids)
    y = room.MultiHeadAttention(1, 2)(x, x)
    model = library.Model(ids, room.Dense(1)(room.LayerNormalization()(y)))
    model.compile(
        library.optimizers.SGD(0.02),
        library.losses.Huber(reduction="sum"),
        metrics=["mae", library.metrics.RootMeanSquaredError(name="rmse")],
    )
    return model


def summed_up(library: Any, room: Any) -> Any:
    ids = library.Input((T,), dtype="int32")
    x = room.Embedding(5, F, mask_zero=True)(ids)
    x = room.GRU(H, return_sequences=True)(x)
    model = library.Model(ids, room.Dense(1)(room.GlobalAveragePooling1D()(x)))
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def normalised(library: Any, room: Any) -> Any:
    ids = library.Input((T,), dtype="int32")
    x = room.Embedding(5, F, mask_zero=True)(ids)
    x = room.BatchNormalization(momentum=0.7)(x)
    model = library.Model(ids, room.Dense(1)(x))
    model.compile("sgd", "mse")
    return model


PER_STEP = RNG.uniform(0.2, 2, (N, T)).astype(np.float32)
NUMBERS = RNG.normal(size=(N, T, 1)).astype(np.float32)
TRAINED = [
    (tagger, LABELS, {}),
    (tagger, LABELS, {"sample_weight": PER_STEP}),
    (regression, NUMBERS, {}),
    (normalised, NUMBERS, {}),
    (summed_up, NUMBERS[:, 0], {"sample_weight": PER_STEP[:, 0]}),
]


@pytest.mark.parametrize(("make", "y", "weights"), TRAINED)
def test_twenty_steps(
    make: Any, y: np.ndarray, weights: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numbanet.models.training.get_device", lambda _: ReferenceDevice())
    ours, theirs = make(nb, layers), make(keras, keras.layers)
    ours.set_weights(theirs.get_weights())
    settings = {"batch_size": 4, "epochs": 10, "shuffle": False, "verbose": 0}
    found = ours.fit(IDS, y, **settings, **weights)
    expected = theirs.fit(IDS, y, **settings, **weights)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.history["loss"], expected.history["loss"], rtol=1e-4)
    # Keras on JAX forgets the mask before the metrics of a training step, and not here.
    found, expected = (each.evaluate(IDS, y, verbose=0, **weights) for each in (ours, theirs))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_residual_keeps_the_mask_of_what_attention_looked_at() -> None:
    """Keras's attention takes the masks off its inputs as it runs, not as it records."""
    assert mask_of(embedded(nb, attended).outputs[0]) is not None


def test_metrics_of_training_count_what_the_mask_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("numbanet.models.training.get_device", lambda _: ReferenceDevice())
    model = tagger(nb, layers)
    model.optimizer.learning_rate = 0.0
    scores = model.predict(IDS)
    logs = model.fit(IDS, LABELS, batch_size=4, sample_weight=PER_STEP, verbose=0).history
    right, keep = scores.argmax(-1) == LABELS, IDS > 0
    np.testing.assert_allclose(logs["plain"], right[keep].mean(), rtol=1e-6)
    np.testing.assert_allclose(
        logs["weighted"], (right * PER_STEP)[keep].sum() / PER_STEP[keep].sum(), rtol=1e-6
    )
