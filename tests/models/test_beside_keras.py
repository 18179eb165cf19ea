"""Functional graphs trained beside Keras: branches, shared layers, several inputs and outputs.

Each graph is written once, as a function of the library, and trained for twenty steps by both
from the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import numbanet as nb
from tests.keras_peer import import_keras
from tests.reference_device import ReferenceDevice

keras = import_keras()

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation"),
    pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64"),
]

RNG = np.random.default_rng(3)
SAMPLES = 8
SETTINGS = {"batch_size": 4, "epochs": 10, "shuffle": False, "verbose": 0}  # 20 steps


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=(SAMPLES, *shape)).astype(np.float32)


def integers(high: int, *shape: int) -> np.ndarray:
    return RNG.integers(high, size=(SAMPLES, *shape))


def residual(library: Any) -> Any:
    """Two residual blocks, the second one strided; batch normalization."""
    layers = library.layers

    def block(x: Any, filters: int, strides: int) -> Any:
        h = layers.Conv2D(filters, 3, strides, "same", use_bias=False)(x)
        h = layers.BatchNormalization(momentum=0.8)(h)
        h = layers.Activation("relu")(h)
        h = layers.Conv2D(filters, 3, padding="same")(h)
        skip = x if strides == 1 else layers.Conv2D(filters, 1, strides)(x)
        return layers.ReLU()(layers.Add()([skip, h]))

    x = library.Input((5, 5, 2))
    h = block(block(x, 2, 1), 3, 2)
    y = layers.Dense(3)(layers.GlobalAveragePooling2D()(h))
    model = library.Model(x, y)
    loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(library.optimizers.SGD(0.05, 0.9), loss, metrics=["accuracy"])
    return model


def inception(library: Any) -> Any:
    """Branches that meet again, and a dict of outputs with losses by name."""
    layers = library.layers
    x = library.Input((6, 6, 2), name="image")
    stem = layers.Conv2D(3, 1, activation="relu", name="stem")(x)
    branches = [
        layers.Conv2D(2, 1, activation="tanh")(stem),
        layers.Conv2D(2, 3, padding="same")(layers.Conv2D(1, 1)(stem)),
        layers.Conv2D(1, 1)(layers.MaxPooling2D(3, 1, "same")(stem)),
        layers.DepthwiseConv2D(3, padding="same")(stem),
    ]
    joined = layers.Concatenate()(branches)
    pooled = layers.Flatten()(layers.AveragePooling2D(2)(joined))
    aside = layers.GlobalMaxPooling2D()(stem)
    outputs = {
        "kind": layers.Dense(3, activation="softmax", name="kind_layer")(pooled),
        "size": layers.Dense(1, name="size_layer")(layers.Multiply()([aside, aside])),
    }
    model = library.Model({"image": x}, outputs)
    model.compile(
        library.optimizers.Adam(0.01),
        {"kind": "categorical_crossentropy", "size": "mse"},
        loss_weights={"kind": 1.0, "size": 0.3},
        metrics={"kind": ["accuracy"], "size": ["mae", library.metrics.RootMeanSquaredError()]},
    )
    return model


def siamese(library: Any) -> Any:
    """Two inputs through the same layers, compared; a list of inputs."""
    layers = library.layers
    left, right = library.Input((4,), name="left"), library.Input((4,), name="right")
    first, second = layers.Dense(5, activation="relu"), layers.Dense(3)
    norm = layers.LayerNormalization()
    a, b = (norm(second(first(each))) for each in (left, right))
    near = layers.Dot(axes=1, normalize=True)([a, b])
    apart = layers.Subtract()([a, b])
    y = layers.Dense(1, activation="sigmoid")(layers.Concatenate()([near, apart]))
    model = library.Model([left, right], y, name="siamese")
    model.compile(library.optimizers.RMSprop(0.01), "binary_crossentropy", metrics=["AUC"])
    return model


def nested(library: Any) -> Any:
    """An encoder, itself of a functional and a sequential model, used twice; dict inputs."""
    layers = library.layers
    h = library.Input((4,))
    body = library.Sequential([layers.Dense(4, activation="elu"), layers.Dense(4)], name="body")
    encoder = library.Model(h, layers.Add()([h, body(h)]), name="encoder")
    inputs = {name: library.Input((4,), name=name) for name in ("query", "document")}
    query, document = encoder(inputs["query"]), encoder(encoder(inputs["document"]))
    score = layers.Dense(1, name="score")(layers.Maximum()([query, document]))
    norm = layers.Dense(2, name="norm")(layers.Average()([query, document, inputs["query"]]))
    model = library.Model(inputs, [score, norm])
    model.compile(
        library.optimizers.AdamW(0.02, weight_decay=0.05),
        ["huber", "mae"],
        loss_weights=[0.7, 2.0],
        metrics=[["mse"], ["mae"]],
    )
    return model


def sequence(library: Any) -> Any:
    """Ids and numbers: an embedding, recurrent layers, attention; two outputs in a list."""
    layers = library.layers
    ids = library.Input((5,), dtype="int32", name="ids")
    extra = library.Input((2,), name="extra")
    h = layers.Embedding(7, 4)(ids)
    states = layers.LSTM(6, return_sequences=True)(h)
    # A key's bias changes no weight of attention: its gradient is noise, which Nadam enlarges.
    looked = layers.MultiHeadAttention(2, 3, use_bias=False)(states, states)
    joined = layers.LayerNormalization()(layers.Add()([states, looked]))
    last = layers.GRU(3)(joined)
    tags = layers.TimeDistributed(layers.Dense(3), name="tags")(joined)
    total = layers.Dense(1, name="total")(layers.Concatenate()([last, extra]))
    model = library.Model([ids, extra], [tags, total])
    model.compile(
        library.optimizers.Nadam(0.01, clipnorm=1.0),
        [library.losses.SparseCategoricalCrossentropy(from_logits=True), "log_cosh"],
        loss_weights=[1.0, 0.5],
        metrics=[["sparse_categorical_accuracy"], ["mse"]],
    )
    return model


class Graph(NamedTuple):
    """A model by library, and what it is trained on."""

    make: Callable[[Any], Any]
    x: Any
    y: Any


PAIRS = {"query": numbers(4), "document": numbers(4)}
GRAPHS = [
    Graph(residual, numbers(5, 5, 2), integers(3)),
    Graph(
        inception,
        {"image": numbers(6, 6, 2)},
        {"kind": np.eye(3, dtype=np.float32)[integers(3)], "size": numbers(1)},
    ),
    Graph(siamese, [numbers(4), numbers(4)], integers(2, 1).astype(np.float32)),
    Graph(nested, PAIRS, [numbers(1), numbers(2)]),
    Graph(sequence, [integers(7, 5), numbers(2)], [integers(3, 5), numbers(1)]),
]


def close(found: Any, expected: Any) -> None:
    """Equal nests of arrays, to what twenty float32 steps allow."""
    if isinstance(expected, dict):
        assert set(found) == set(expected)
        found, expected = [found[name] for name in expected], list(expected.values())
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            close(a, b)
        return
    np.testing.assert_allclose(found, np.asarray(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.make.__name__)
def test_twenty_steps(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numbanet.models.training.get_device", lambda _: ReferenceDevice())
    keras.utils.set_random_seed(4)
    ours, theirs = graph.make(nb), graph.make(keras)
    assert [a.shape for a in ours.get_weights()] == [a.shape for a in theirs.get_weights()]
    ours.set_weights(theirs.get_weights())
    close(ours.predict(graph.x), theirs.predict(graph.x, verbose=0))
    found = ours.fit(graph.x, graph.y, **SETTINGS)
    expected = theirs.fit(graph.x, graph.y, **SETTINGS)
    close(found.history, expected.history)
    close(ours.get_weights(), theirs.get_weights())
    for as_dict in (False, True):
        close(
            ours.evaluate(graph.x, graph.y, verbose=0, return_dict=as_dict),
            theirs.evaluate(graph.x, graph.y, verbose=0, return_dict=as_dict),
        )
    close(ours.predict(graph.x), theirs.predict(graph.x, verbose=0))
