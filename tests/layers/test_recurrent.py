"""Recurrent layers against Keras's: values, gradients, states, masks; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet import Input, Model, layers
from numbanet.errors import ArgumentError, NumbanetError, ShapeError
from numbanet.ir import Graph
from numbanet.optimizers import SGD
from numbanet.passes.inference import inference
from numbanet.testing import evaluate
from tests.layers.calls import compare_calls, keras, needs_jax

pytestmark = needs_jax

N, T, F, H = 2, 3, 3, 5
RNG = np.random.default_rng(0)
SEQUENCES = RNG.normal(size=(N, T, F))
MASK = np.array([[True, True, False], [False, True, True]])
ALL = {"return_sequences": True, "return_state": True}

CASES = [
    ("SimpleRNN", {}),
    ("SimpleRNN", {"activation": "relu", "use_bias": False, "go_backwards": True, **ALL}),
    ("LSTM", ALL),
    ("LSTM", {"go_backwards": True, "unroll": True}),
    ("LSTM", {"activation": "softsign", "recurrent_activation": "relu", "use_bias": False}),
    ("GRU", ALL),
    ("GRU", {"reset_after": False, "use_bias": False, "go_backwards": True}),
    ("GRU", {"use_bias": False, "activation": None, "recurrent_activation": "hard_sigmoid"}),
]
MASKED = [
    ("SimpleRNN", {"zero_output_for_mask": True, **ALL}),
    ("LSTM", ALL),
    ("GRU", {"reset_after": False, "go_backwards": True}),
]
STATES = {"SimpleRNN": 1, "LSTM": 2, "GRU": 1}


def states_of(name: str) -> list[np.ndarray]:
    return [RNG.normal(size=(N, H)) for _ in range(STATES[name])]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_sequences(name, options):
    compare_calls(
        lambda room: getattr(room, name)(H, **options), [SEQUENCES], lambda layer, x: layer(x)
    )


@pytest.mark.parametrize(("name", "options"), MASKED)
def test_first_states_and_masks(name, options):
    compare_calls(
        lambda room: getattr(room, name)(H, **options),
        [SEQUENCES, MASK, *states_of(name)],
        lambda layer, x, mask, *states: layer(x, initial_state=list(states), mask=mask),
    )


def test_one_step():
    compare_calls(lambda room: room.LSTM(H), [SEQUENCES[:, :1]], lambda layer, x: layer(x))


@pytest.mark.parametrize("name", STATES)
def test_cells(name):
    compare_calls(
        lambda room: getattr(room, f"{name}Cell")(H),
        [SEQUENCES[:, 0], *states_of(name)],
        lambda cell, x, *states: cell(x, list(states)),
    )


def test_a_cell_with_one_state_takes_it_alone():
    compare_calls(
        lambda room: room.GRUCell(H),
        [SEQUENCES[:, 0], *states_of("GRU")],
        lambda cell, x, state: cell(x, state),
    )


def test_stacked_cells():
    compare_calls(
        lambda room: room.RNN(
            [room.LSTMCell(2), room.GRUCell(H)], return_sequences=True, go_backwards=True
        ),
        [SEQUENCES, MASK],
        lambda layer, x, mask: layer(x, mask=mask),
    )


def test_stacked_cells_take_a_first_state_each():
    compare_calls(
        lambda room: room.RNN(
            room.StackedRNNCells([room.SimpleRNNCell(H), room.GRUCell(H)]), return_state=True
        ),
        [SEQUENCES, *states_of("SimpleRNN"), *states_of("GRU")],
        lambda layer, x, *states: layer(x, initial_state=[[state] for state in states]),
    )


class Minimal(layers.Module):
    """A cell of somebody else's, whose output is not its state."""

    state_size = H

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(H)

    def forward(self, x, states):
        (state,) = states
        after = self.dense(x) + state * 0.5
        return after * 2.0, [after]


def test_cells_of_other_kinds():
    layer = layers.RNN(Minimal(), return_state=True)
    x = Input((T, F), dtype="float64")
    mask = Input((T,), dtype="bool")
    output, state = layer(x, mask=mask)
    assert list(layer.variables()) == ["cell/dense/kernel", "cell/dense/bias"]
    kernel = layer.get_weights()[0]
    found = evaluate([output, state], {x: SEQUENCES, mask: MASK})
    expected = np.zeros((N, H))
    for t in range(T):
        expected = np.where(
            MASK[:, t : t + 1], SEQUENCES[:, t] @ kernel + expected * 0.5, expected
        )
    np.testing.assert_allclose(found[1], expected)
    np.testing.assert_allclose(found[0], expected * 2.0)


def test_weights_begin_as_in_keras():
    layer = layers.LSTM(H, bias_initializer="he_normal")
    layer(Input((T, F)))
    names = [name.rsplit("/", 1)[1] for name in layer.variables()]
    assert names == ["kernel", "recurrent_kernel", "bias"]
    kernel, recurrent, bias = layer.get_weights()
    assert [w.shape for w in (kernel, recurrent, bias)] == [(F, 4 * H), (H, 4 * H), (4 * H,)]
    assert np.abs(kernel).max() <= np.sqrt(6 / (F + 4 * H))
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(H), atol=1e-6)
    np.testing.assert_array_equal(bias[H : 2 * H], 1.0)
    assert (bias[:H] != 1.0).all()
    plain = layers.LSTM(H, unit_forget_bias=False)
    plain(Input((T, F)))
    assert not plain.get_weights()[2].any()


