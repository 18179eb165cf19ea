"""What every layer keeps to, row by row of the table of layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numbanet import Model, layers
from numbanet.configuration import from_config, to_config
from numbanet.ir import Graph, Value, Variable
from numbanet.layers import Layer, Module
from numbanet.passes.inference import inference
from numbanet.state.linking import link
from numbanet.testing import evaluate, run
from tests.layers.cases import LAYERS, SEQUENCES, Row, values

BATCH = 3
NOT_LAYERS = {"Layer", "Module"}
OURS_ONLY = {"GELU"}
OWN_TABLES = ("attention", "cells", "multi_head_attention", "recurrent", "wrappers")
"""Modules whose layers take more than a table of shapes says."""


@pytest.fixture(params=[*LAYERS, *SEQUENCES], ids=lambda row: row.label)
def row(request: pytest.FixtureRequest) -> Row:
    return request.param


def called(row: Row, layer: Module | None = None) -> tuple[Any, Any, Value]:
    """The layer, what it was called on, and what came out."""
    layer = layer or row.make()
    inputs = row.inputs()
    return layer, inputs, layer(inputs)


def computed(inputs: Any, output: Value, row: Row) -> np.ndarray:
    """The output at inference."""
    graph = inference(Graph(tuple(values(inputs)), {"y": output}))
    return evaluate(graph, dict(zip(values(inputs), row.arrays(BATCH), strict=True)))["y"]


def test_every_layer_has_a_row() -> None:
    public = [getattr(layers, name) for name in layers.__all__]
    named = {
        each.__name__
        for each in public
        if isinstance(each, type) and each.__module__.rpartition(".")[2] not in OWN_TABLES
    }
    assert named - {row.name for row in LAYERS} == NOT_LAYERS | OURS_ONLY


def test_the_batch_may_be_unknown_and_is_the_first_axis(row: Row) -> None:
    _, inputs, output = called(row)
    found = computed(inputs, output, row)
    assert output.shape == (None, *found.shape[1:])
    assert len(found) == BATCH
    assert output.dtype.is_floating or not row.dtype.startswith("float")


def test_weights_go_out_and_in(row: Row) -> None:
    layer, inputs, output = called(row)
    before = computed(inputs, output, row)
    weights = layer.get_weights()
    assert layer.count_params() == sum(array.size for array in weights)
    layer.set_weights([array + 1 for array in weights])
    for array, moved in zip(weights, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(moved, array + 1)
    layer.set_weights(weights)
    np.testing.assert_array_equal(computed(inputs, output, row), before)


def test_a_second_call_shares_the_weights(row: Row) -> None:
    layer, inputs, output = called(row)
    _, others, other = called(row, layer)
    np.testing.assert_array_equal(computed(others, other, row), computed(inputs, output, row))
    assert layer.count_params() == sum(array.size for array in layer.get_weights())


def test_a_frozen_layer_trains_nothing_and_computes_as_at_inference(row: Row) -> None:
    layer, inputs, output = called(row)
    trained = layer.trainable_variables()
    layer.trainable = False
    assert layer.trainable_variables() == {}
    if not row.is_random:
        frozen = row.inputs()
        y = layer(frozen)
        feeds = dict(zip(values(frozen), row.arrays(BATCH), strict=True))
        expected = computed(inputs, output, row)
        np.testing.assert_allclose(evaluate(y, feeds), expected, rtol=1e-5, atol=1e-6)
    layer.trainable = True
    assert layer.trainable_variables() == trained


def test_an_equal_layer_is_made_of_its_configuration(row: Row) -> None:
    layer, inputs, output = called(row)
    again = from_config(to_config(layer))
    assert type(again) is type(layer)
    _, others, other = called(row, again)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(computed(others, other, row), computed(inputs, output, row))


RANDOM = [row for row in LAYERS if row.is_random]


@pytest.mark.parametrize("row", RANDOM, ids=lambda row: row.label)
def test_noise_is_drawn_while_training_and_only_then(row: Row) -> None:
    _, inputs, output = called(row)
    (array,) = row.arrays(BATCH)
    np.testing.assert_array_equal(computed(inputs, output, row), array)
    graph = Graph((inputs,), {"y": output})
    seed, step = Variable(np.int64(5), "seed"), Variable(np.int64(0), "step")
    linked, _ = link(graph, seed=seed, step=step)
    first, again = (run(linked, {inputs: array})["y"] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first != array).any()
    step.assign(1)
    assert (run(linked, {inputs: array})["y"] != first).any()


FIRST_OF_EACH = {row.name: row for row in reversed(LAYERS)}.values()


@pytest.mark.filterwarnings("ignore:NB107")  # A model of nothing but dropout.
@pytest.mark.parametrize("row", FIRST_OF_EACH, ids=lambda row: row.label)
def test_kernels_compute_what_the_references_do(row: Row) -> None:
    _, inputs, output = called(row)
    model = Model(inputs, output)
    model.compile("sgd", "mse", device="cpu")
    arrays = row.arrays(BATCH)
    found = model.predict(
        arrays if isinstance(row.shape, list) else arrays[0], batch_size=BATCH
    )
    np.testing.assert_allclose(found, computed(inputs, output, row), rtol=1e-5, atol=1e-6)


def test_unsupported_arguments_are_named() -> None:
    for make, argument in UNSUPPORTED:
        with pytest.raises(NotImplementedError, match=argument):
            make()
    with pytest.raises(TypeError, match="'unitz'"):
        layers.Dense(3, unitz=4)


UNSUPPORTED = [
    (lambda: layers.Dense(3, lora_rank=2), "lora_rank"),
    (lambda: layers.BatchNormalization(renorm=True), "renorm"),
    (lambda: layers.Resizing(2, 2, antialias=True), "antialias"),
    (lambda: layers.Resizing(2, 2, pad_to_aspect_ratio=True), "pad_to_aspect_ratio"),
    (lambda: layers.UpSampling2D(interpolation="bicubic"), "interpolation"),
]


def test_a_layer_computes_in_its_own_dtype() -> None:
    layer = layers.Dense(3, dtype="float64")
    assert layer(layers.Input((4,))).dtype.value == "float64"
    assert layer.get_weights()[0].dtype == np.float64
    assert not Layer(trainable=False).trainable
