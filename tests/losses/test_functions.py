"""Losses as functions with Keras's names: on arrays, in models, in a loss of one's own."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet import losses
from numbanet.arrays.functions import kind_of
from numbanet.configuration import from_config, to_config
from numbanet.errors import DataError
from numbanet.ir import Value
from numbanet.losses import functions
from tests.keras_peer import import_keras
from tests.losses.test_keras import CASES
from tests.reference_device import ReferenceDevice

keras = import_keras()

FUNCTIONS = {
    name: each
    for name, each in vars(functions).items()
    if inspect.isfunction(each) and each.__module__ == "numbanet.losses"
}
BY_CLASS = {kind_of(each).__name__: each for each in FUNCTIONS.values()}
ROWS = [row for row in CASES if row[0] in BY_CLASS]


def test_all_of_kerass_functions_are_there() -> None:
    theirs = {
        name for name in vars(keras.losses) if inspect.isfunction(vars(keras.losses)[name])
    }
    missing = theirs - set(FUNCTIONS) - {"circle", "ctc", "deserialize", "get", "serialize"}
    assert not missing
    for name, function in FUNCTIONS.items():
        peer = inspect.signature(getattr(keras.losses, name))
        assert list(inspect.signature(function).parameters) == list(peer.parameters), name


@pytest.mark.parametrize(("name", "arguments", "true", "pred"), ROWS)
def test_values_are_kerass(
    name: str, arguments: dict[str, Any], true: np.ndarray, pred: np.ndarray
) -> None:
    function = BY_CLASS[name]
    pred = pred.astype(np.float32)
    true = true if true.dtype.kind == "i" else true.astype(np.float32)
    arguments = {
        k: v for k, v in arguments.items() if k in inspect.signature(function).parameters
    }
    if name == "CategoricalGeneralizedCrossEntropy":
        arguments.setdefault("q", 0.5)
    found = function(true, pred, **arguments)
    expected = getattr(keras.losses, function.__name__)(true, pred, **arguments)
    np.testing.assert_allclose(found, np.asarray(expected), rtol=1e-4, atol=1e-5)


def own(y_true: Value, y_pred: Value) -> Value:
    return losses.mean_squared_error(y_true, y_pred) + losses.huber(y_true, y_pred, 0.5) * 2.0


X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
LABELS = np.array([0, 1, 2, 2, 1, 0])


def model(loss: Any, **options: Any) -> nb.Model:
    made = nb.Sequential([nb.Input((3,)), nb.layers.Dense(3, activation="softmax")])
    made.compile("sgd", loss, device=ReferenceDevice(), **options)
    return made


def test_a_loss_of_ones_own_is_made_of_functions() -> None:
    made = model(own)
    y, p = np.eye(3, dtype=np.float32)[LABELS], made.predict(X)
    expected = losses.MeanSquaredError()(y, p) + 2 * losses.Huber(0.5)(y, p)
    assert made.evaluate(X, y) == pytest.approx(expected, rel=1e-5)


def test_functions_are_losses_and_metrics_to_compile() -> None:
    function = losses.sparse_categorical_crossentropy
    made = model(function, metrics=[nb.metrics.sparse_categorical_crossentropy, "accuracy"])
    found = made.evaluate(X, LABELS, return_dict=True)
    assert list(found) == ["loss", "sparse_categorical_crossentropy", "accuracy"]
    assert found["loss"] == pytest.approx(
        float(np.mean(function(LABELS, made.predict(X)))), rel=1e-5
    )
    with pytest.raises(DataError, match="labels out of range"):
        made.evaluate(X, LABELS + 7)


def test_functions_have_configurations() -> None:
    assert from_config(to_config(losses.hinge)) is losses.hinge


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None]])
def test_labels_in_a_loss_of_ones_own(labels: np.ndarray) -> None:
    def mine(y_true: Value, y_pred: Value) -> Value:
        return losses.sparse_categorical_crossentropy(y_true, y_pred) * 3.0

    made, peer = model(mine), model("sparse_categorical_crossentropy")
    peer.set_weights(made.get_weights())
    assert made.evaluate(X, labels) == pytest.approx(3 * peer.evaluate(X, LABELS), rel=1e-5)


def test_a_class_of_ones_own_may_write_call() -> None:
    class Cubed(losses.Loss):
        def call(self, y_true: Value, y_pred: Value) -> Value:
            return abs(y_true - y_pred) ** 3.0

    y, p = np.eye(3, dtype=np.float32)[LABELS], (made := model(Cubed())).predict(X)
    assert made.evaluate(X, y) == pytest.approx(float((abs(y - p) ** 3).mean()), rel=1e-5)