def test_dropout_keeps_one_pattern_at_all_steps_and_ends_at_inference():
    options = {"use_bias": False, "activation": None, "recurrent_initializer": "zeros"}
    layer = layers.SimpleRNN(
        H, dropout=0.5, seed=1, kernel_initializer="ones", return_sequences=True, **options
    )
    x = Input((T, F))
    y = layer(x)
    ones = np.ones((64, T, F), np.float32)
    states = {
        v: 0
        for n in Graph((x,), {"y": y}).nodes
        if n.op.name == "random_state"
        for v in n.outputs
    }
    noisy = evaluate(y, {x: ones, **states})
    assert set(np.unique(noisy)) == {0.0, 2.0, 4.0, 6.0}
    np.testing.assert_array_equal(noisy, np.broadcast_to(noisy[:, :1], noisy.shape))
    graph = inference(Graph((x,), {"y": y}))
    np.testing.assert_array_equal(evaluate(graph.outputs["y"], {graph.inputs[0]: ones}), 3.0)


def test_recurrent_dropout_is_of_the_state():
    layer = layers.GRU(H, recurrent_dropout=0.5, seed=1, reset_after=False)
    x = Input((T, F))
    graph = Graph((x,), {"y": layer(x)})
    drops = [node for node in graph.nodes if node.op.name == "dropout"]
    assert [node.output.shape for node in drops] == [(None, H)]


STATEFUL = [
    lambda **options: layers.LSTM(H, **options),
    lambda **options: layers.RNN([layers.GRUCell(2), layers.LSTMCell(H)], **options),
    lambda **options: layers.Bidirectional(
        layers.SimpleRNN(H, **options),
        backward_layer=layers.GRU(2, go_backwards=True, return_sequences=True),
    ),
]


@pytest.mark.parametrize("make", STATEFUL)
def test_a_stateful_layer_goes_on_where_the_last_batch_ended(make):
    whole = np.concatenate([SEQUENCES, SEQUENCES[:, ::-1] * 2], 1).astype(np.float32)
    x, long = Input((T, F), batch_size=N), Input((2 * T, F))
    layer, plain = make(stateful=True, return_sequences=True), make(return_sequences=True)
    model, other = Model(x, layer(x)), Model(long, plain(long))
    assert len(model.weights) == len(other.weights)
    model.set_weights(other.get_weights())
    expected = other.predict(whole)
    ahead = slice(0, H)
    first, second = model.predict(whole[:, :T]), model.predict(whole[:, T:])
    np.testing.assert_allclose(first[..., ahead], expected[:, :T, ahead], atol=1e-6)
    np.testing.assert_allclose(second[..., ahead], expected[:, T:, ahead], atol=1e-6)
    layer.reset_states()
    np.testing.assert_allclose(model.predict(whole[:, :T]), first, atol=1e-6)


def test_training_moves_states_on_and_takes_batches_of_their_size_only():
    x = Input((T, F), batch_size=N)
    layer = layers.GRU(H, stateful=True)
    model = Model(x, layer(x))
    model.compile(SGD(0.0), "mse")
    model.fit(SEQUENCES, np.zeros((N, H)), batch_size=N, epochs=2, shuffle=False, verbose=0)
    after = model.predict(SEQUENCES)
    layer.reset_states()
    for _ in range(3):
        by_hand = model.predict(SEQUENCES)
    np.testing.assert_allclose(after, by_hand, atol=1e-6)
    with pytest.raises(NumbanetError, match="3"):
        model.predict(np.zeros((3, T, F)))
    with pytest.raises(ShapeError, match="keeps states of 2 samples"):
        layer(Input((T, F), batch_size=3))


def test_an_encoder_hands_its_states_to_a_decoder():
    class Pair(layers.Layer):
        def __init__(self):
            super().__init__()
            self.encoder = layers.LSTM(H, return_state=True)
            self.decoder = layers.LSTM(H, return_sequences=True)

        def forward(self, source, target):
            _, *states = self.encoder(source)
            return self.decoder(target, initial_state=states)

    class KerasPair(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.encoder = keras.layers.LSTM(H, return_state=True)
            self.decoder = keras.layers.LSTM(H, return_sequences=True)

        def call(self, source, target):
            _, *states = self.encoder(source)
            return self.decoder(target, initial_state=states)

    compare_calls(
        lambda room: Pair() if room is layers else KerasPair(),
        [SEQUENCES, SEQUENCES * 0.5],
        lambda layer, source, target: layer(source, target),
    )


def test_what_is_refused():
    with pytest.raises(ShapeError, match="needs to know the batch size"):
        layers.LSTM(H, stateful=True)(Input((T, F)))
    with pytest.raises(TypeError, match="no argument 'unit'"):
        layers.GRU(unit=3, units=H)
    with pytest.raises(ArgumentError, match="positive number of units"):
        layers.LSTM(0)
    with pytest.raises(ArgumentError, match="rate in"):
        layers.LSTM(H, dropout=1.5)
    with pytest.raises(ArgumentError, match="state_size"):
        layers.RNN(layers.Dense(3))
    with pytest.raises(ShapeError, match="sequences of known length"):
        layers.LSTM(H)(Input((F,))[:, 0])
    layer = layers.LSTM(H)
    with pytest.raises(ShapeError, match="first state for each"):
        layer(Input((T, F)), initial_state=[Input((H,))])
    with pytest.raises(ShapeError, match="weights for 3 features"):
        layer(Input((T, F + 1)))
