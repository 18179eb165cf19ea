"""Models as tutorials for Keras write them: only the imports differ, and the numbers do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numbanet as nb
from tests.keras_peer import import_keras
from tests.reference_device import ReferenceDevice

keras = import_keras()

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation"),
    pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`"),
    pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64"),
]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 6)).astype(np.float32)
LABELS = RNG.integers(3, size=12)
COLUMN = (X[:, :1] > 0).astype(np.float32)
WORDS = RNG.integers(1, 9, (12, 5))
WORDS[:, 3:] *= RNG.integers(0, 2, (12, 2))
IMAGES = RNG.random((12, 8, 8, 1)).astype(np.float32)
FRAMES = RNG.random((12, 3, 6, 6, 1)).astype(np.float32)

Script = Callable[[Any, Any], tuple[Any, Any, Any]]
"""Of a library and its layers: a compiled model, inputs and targets."""


def mlp(library: Any, layers: Any) -> tuple[Any, Any, Any]:
    model = library.Sequential()
    model.add(layers.Dense(8, activation="relu", input_shape=(6,)))
    model.add(
        layers.Dense(3, activation="softmax", kernel_regularizer=library.regularizers.l2())
    )
    model.compile(
        loss="categorical_crossentropy",
        optimizer=library.optimizers.RMSprop(),
        metrics=["accuracy", library.metrics.categorical_crossentropy],
    )
    return model, X, np.eye(3)[LABELS]


def skip_connections(library: Any, layers: Any) -> tuple[Any, Any, Any]:
    inputs = library.Input(shape=(8, 8, 1), name="img")
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    first = layers.MaxPooling2D(3)(x)
    x = layers.Conv2D(4, 3, activation="relu", padding="same")(first)
    x = layers.add([x, first])
    x = layers.GlobalAveragePooling2D()(x)
    model = library.Model(inputs, layers.Dense(3)(x), name="toy_resnet")
    model.compile(
        optimizer=library.optimizers.Adam(1e-2),
        loss=library.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["acc"],
    )
    return model, IMAGES, LABELS.astype(np.float32)


def tickets(library: Any, layers: Any) -> tuple[Any, Any, Any]:
    title = library.Input(shape=(5,), name="title", dtype="int32")
    tags = library.Input(shape=(6,), name="tags")
    words = layers.LSTM(3)(layers.Embedding(9, 4, mask_zero=True)(title))
    x = layers.concatenate([words, tags])
    heads = {
        "priority": layers.Dense(1, name="priority")(x),
        "department": layers.Dense(3, name="department")(x),
    }
    model = library.Model(inputs=[title, tags], outputs=heads)
    model.compile(
        optimizer=library.optimizers.RMSprop(1e-2),
        loss={
            "priority": library.losses.BinaryCrossentropy(from_logits=True),
            "department": library.losses.CategoricalCrossentropy(from_logits=True),
        },
        loss_weights={"priority": 1.0, "department": 0.2},
    )
    given = {"title": WORDS, "tags": X}
    return model, given, {"priority": COLUMN, "department": np.eye(3)[LABELS]}


def siamese(library: Any, layers: Any) -> tuple[Any, Any, Any]:
    tower = library.Sequential(
        [library.Input((6,)), layers.Dense(4, activation="relu"), layers.Dense(2)], name="tower"
    )
    left, right = library.Input((6,), name="left"), library.Input((6,), name="right")
    apart = layers.subtract([tower(left), tower(right)])
    output = layers.Dense(1, activation="sigmoid")(layers.multiply([apart, apart]))
    model = library.Model([left, right], output)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model, [X, X[::-1].copy()], COLUMN


def frozen_features(library: Any, layers: Any) -> tuple[Any, Any, Any]:
    base = library.Sequential(
        [
            library.Input((8, 8, 1)),
            layers.Conv2D(3, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalMaxPooling2D(),
            layers.Dense(4),
        ]
    )
    features = library.Model(base.inputs, base.layers[-2].output)
    features.trainable = False
    inputs = library.Input((8, 8, 1))
    model = library.Model(inputs, layers.Dense(3)(features(inputs, training=False)))
    loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(library.optimizers.Adam(1e-2), loss)
    return model, IMAGES, LABELS


def frames(library: Any, layers: Any) -> tuple[Any, Any, Any]:
    model = library.Sequential(
        [
            library.Input((3, 6, 6, 1)),
            layers.TimeDistributed(layers.Conv2D(2, 3, activation="relu")),
            layers.TimeDistributed(layers.Flatten()),
            layers.GRU(3),
            layers.Dense(1),
        ]
    )
    model.compile(
        library.optimizers.SGD(0.05, momentum=0.9, nesterov=True), "mse", metrics=["mae"]
    )
    return model, FRAMES, COLUMN


SCRIPTS: list[Script] = [mlp, skip_connections, tickets, siamese, frozen_features, frames]


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_train_as_in_keras(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numbanet.models.training.get_device", lambda _: ReferenceDevice())
    model, x, y = script(nb, nb.layers)
    peer, _, _ = script(keras, keras.layers)
    assert [w.shape for w in model.get_weights()] == [w.shape for w in peer.get_weights()]
    assert len(model.trainable_weights) == len(peer.trainable_weights)
    model.set_weights(peer.get_weights())
    stop = {"monitor": "val_loss", "patience": 1, "restore_best_weights": True}
    settings = {"batch_size": 4, "epochs": 3, "shuffle": False, "verbose": 0}
    histories = [
        each.fit(
            x,
            y,
            validation_data=(x, y),
            callbacks=[library.callbacks.EarlyStopping(**stop)],
            **settings,
        ).history
        for each, library in ((model, nb), (peer, keras))
    ]
    found, expected = histories
    assert set(found) == set(expected)
    for name, numbers in expected.items():
        np.testing.assert_allclose(found[name], numbers, rtol=1e-4, atol=1e-5, err_msg=name)
    for ours, theirs in zip(model.get_weights(), peer.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_gan_takes_turns() -> None:
    generator = nb.Sequential([nb.Input((2,)), nb.layers.Dense(6, activation="tanh")])
    judge = nb.Sequential([nb.Input((6,)), nb.layers.Dense(1, activation="sigmoid")])
    judge.compile("sgd", "binary_crossentropy", device=ReferenceDevice())
    noise = nb.Input((2,))
    both = nb.Model(noise, judge(generator(noise)))
    both.compile("sgd", "binary_crossentropy", device=ReferenceDevice())
    start = generator.get_weights()[0]
    made = generator.predict(X[:, :2], verbose=0)
    judge.trainable = True
    judge.train_on_batch(np.concatenate([X, made]), np.repeat([[1.0], [0.0]], 12, 0))
    judge.trainable = False
    kept = judge.get_weights()[0]
    both.train_on_batch(X[:, :2], np.ones((12, 1)))
    np.testing.assert_array_equal(judge.get_weights()[0], kept)
    assert (generator.get_weights()[0] != start).any()
