"""Metrics against Keras's: three batches, with weights and without, and reset."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numbanet import metrics, ops
from numbanet.errors import ArgumentError
from tests.keras_peer import import_keras

keras = import_keras()

RNG = np.random.default_rng(0)
N, C = 12, 4

pytestmark = [
    pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64"),
    pytest.mark.filterwarnings("ignore:You are passing weight as `float`"),
]


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)).astype(np.float32)


CHANCES = RNG.random((N, C)).astype(np.float32)
BITS = (RNG.random((N, C)) > 0.6).astype(np.float32)
SHARES = softmax(RNG.normal(size=(N, C)))
LABELS = RNG.integers(C, size=N)
ONE_HOT = np.eye(C, dtype=np.float32)[LABELS]
TARGETS, GUESSES = RNG.normal(size=(2, N, C)).astype(np.float32)
GUESSED = RNG.integers(C, size=N)
SIGNS = BITS * 2 - 1
COLUMN = BITS[:, :1]
YES = CHANCES[:, :1]
MINORING = {"summation_method": "minoring"}

CASES: list[tuple[str, dict[str, Any], np.ndarray, np.ndarray]] = [
    ("Accuracy", {}, LABELS, GUESSED),
    ("BinaryAccuracy", {}, BITS, CHANCES),
    ("BinaryAccuracy", {"threshold": 0.3}, BITS, CHANCES),
    ("CategoricalAccuracy", {}, ONE_HOT, SHARES),
    ("SparseCategoricalAccuracy", {}, LABELS, SHARES),
    ("SparseCategoricalAccuracy", {}, LABELS[:, None], SHARES),
    ("TopKCategoricalAccuracy", {"k": 2}, ONE_HOT, SHARES),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, LABELS, SHARES),
    ("Precision", {}, BITS, CHANCES),
    ("Precision", {"thresholds": [0.2, 0.5, 0.8]}, BITS, CHANCES),
    ("Precision", {"top_k": 2}, BITS, CHANCES),
    ("Precision", {"class_id": 1}, BITS, CHANCES),
    ("Recall", {"thresholds": 0.3}, BITS, CHANCES),
    ("Recall", {"top_k": 2, "class_id": 2}, BITS, CHANCES),
    ("TruePositives", {}, BITS, CHANCES),
    ("FalsePositives", {"thresholds": [0.3, 0.6]}, BITS, CHANCES),
    ("FalseNegatives", {"thresholds": 0.7}, BITS, CHANCES),
    ("TrueNegatives", {}, BITS, CHANCES),
    ("AUC", {}, BITS, CHANCES),
    ("AUC", {"num_thresholds": 11, "curve": "PR"}, BITS, CHANCES),
    ("AUC", {"num_thresholds": 7, "curve": "PR", **MINORING}, BITS, CHANCES),
    ("AUC", {"num_thresholds": 7, "summation_method": "majoring"}, BITS, CHANCES),
    ("AUC", {"thresholds": [0.2, 0.55, 0.9]}, BITS, CHANCES),
    ("AUC", {"from_logits": True}, BITS, GUESSES),
    ("AUC", {"multi_label": True, "num_labels": C, "num_thresholds": 9}, BITS, CHANCES),
    (
        "AUC",
        {
            "multi_label": True,
            "num_labels": C,
            "label_weights": [1.0, 2.0, 0.5, 0.0],
            "curve": "PR",
        },
        BITS,
        CHANCES,
    ),
    ("F1Score", {}, ONE_HOT, SHARES),
    ("F1Score", {"average": "micro", "threshold": 0.4}, BITS, CHANCES),
    ("F1Score", {"average": "macro"}, ONE_HOT, SHARES),
    ("FBetaScore", {"average": "weighted", "beta": 2.0, "threshold": 0.5}, BITS, CHANCES),
    ("IoU", {"num_classes": C, "target_class_ids": [0, 2]}, LABELS, GUESSED),
    ("MeanIoU", {"num_classes": C}, LABELS, GUESSED),
    ("MeanIoU", {"num_classes": C, "ignore_class": 1}, LABELS, GUESSED),
    ("BinaryIoU", {}, COLUMN, YES),
    ("BinaryIoU", {"target_class_ids": [1], "threshold": 0.3}, COLUMN, YES),
    ("OneHotIoU", {"num_classes": C, "target_class_ids": [1, 3]}, ONE_HOT, SHARES),
    ("OneHotMeanIoU", {"num_classes": C}, ONE_HOT, SHARES),
    ("R2Score", {}, TARGETS, GUESSES),
    ("R2Score", {"class_aggregation": None}, TARGETS, GUESSES),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, TARGETS, GUESSES),
    ("MeanSquaredError", {}, TARGETS, GUESSES),
    ("MeanAbsoluteError", {}, TARGETS, GUESSES),
    ("MeanAbsolutePercentageError", {}, TARGETS, GUESSES),
    ("MeanSquaredLogarithmicError", {}, CHANCES, SHARES),
    ("RootMeanSquaredError", {}, TARGETS, GUESSES),
    ("LogCoshError", {}, TARGETS, GUESSES),
    ("CosineSimilarity", {}, TARGETS, GUESSES),
    ("Poisson", {}, CHANCES, SHARES),
    ("KLDivergence", {}, CHANCES, SHARES),
    ("Hinge", {}, SIGNS, GUESSES),
    ("SquaredHinge", {}, SIGNS, GUESSES),
    ("CategoricalHinge", {}, ONE_HOT, GUESSES),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, BITS, CHANCES),
    ("CategoricalCrossentropy", {}, ONE_HOT, SHARES),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS, GUESSES),
    ("BinaryAccuracy", {}, COLUMN, YES),
]  # fmt: skip
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]


@pytest.mark.parametrize(("name", "arguments", "y_true", "y_pred"), CASES, ids=IDS)
@pytest.mark.parametrize("weight", [None, np.arange(N, dtype=np.float32) % 4])
def test_three_batches(
    name: str,
    arguments: dict[str, Any],
    y_true: np.ndarray,
    y_pred: np.ndarray,
    weight: np.ndarray | None,
) -> None:
    ours = getattr(metrics, name)(**arguments)
    theirs = getattr(keras.metrics, name)(**arguments, dtype="float32")
    assert ours.name.rstrip("0123456789_") == theirs.name.rstrip("0123456789_")
    for part in (slice(0, 5), slice(5, 10), slice(10, 12)):
        w = None if weight is None else weight[part]
        ours.update_state(y_true[part], y_pred[part], w)
        theirs.update_state(y_true[part], y_pred[part], w)
    np.testing.assert_allclose(ours.result(), np.asarray(theirs.result()), rtol=2e-5, atol=1e-6)
    ours.reset_state()
    assert ours.result() == 0


def test_r2_adjusted_for_regressors() -> None:
    # Keras counts samples as often as there are columns; here there is one.
    y_true, y_pred = TARGETS[:, :1], GUESSES[:, :1]
    ours = metrics.R2Score(num_regressors=2)(y_true, y_pred)
    theirs = keras.metrics.R2Score(num_regressors=2)(y_true, y_pred)
    assert ours == pytest.approx(float(theirs), rel=1e-5)


def test_confusion_matrix_counts_pairs() -> None:
    found = metrics.ConfusionMatrix(C)(LABELS, SHARES)
    expected = np.zeros((C, C))
    np.add.at(expected, (LABELS, SHARES.argmax(-1)), 1)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_running_numbers(name: str) -> None:
    ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
    for values, weight in ((TARGETS, None), (GUESSES, np.linspace(0, 1, N))):
        ours.update_state(values, weight)
        theirs.update_state(values, weight)
    assert ours.result() == pytest.approx(float(theirs.result()), rel=1e-5)
    ours.reset_state()
    assert ours.result() == 0


def test_mean_relative_error() -> None:
    normalizer = [1.0, 2.0, 0.0, 4.0]
    found = metrics.MeanRelativeError(normalizer)(TARGETS, GUESSES)
    quotients = np.abs(TARGETS - GUESSES)[:, [0, 1, 3]] / [1.0, 2.0, 4.0]
    assert found == pytest.approx(quotients.sum() / (N * C), rel=1e-5)


def test_a_function_is_a_metric() -> None:
    def distance(y_true: Any, y_pred: Any) -> Any:
        return ops.max(abs(y_true - y_pred), axes=-1)

    metric = metrics.get(distance)
    assert metric.name == "distance"
    assert metric(TARGETS, GUESSES) == pytest.approx(np.abs(TARGETS - GUESSES).max(-1).mean())


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: metrics.get("acuracy"), "Nearest: 'accuracy'"),
        (lambda: metrics.AUC(curve="XYZ"), "unknown curve"),
        (lambda: metrics.AUC(num_thresholds=1), "above 1"),
        (lambda: metrics.F1Score(average="mean"), "unknown average"),
        (lambda: metrics.Precision(thresholds=1.5), r"lie in \[0, 1\]"),
        (lambda: metrics.IoU(2, [2]), "target_class_ids"),
        (lambda: metrics.R2Score("sum"), "unknown class_aggregation"),
    ],
)
def test_wrong_arguments(use: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        use()
