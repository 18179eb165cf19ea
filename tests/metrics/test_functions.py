"""Metrics as functions with Keras's names."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet import metrics
from tests.keras_peer import import_keras
from tests.reference_device import ReferenceDevice

keras = import_keras()

RNG = np.random.default_rng(0)
SHARES = RNG.dirichlet(np.ones(4), 6).astype(np.float32)
LABELS = RNG.integers(4, size=6)
ONE_HOT = np.eye(4, dtype=np.float32)[LABELS]
BITS = (RNG.random((6, 4)) > 0.5).astype(np.float32)

CASES: list[tuple[str, np.ndarray, tuple[Any, ...]]] = [
    ("binary_accuracy", BITS, ()),
    ("binary_accuracy", BITS, (0.2,)),
    ("categorical_accuracy", ONE_HOT, ()),
    ("sparse_categorical_accuracy", LABELS, ()),
    ("sparse_categorical_accuracy", LABELS[:, None], ()),
    ("top_k_categorical_accuracy", ONE_HOT, (2,)),
    ("sparse_top_k_categorical_accuracy", LABELS, (3,)),
    ("mean_absolute_error", BITS, ()),
    ("binary_crossentropy", BITS, ()),
    ("huber", BITS, (0.3,)),
]


@pytest.mark.parametrize(("name", "true", "arguments"), CASES)
def test_values_are_kerass(name: str, true: np.ndarray, arguments: tuple[Any, ...]) -> None:
    found = getattr(metrics, name)(true, SHARES, *arguments)
    peer = np.asarray(getattr(keras.metrics, name)(true, SHARES, *arguments))
    np.testing.assert_allclose(np.reshape(found, peer.shape), peer, rtol=1e-5, atol=1e-6)


def test_all_of_kerass_functions_are_there() -> None:
    theirs = {n for n in vars(keras.metrics) if inspect.isfunction(vars(keras.metrics)[n])}
    known = {"concordance_correlation", "pearson_correlation", "deserialize", "serialize"}
    assert not {name for name in theirs - known if not hasattr(metrics, name)}


def test_functions_are_metrics_to_compile() -> None:
    model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(4, activation="softmax")])
    given = [metrics.sparse_categorical_accuracy, metrics.sparse_top_k_categorical_accuracy]
    loss = "sparse_categorical_crossentropy"
    model.compile("sgd", loss, metrics=given, device=ReferenceDevice())
    x = RNG.normal(size=(6, 3)).astype(np.float32)
    found = model.evaluate(x, LABELS, return_dict=True)
    right = metrics.sparse_categorical_accuracy(LABELS, model.predict(x)).mean()
    assert found["sparse_categorical_accuracy"] == pytest.approx(right)
    assert found["sparse_top_k_categorical_accuracy"] == 1
