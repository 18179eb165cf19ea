"""Twenty steps beside Keras: weights, several outputs, regularizers, constraints, callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet.errors import ArgumentError
from numbanet.testing import evaluate
from tests.keras_peer import import_keras
from tests.reference_device import ReferenceDevice

keras = import_keras()

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation"),
    pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64"),
]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4)).astype(np.float32)
LABELS = RNG.integers(3, size=12)
TARGET = RNG.normal(size=(12, 2)).astype(np.float32)
WEIGHT = RNG.uniform(0.2, 2, 12).astype(np.float32)
SETTINGS = {"batch_size": 5, "epochs": 7, "shuffle": False, "verbose": 0}


def classifier(library: Any) -> Any:
    layers = library.layers
    model = library.Sequential(
        [library.Input((4,)), layers.Dense(5, activation="tanh"), layers.Dense(3)]
    )
    loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
    metric = library.metrics.SparseCategoricalAccuracy
    model.compile(
        library.optimizers.SGD(0.2, momentum=0.5),
        loss,
        metrics=[metric(name="plain")],
        weighted_metrics=[metric(name="weighted")],
    )
    return model


def two_heads(library: Any) -> Any:
    x = library.Input((4,))
    h = library.layers.Dense(3, activation="relu")(x)
    a = library.layers.Dense(2, name="a")(h)
    b = library.layers.Dense(1, activation="sigmoid", name="b")(h)
    model = library.Model(x, [a, b])
    model.compile(
        library.optimizers.Adam(0.05),
        ["huber", "binary_crossentropy"],
        loss_weights=[2.0, 0.5],
        metrics=[["mae"], [library.metrics.AUC(num_thresholds=9, name="auc")]],
    )
    return model


def bound(library: Any) -> Any:
    layers = library.layers
    model = library.Sequential(
        [
            library.Input((4,)),
            layers.Dense(
                5,
                activation="relu",
                kernel_regularizer=library.regularizers.L1L2(0.01, 0.02),
                kernel_constraint=library.constraints.MaxNorm(0.8),
                bias_regularizer="l2",
            ),
            layers.Dense(
                2,
                kernel_regularizer=library.regularizers.OrthogonalRegularizer(0.1, "columns"),
                kernel_constraint=library.constraints.MinMaxNorm(0.5, 1.0, 0.5),
                bias_constraint="non_neg",
            ),
        ]
    )
    model.compile(library.optimizers.SGD(0.1), "mse")
    return model


HEADS = [TARGET, (TARGET[:, :1] > 0).astype(np.float32)]
CASES: list[tuple[str, Callable[[Any], Any], Any, dict[str, Any]]] = [
    ("sample weights", classifier, LABELS, {"sample_weight": WEIGHT}),
    ("class weights", classifier, LABELS, {"class_weight": {0: 2.0, 1: 0.5}}),
    ("validation", classifier, LABELS, {"validation_split": 0.25, "validation_freq": 2}),
    ("two outputs", two_heads, HEADS, {}),
    ("regularizers and constraints", bound, TARGET, {}),
]


@pytest.mark.parametrize(
    ("make", "y", "arguments"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_twenty_steps(
    make: Callable[[Any], Any],
    y: Any,
    arguments: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("numbanet.models.training.get_device", lambda _: ReferenceDevice())
    ours, theirs = make(nb), make(keras)
    ours.set_weights(theirs.get_weights())
    found = ours.fit(X, y, **SETTINGS, **arguments)
    expected = theirs.fit(X, y, **SETTINGS, **arguments)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    assert set(found.history) == set(expected.history)
    for name, numbers in expected.history.items():
        np.testing.assert_allclose(found.history[name], numbers, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        ours.evaluate(X, y), theirs.evaluate(X, y, verbose=0), rtol=1e-4, atol=1e-5
    )
    step = {k: v for k, v in arguments.items() if k.endswith("_weight")}
    np.testing.assert_allclose(
        ours.train_on_batch(X, y, **step),
        theirs.train_on_batch(X, y, **step),
        rtol=1e-4,
        atol=1e-5,
    )


MATRIX = RNG.normal(size=(4, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("MaxNorm", {"max_value": 1.5}),
        ("MaxNorm", {"max_value": 1.5, "axis": 1}),
        ("NonNeg", {}),
        ("UnitNorm", {}),
        ("UnitNorm", {"axis": [0, 1]}),
        ("MinMaxNorm", {"min_value": 1.8, "max_value": 2.0, "rate": 0.3}),
    ],
)
def test_constraints(name: str, arguments: dict[str, Any]) -> None:
    ours = getattr(nb.constraints, name)(**arguments)
    theirs = getattr(keras.constraints, name)(**arguments)
    x = nb.ops.input_value("x", MATRIX.shape)
    np.testing.assert_allclose(
        evaluate(ours(x), {x: MATRIX}), np.asarray(theirs(MATRIX)), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("L1", {}),
        ("L2", {"l2": 0.3}),
        ("L1L2", {"l1": 0.2, "l2": 0.1}),
        ("L1L2", {}),
        ("OrthogonalRegularizer", {}),
        ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
    ],
)
def test_regularizers(name: str, arguments: dict[str, Any]) -> None:
    ours = getattr(nb.regularizers, name)(**arguments)
    theirs = getattr(keras.regularizers, name)(**arguments)
    x = nb.ops.input_value("x", MATRIX.shape)
    expected = float(np.asarray(theirs(keras.ops.convert_to_tensor(MATRIX))))
    assert evaluate(ours(x), {x: MATRIX}) == pytest.approx(expected, rel=1e-5)


def test_names_of_regularizers_and_constraints() -> None:
    for get, known in (
        (nb.regularizers.get, ("l1", "l2", "l1_l2", "L1L2", "orthogonal_regularizer")),
        (nb.constraints.get, ("max_norm", "NonNeg", "unit_norm", "min_max_norm")),
    ):
        assert get(None) is None
        assert all(callable(get(name)) for name in known)
        with pytest.raises(ArgumentError, match="unknown"):
            get("nope")
