"""Wrappers against Keras's: values, gradients, states, masks; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet import Input, Sequential, layers
from numbanet.errors import ArgumentError, ShapeError
from tests.layers.calls import compare_calls, needs_jax

pytestmark = needs_jax

N, T, F, H = 2, 3, 4, 5
RNG = np.random.default_rng(0)
SEQUENCES = RNG.normal(size=(N, T, F))
MASK = np.array([[True, True, False], [False, True, True]])
SEQUENCE, STATE = {"return_sequences": True}, {"return_state": True}

CASES = [
    ("GRU", {}, "concat"),
    ("LSTM", SEQUENCE, "sum"),
    ("SimpleRNN", SEQUENCE, "ave"),
    ("SimpleRNN", STATE, "mul"),
    ("SimpleRNN", {**SEQUENCE, **STATE}, None),
]


@pytest.mark.parametrize(("name", "options", "merge_mode"), CASES)
def test_bidirectional(name, options, merge_mode):
    compare_calls(
        lambda room: room.Bidirectional(
            getattr(room, name)(H, **options), merge_mode=merge_mode
        ),
        [SEQUENCES],
        lambda layer, x: layer(x),
    )


@pytest.mark.parametrize("options", [{}, SEQUENCE])
def test_bidirectional_with_states_and_masks(options):
    compare_calls(
        lambda room: room.Bidirectional(room.SimpleRNN(H, **options)),
        [SEQUENCES, MASK, RNG.normal(size=(N, H)), RNG.normal(size=(N, H))],
        lambda layer, x, mask, *states: layer(x, initial_state=list(states), mask=mask),
    )


def test_a_backward_layer_of_its_own():
    compare_calls(
        lambda room: room.Bidirectional(
            room.SimpleRNN(H), backward_layer=room.GRU(2, go_backwards=True)
        ),
        [SEQUENCES],
        lambda layer, x: layer(x),
    )


def test_directions_have_their_own_cells():
    layer = layers.Bidirectional(layers.RNN([layers.GRUCell(2), layers.LSTMCell(H)]))
    assert layer(Input((T, F))).shape == (None, 2 * H)
    assert len(layer.weights) == 12
    names = (layer.forward_layer.name, layer.backward_layer.name)
    assert names == ("forward_rnn", "backward_rnn")


DISTRIBUTED = [
    (lambda room: room.Dense(3, activation="tanh"), (N, T, F)),
    (lambda room: room.Conv2D(2, 2), (N, T, 3, 3, 1)),
    (lambda room: room.SimpleRNN(H, return_sequences=True), (N, T, 2, F)),
]


@pytest.mark.parametrize(("inner", "shape"), DISTRIBUTED)
def test_time_distributed(inner, shape):
    compare_calls(
        lambda room: room.TimeDistributed(inner(room)),
        [RNG.normal(size=shape)],
        lambda layer, x: layer(x),
    )


def test_time_distributed_passes_masks_on():
    mask = np.stack([MASK, ~MASK], 1)
    compare_calls(
        lambda room: room.TimeDistributed(room.SimpleRNN(H)),
        [RNG.normal(size=(N, 2, T, F)), mask],
        lambda layer, x, mask: layer(x, mask=mask),
    )


def test_what_is_refused():
    rnn = layers.SimpleRNN(H)
    with pytest.raises(ArgumentError, match="cannot take these weights"):
        layers.Bidirectional(rnn, weights=[np.ones(3)])(layers.Input((4, 3)))
    with pytest.raises(ArgumentError, match="merge_mode"):
        layers.Bidirectional(rnn, merge_mode="max")
    with pytest.raises(ArgumentError, match="recurrent layers"):
        layers.Bidirectional(layers.Dense(3))
    with pytest.raises(ArgumentError, match="one direction"):
        layers.Bidirectional(rnn, backward_layer=layers.SimpleRNN(H))
    other = layers.SimpleRNN(H, go_backwards=True, return_state=True)
    with pytest.raises(ArgumentError, match="differ in return_state"):
        layers.Bidirectional(rnn, backward_layer=other)
    with pytest.raises(ArgumentError, match="takes a layer"):
        layers.TimeDistributed(np.tanh)
    with pytest.raises(ShapeError, match="known number of steps"):
        layers.TimeDistributed(layers.Dense(3))(Input((F,)))


def test_a_model_of_them_learns():
    model = Sequential(
        [
            Input((T, F)),
            layers.TimeDistributed(layers.Dense(H)),
            layers.Bidirectional(layers.SimpleRNN(H)),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    x = RNG.normal(size=(32, T, F)).astype(np.float32)
    history = model.fit(x, x[:, 0, :1], epochs=12, batch_size=8, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert model.predict(x).shape == (32, 1)


def test_bidirectional_starts_from_the_weights_it_is_given() -> None:
    arrays = [
        np.full(shape, i, np.float32) for i, shape in enumerate([(3, 2), (2, 2), (2,)] * 2)
    ]
    layer = layers.Bidirectional(layers.SimpleRNN(2), weights=arrays)
    assert layer.compute_output_shape((None, 4, 3)) == (None, 4)
    layer(layers.Input((4, 3)))
    for found, given in zip(layer.get_weights(), arrays, strict=True):
        np.testing.assert_array_equal(found, given)
    layer.set_weights([each + 1 for each in arrays])
    layer(layers.Input((4, 3)))
    np.testing.assert_array_equal(layer.get_weights()[0], arrays[0] + 1)
