"""Losses against Keras's: values, weights and reductions, and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numbanet import losses, ops
from numbanet.autodiff import differentiate
from numbanet.errors import ArgumentError
from numbanet.ir import DType
from numbanet.testing import evaluate
from tests.keras_peer import import_keras

keras = import_keras()

RNG = np.random.default_rng(0)
SHAPE = (5, 4, 3)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


SCORES = RNG.normal(size=SHAPE)
OTHERS = RNG.normal(size=SHAPE)
POSITIVE = RNG.uniform(0.1, 3, SHAPE)
SHARES, SOFT = softmax(SCORES), softmax(OTHERS)
CHANCES = RNG.uniform(0.05, 0.95, SHAPE)
BITS = (RNG.random(SHAPE) > 0.5).astype(float)
SIGNS = BITS * 2 - 1
LABELS = RNG.integers(3, size=(5, 4))
ONE_HOT = np.eye(3)[LABELS]

CASES: list[tuple[str, dict[str, Any], np.ndarray, np.ndarray]] = [
    ("MeanSquaredError", {}, OTHERS, SCORES),
    ("MeanAbsoluteError", {}, OTHERS, SCORES),
    ("MeanAbsolutePercentageError", {}, OTHERS, SCORES),
    ("MeanSquaredLogarithmicError", {}, POSITIVE, POSITIVE[::-1]),
    ("Huber", {}, OTHERS, SCORES),
    ("Huber", {"delta": 0.3}, OTHERS, SCORES),
    ("LogCosh", {}, OTHERS, SCORES),
    ("LogCosh", {}, OTHERS, SCORES * 50),
    ("Poisson", {}, POSITIVE, CHANCES),
    ("CosineSimilarity", {}, OTHERS, SCORES),
    ("CosineSimilarity", {"axis": 1}, OTHERS, SCORES),
    ("KLDivergence", {}, SOFT, SHARES),
    ("Hinge", {}, SIGNS, SCORES),
    ("Hinge", {}, BITS, SCORES),
    ("SquaredHinge", {}, BITS, SCORES),
    ("CategoricalHinge", {}, ONE_HOT, SCORES),
    ("BinaryCrossentropy", {}, BITS, CHANCES),
    ("BinaryCrossentropy", {"from_logits": True}, BITS, SCORES),
    ("BinaryCrossentropy", {"label_smoothing": 0.2, "axis": 1}, BITS, CHANCES),
    ("BinaryFocalCrossentropy", {}, BITS, CHANCES),
    ("BinaryFocalCrossentropy", {"from_logits": True, "gamma": 3.0}, BITS, SCORES),
    (
        "BinaryFocalCrossentropy",
        {"apply_class_balancing": True, "alpha": 0.3, "label_smoothing": 0.1},
        BITS,
        CHANCES,
    ),
    ("CategoricalCrossentropy", {}, SOFT, SHARES),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, SOFT, SCORES),
    ("CategoricalCrossentropy", {"axis": 1}, SOFT, CHANCES),
    ("CategoricalFocalCrossentropy", {}, ONE_HOT, SHARES),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "gamma": 1.5}, ONE_HOT, SCORES),
    ("CategoricalFocalCrossentropy", {"alpha": [0.1, 0.2, 0.7]}, ONE_HOT, CHANCES),
    ("SparseCategoricalCrossentropy", {}, LABELS, CHANCES),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS, SCORES),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, LABELS, SHARES),
    (
        "SparseCategoricalCrossentropy",
        {"ignore_class": -1, "from_logits": True},
        np.where(LABELS == 2, -1, LABELS),
        SCORES,
    ),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, LABELS, SHARES),
    ("Dice", {}, BITS, CHANCES),
    ("Dice", {"axis": (1, 2)}, BITS, CHANCES),
    ("Tversky", {"alpha": 0.3, "beta": 0.8}, BITS, CHANCES),
    ("Tversky", {"axis": (1, 2)}, BITS, CHANCES),
]  # fmt: skip
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]


def both(name: str, arguments: dict[str, Any], **more: Any) -> tuple[Any, Any]:
    ours = getattr(losses, name)(**arguments, **more)
    return ours, getattr(keras.losses, name)(**arguments, **more, dtype="float32")


@pytest.mark.parametrize(("name", "arguments", "y_true", "y_pred"), CASES, ids=IDS)
def test_values(
    name: str, arguments: dict[str, Any], y_true: np.ndarray, y_pred: np.ndarray
) -> None:
    ours, theirs = both(name, arguments, reduction=None)
    values = ours(y_true, y_pred)
    expected = np.asarray(theirs(y_true, y_pred))
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "reduction", ["sum_over_batch_size", "mean_with_sample_weight", "sum", None]
)
@pytest.mark.parametrize("case", [0, 30, 33], ids=lambda i: IDS[i])
def test_weights_and_reductions(case: int, reduction: str | None) -> None:
    name, arguments, y_true, y_pred = CASES[case]
    ours, theirs = both(name, arguments, reduction=reduction)
    for weight in (None, np.linspace(0.5, 2, 5), RNG.uniform(0, 2, (5, 4))):
        found = ours(y_true, y_pred, sample_weight=weight)
        # Keras wants an axis of size one for each that is missing.
        columns = weight[:, None] if weight is not None and weight.ndim == 1 else weight
        want = theirs(y_true, y_pred, sample_weight=columns)
        np.testing.assert_allclose(
            np.ravel(found), np.ravel(np.asarray(want)), rtol=2e-5, atol=2e-5
        )


@pytest.mark.parametrize(("name", "arguments", "y_true", "y_pred"), CASES, ids=IDS)
def test_gradients(
    name: str, arguments: dict[str, Any], y_true: np.ndarray, y_pred: np.ndarray
) -> None:
    jax = pytest.importorskip("jax")
    if keras.backend.backend() != "jax":
        pytest.skip("gradients are taken with JAX")
    ours, theirs = both(name, arguments)
    p = ops.input_value("p", y_pred.shape, DType.FLOAT32)
    target = ours.target_type(p.type)
    t = ops.input_value("t", y_true.shape, target.dtype)
    (gradient,) = differentiate([ours(t, p)], [p])
    prepared = ours.prepare(y_true, p.type, "y")
    found = evaluate(gradient, {p: y_pred.astype(np.float32), t: prepared})
    expected = np.asarray(jax.grad(lambda x: theirs(y_true, x))(y_pred.astype(np.float32)))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * scale)


def test_default_names_are_keras_names() -> None:
    for name, arguments, *_ in CASES:
        ours, theirs = both(name, arguments)
        assert ours.name == theirs.name
        assert type(losses.get(theirs.name)) is type(ours)
    for short in ("mse", "MAE", "mape", "msle", "bce", "kld", "huber", "MeanSquaredError"):
        assert isinstance(losses.get(short), losses.Loss)


def test_a_function_is_a_loss() -> None:
    loss = losses.get(lambda y_true, y_pred: ops.mean((y_true - y_pred) ** 4.0, axes=-1))
    expected = ((OTHERS - SCORES) ** 4).mean()
    assert loss(OTHERS, SCORES) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: losses.get("crossentropy"), "Nearest: '.*crossentropy'"),
        (lambda: losses.get(losses.Huber), "unknown loss"),
        (lambda: losses.Hinge(reduction="avg"), "unknown reduction, got 'avg'"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=2.0), r"lies in \[0, 1\]"),
        (lambda: losses.Huber(0.0), "positive delta"),
    ],
)
def test_wrong_arguments(use: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        use()
