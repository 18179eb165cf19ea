"""What one call of a layer tells: its input, its output, and the shape it would return."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet import Input, Model, Sequential, layers
from numbanet.errors import CallError, ShapeError
from numbanet.initializers import shared_generator
from numbanet.layers import Dense
from tests.keras_peer import import_keras
from tests.layers.cases import LAYERS, SEQUENCES, Row

keras = import_keras()

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")


@pytest.mark.parametrize("row", [*LAYERS, *SEQUENCES], ids=lambda row: row.label)
def test_output_shapes_are_those_of_calls(row: Row) -> None:
    several = isinstance(row.shape, list)
    shapes: Any = [(None, *s) for s in row.shape] if several else (None, *row.shape)
    before = shared_generator().bit_generator.state
    layer = row.make()
    found = layer.compute_output_shape(shapes)
    assert not layer.variables()
    assert shared_generator().bit_generator.state == before
    assert found == layer(row.inputs()).shape
    assert layer.compute_output_shape(input_shape=shapes) == found


def test_output_shapes_of_several_arguments_and_results() -> None:
    attention = layers.MultiHeadAttention(2, 3)
    found = attention.compute_output_shape((None, 5, 4), value_shape=(None, 7, 4))
    assert found == (None, 5, 4)
    lstm = layers.LSTM(3, return_state=True)
    assert lstm.compute_output_shape((2, 5, 4)) == ((2, 3), (2, 3), (2, 3))
    model = Sequential([layers.Embedding(9, 4), layers.Flatten(), Dense(2)])
    assert model.compute_output_shape((None, 3)) == (None, 2)
    assert not model.variables()


def test_output_shapes_of_what_does_not_fit_are_refused() -> None:
    layer = Dense(3, name="fc")
    layer(Input((4,)))
    with pytest.raises(ShapeError, match="fc"):
        layer.compute_output_shape((None, 5))
    assert layer.kernel.shape == (4, 3)


def test_a_layer_knows_the_ends_of_its_one_call() -> None:
    a, b = Input((4,)), Input((4,))
    add, dense = layers.Add(), Dense(2)
    with pytest.raises(CallError, match="0 calls"):
        dense.output  # noqa: B018
    total = add([a, b])
    y = dense(total)
    assert (dense.input, dense.output) == (total, y)
    assert add.input == [a, b]
    model = Model([a, b], layers.Activation("relu")(y))
    model.predict([np.zeros((3, 4), np.float32)] * 2)
    assert dense.output is y, "recording a model again calls none of its layers anew"
    dense(Input((4,)))
    with pytest.raises(CallError, match="2 calls"):
        dense.output  # noqa: B018


def test_a_layer_of_a_sequential_has_an_input_and_an_output() -> None:
    def make(library: Any) -> Any:
        stack = [library.layers.Dense(n) for n in (5, 3, 2)]
        model = library.Sequential([library.Input((4,)), *stack])
        return model, library.Model(model.inputs, model.layers[-2].output)

    (ours, part), (theirs, peer) = make(nb), make(keras)
    ours.set_weights(theirs.get_weights())
    x = np.ones((2, 4), np.float32)
    np.testing.assert_allclose(part.predict(x), peer.predict(x, verbose=0), rtol=1e-5)
    assert ours.layers[0].input is ours.input
    ours.add(Dense(7))
    assert Model(ours.input, ours.layers[-2].output).output_shape == (None, 2)
    assert len(nb.Sequential(ours.layers[:2])) == len(ours[:2])
    assert ours.layers[0].input is ours.input, "the first model that holds it tells"


def test_layers_of_a_model_that_data_settled_have_outputs() -> None:
    model = Sequential([Dense(3), Dense(2)])
    model.predict(np.zeros((1, 4), np.float32))
    assert Model(model.inputs, model[0].output).output_shape == (None, 3)


def test_models_hand_back_their_ends_as_they_were_made() -> None:
    a, b = Input((4,)), Input((4,))
    model = Model({"a": a, "b": b}, [Dense(2)(a), Dense(3)(b)])
    assert model.input == {"a": a, "b": b}
    assert [value.shape for value in model.output] == [(None, 2), (None, 3)]
    model([Input((4,)), Input((4,))])
    assert model.input == {"a": a, "b": b}, "also once it was called"
