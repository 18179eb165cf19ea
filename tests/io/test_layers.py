"""Every layer in a file: rows of the layers' own table, and layers around layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numbanet import Input, Model, constraints, initializers, io, layers, regularizers
from numbanet.ir import Graph, Value
from numbanet.passes.inference import inference
from numbanet.testing import evaluate
from tests.layers.cases import LAYERS, Row, values


def computed(model: Model, feeds: list[np.ndarray]) -> list[np.ndarray]:
    inputs = [Input(each.shape[1:], dtype=each.dtype.name) for each in feeds]
    outputs = model.record_on(dict(zip(model.input_names, inputs, strict=True)))
    graph = inference(Graph(tuple(inputs), outputs))
    fed = dict(zip(inputs, feeds, strict=True))
    return [evaluate(value, fed) for value in graph.outputs.values()]


def check_round_trip(model: Model, feeds: list[np.ndarray], path: Path) -> None:
    model.save(path)
    again = io.load(path)
    for a, b in zip(computed(model, feeds), computed(again, feeds), strict=True):
        np.testing.assert_array_equal(a, b)
    assert list(again.variables()) == list(model.variables())
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("row", LAYERS, ids=lambda row: row.label)
def test_every_layer_comes_back(row: Row, tmp_path: Path) -> None:
    inputs = row.inputs()
    model = Model(values(inputs), row.make()(inputs))
    check_round_trip(model, row.arrays(2), tmp_path / "m")


def _attention() -> Any:
    return layers.MultiHeadAttention(2, 3)


def _cells() -> Any:
    return layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True)


NESTED: dict[str, Callable[[Value], Any]] = {
    "Bidirectional": lambda x: layers.Bidirectional(layers.LSTM(2), merge_mode="sum")(x),
    "TimeDistributed": lambda x: layers.TimeDistributed(layers.Dense(3))(x),
    "RNN": lambda x: _cells()(x),
    "states": lambda x: layers.GRU(3, return_state=True)(x),
    "MultiHeadAttention": lambda x: _attention()(x, x, use_causal_mask=True),
    "regularizer": lambda x: layers.Dense(2, kernel_regularizer="l2")(x),
    "constraint": lambda x: layers.Dense(2, kernel_constraint="max_norm")(x),
}


@pytest.mark.parametrize("kind", NESTED)
def test_layers_around_layers_come_back(kind: str, tmp_path: Path) -> None:
    x = Input((3, 4))
    model = Model(x, NESTED[kind](x))
    array = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    check_round_trip(model, [array], tmp_path / "m")


def test_options_given_as_objects_come_back(tmp_path: Path) -> None:
    x = Input((4,))
    layer = layers.Dense(
        2,
        kernel_initializer=initializers.HeNormal(seed=1),
        kernel_regularizer=regularizers.L1L2(0.1, 0.2),
        bias_regularizer=regularizers.L2(0.3),
        bias_constraint=constraints.NonNeg(),
    )
    Model(x, layer(x)).save(tmp_path / "m")
    again = io.load(tmp_path / "m").layers[0]
    assert again.get_config() == layer.get_config()
