"""Losses: values against NumPy, stability, and targets checked on the host."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from numbanet import losses, ops
from numbanet.errors import ArgumentError, DataError
from numbanet.ir import DType, TensorType
from numbanet.losses import Loss
from numbanet.testing import evaluate

Array = np.ndarray
F64 = DType.FLOAT64


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(5, 3))
LABELS = np.array([0, 2, 1, 1, 0])
SOFT = softmax(RNG.normal(size=(5, 3)))
BITS = (RNG.random((5, 3)) > 0.5).astype(float)
PICKED = -np.log(softmax(LOGITS))[np.arange(5), LABELS]
BINARY = -(BITS * np.log(sigmoid(LOGITS)) + (1 - BITS) * np.log(1 - sigmoid(LOGITS))).mean(-1)
DISTANCE = np.abs(LOGITS - SOFT)

CASES: dict[str, tuple[Loss, Array, Array, Array]] = {
    "sparse, logits": (
        losses.SparseCategoricalCrossentropy(from_logits=True), LABELS, LOGITS, PICKED,
    ),
    "sparse, probabilities": (
        losses.SparseCategoricalCrossentropy(), LABELS, softmax(LOGITS), PICKED,
    ),
    "categorical, logits": (
        losses.CategoricalCrossentropy(from_logits=True),
        SOFT, LOGITS, -(SOFT * np.log(softmax(LOGITS))).sum(-1),
    ),
    "categorical, probabilities": (
        losses.CategoricalCrossentropy(),
        SOFT, softmax(LOGITS), -(SOFT * np.log(softmax(LOGITS))).sum(-1),
    ),
    "binary, logits": (losses.BinaryCrossentropy(from_logits=True), BITS, LOGITS, BINARY),
    "binary, probabilities": (losses.BinaryCrossentropy(), BITS, sigmoid(LOGITS), BINARY),
    "squared": (losses.MeanSquaredError(), SOFT, LOGITS, ((LOGITS - SOFT) ** 2).mean(-1)),
    "absolute": (losses.MeanAbsoluteError(), SOFT, LOGITS, DISTANCE.mean(-1)),
    "huber": (
        losses.Huber(0.7),
        SOFT, LOGITS,
        np.where(DISTANCE <= 0.7, DISTANCE**2 / 2, 0.7 * (DISTANCE - 0.35)).mean(-1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_and_mean(name: str) -> None:
    loss, target, prediction, expected = CASES[name]
    y_pred = ops.input_value("p", prediction.shape, F64)
    type_ = loss.target_type(y_pred.type)
    y_true = ops.input_value("t", type_.shape, type_.dtype)
    feeds = {y_pred: prediction, y_true: target}
    np.testing.assert_allclose(
        evaluate(loss.values(y_true, y_pred), feeds), expected, rtol=1e-6
    )
    np.testing.assert_allclose(
        evaluate(loss(y_true, y_pred), feeds), expected.mean(), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("loss", "last"),
    [
        (losses.SparseCategoricalCrossentropy(), ops.softmax),
        (losses.CategoricalCrossentropy(), ops.softmax),
        (losses.BinaryCrossentropy(), ops.sigmoid),
    ],
)
def test_losses_look_through_the_last_activation(loss: Loss, last: Callable) -> None:
    """Logits of 200 give probabilities of exactly 0 in between; the loss is still right."""
    logits = ops.input_value("x", (1, 2), F64)
    type_ = loss.target_type(logits.type)
    y_true = ops.input_value("t", type_.shape, type_.dtype)
    target = np.array([1]) if type_.rank == 1 else np.array([[0.0, 1.0]])
    found = evaluate(loss(y_true, last(logits)), {logits: [[200.0, -200.0]], y_true: target})
    assert found == pytest.approx(200.0 if last is ops.sigmoid else 400.0)


PREDICTION = TensorType((None, 3), DType.FLOAT32)
SPARSE = losses.SparseCategoricalCrossentropy()


def test_labels_become_int64_and_columns_are_taken() -> None:
    found = SPARSE.prepare(np.array([[0], [2]], np.uint8), PREDICTION, "y")
    assert found.dtype == np.int64
    assert found.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array([0, 3]), r"labels out of range, got 0 .. 3, expected 0 .. 2"),
        (np.array([-1, 2]), r"labels out of range"),
        (np.array([0.0, 1.5]), r"labels are integers, got 1.5.*categorical"),
        (np.array([np.inf, 1.0]), r"labels are integers, got inf"),
        (np.eye(3, dtype=int), r"do not fit the output, got \(3, 3\)"),
        (np.array(["a", "b"]), r"not an array of numbers"),
        ([[0], [1, 2]], r"Give all samples one shape"),
        (np.array(1), r"at least one axis"),
    ],
)
def test_labels_that_cannot_be(y: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        SPARSE.prepare(y, PREDICTION, "y")


def test_numbers_are_converted_and_columns_are_made() -> None:
    column = TensorType((None, 1), DType.FLOAT32)
    found = losses.MeanSquaredError().prepare([1, 2, 3], column, "y")
    assert found.dtype == np.float32
    assert found.shape == (3, 1)


def test_numbers_that_do_not_fit_into_float32() -> None:
    with pytest.raises(DataError, match=r"too large for float32, got 1e\+300"):
        losses.MeanSquaredError().prepare([[1e300, 0, 0]], PREDICTION, "y")


def test_probabilities_out_of_range() -> None:
    with pytest.raises(DataError, match=r"out of range, got 0 .. 2"):
        losses.BinaryCrossentropy().prepare([[0.0, 1.0, 2.0]], PREDICTION, "y")


def test_names() -> None:
    assert isinstance(losses.get("mse"), losses.MeanSquaredError)
    with pytest.raises(ArgumentError, match="unknown loss, got 'msee'"):
        losses.get("msee")
