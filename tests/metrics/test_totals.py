"""Metrics: totals of batches add up to what NumPy says of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet import metrics, ops
from numbanet.errors import ArgumentError
from numbanet.ir import DType
from numbanet.metrics import Metric
from numbanet.testing import evaluate

Array = np.ndarray
RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(7, 3))
LABELS = RNG.integers(3, size=7)
ONE_HOT = np.eye(3)[LABELS]
BITS = (RNG.random((7, 1)) > 0.5).astype(float)
YES = RNG.random((7, 1))
RIGHT = (SCORES.argmax(-1) == LABELS).mean()

CASES: dict[str, tuple[Metric, Array, Array, float]] = {
    "sparse": (metrics.SparseCategoricalAccuracy(), LABELS, SCORES, RIGHT),
    "categorical": (metrics.CategoricalAccuracy(), ONE_HOT, SCORES, RIGHT),
    "binary": (metrics.BinaryAccuracy(), BITS, YES, ((YES > 0.5) == BITS).mean()),
    "threshold": (
        metrics.BinaryAccuracy(threshold=0.2),
        BITS,
        YES,
        ((YES > 0.2) == BITS).mean(),
    ),
    "accuracy of labels": (metrics.get("accuracy"), LABELS, SCORES, RIGHT),
    "accuracy of one-hot": (metrics.get("accuracy"), ONE_HOT, SCORES, RIGHT),
    "accuracy of bits": (metrics.get("accuracy"), BITS, YES, ((YES > 0.5) == BITS).mean()),
    "squared": (metrics.get("mse"), ONE_HOT, SCORES, ((SCORES - ONE_HOT) ** 2).mean()),
    "absolute": (metrics.get("mae"), ONE_HOT, SCORES, np.abs(SCORES - ONE_HOT).mean()),
}


@pytest.mark.parametrize("name", CASES)
def test_batches_add_up(name: str) -> None:
    metric, target, prediction, expected = CASES[name]
    sums = np.zeros(metric.width)
    for part in (slice(0, 4), slice(4, 7)):
        t, p = target[part], prediction[part]
        y_true = ops.input_value("t", t.shape, DType.of(t.dtype))
        y_pred = ops.input_value("p", p.shape, DType.FLOAT64)
        sums += evaluate(metric.totals(y_true, y_pred), {y_true: t, y_pred: p})
    assert metric.finish(list(sums), 7) == pytest.approx(expected)


def test_names() -> None:
    assert metrics.get("accuracy").name == "accuracy"
    assert metrics.get("mse").name == "mse"
    with pytest.raises(ArgumentError, match="unknown metric"):
        metrics.get("acuracy")
