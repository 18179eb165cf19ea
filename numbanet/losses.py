"""Losses with Keras's names: one number for each sample, out of targets and predictions.

A loss also says what targets it takes, so that labels are checked on the host, before they
index anything.
"""

from __future__ import annotations

import numpy as np

from numbanet import ops
from numbanet.arrays import targets
from numbanet.errors import ArgumentError
from numbanet.ir import DType, TensorType, Value


class Loss:
    """Base of losses.

    Subclasses implement ``values(y_true, y_pred)``: symbolic losses whose first axis is the
    batch; training minimises their mean. Targets have the prediction's type unless
    ``target_type`` and ``prepare`` say otherwise.
    """

    name = "loss"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        raise NotImplementedError(f"{type(self).__name__} does not implement values()")

    def __call__(self, y_true: Value, y_pred: Value) -> Value:
        """The mean over all samples, a scalar value."""
        return ops.mean(self.values(y_true, y_pred))

    def target_type(self, prediction: TensorType) -> TensorType:
        """Type of the targets that go with predictions of this type."""
        return prediction

    def prepare(self, y: object, prediction: TensorType, name: str) -> np.ndarray:
        """Targets as an array of ``target_type``; raises DataError if they cannot be."""
        return targets.numbers(y, self.target_type(prediction), name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class SparseCategoricalCrossentropy(Loss):
    """Minus the logarithm of the probability given to the right class.

    Parameters
    ----------
    from_logits : bool
        Predictions are logits. If not, and they come out of a softmax layer, the loss is
        computed from that layer's input all the same: nothing is lost in rounding.

    Notes
    -----
    Targets are integers ``(batch, ...)`` in ``0 .. classes - 1``; predictions are
    ``(batch, ..., classes)``.
    """

    name = "sparse_categorical_crossentropy"

    def __init__(self, from_logits: bool = False) -> None:
        self.from_logits = from_logits

    def values(self, y_true: Value, y_pred: Value) -> Value:
        logits = y_pred if self.from_logits else _input_of("softmax", y_pred)
        if logits is not None:
            return ops.cross_entropy(logits, y_true)
        return ops.nll(_log(y_pred), y_true)

    def target_type(self, prediction: TensorType) -> TensorType:
        return TensorType(prediction.shape[:-1], DType.INT64)

    def prepare(self, y: object, prediction: TensorType, name: str) -> np.ndarray:
        classes = prediction.shape[-1]
        return targets.labels(y, self.target_type(prediction), classes or 0, name)


class CategoricalCrossentropy(Loss):
    """Cross-entropy with a distribution (one-hot, or soft) for each sample.

    Parameters
    ----------
    from_logits : bool
        See `SparseCategoricalCrossentropy`.
    """

    name = "categorical_crossentropy"

    def __init__(self, from_logits: bool = False) -> None:
        self.from_logits = from_logits

    def values(self, y_true: Value, y_pred: Value) -> Value:
        logits = y_pred if self.from_logits else _input_of("softmax", y_pred)
        logs = ops.log_softmax(logits) if logits is not None else _log(y_pred)
        return -ops.sum(y_true * logs, axes=-1)


class BinaryCrossentropy(Loss):
    """Cross-entropy of independent yes-or-no predictions, the mean over the last axis.

    Parameters
    ----------
    from_logits : bool
        Predictions are logits; see `SparseCategoricalCrossentropy`, sigmoid for softmax.
    """

    name = "binary_crossentropy"

    def __init__(self, from_logits: bool = False) -> None:
        self.from_logits = from_logits

    def values(self, y_true: Value, y_pred: Value) -> Value:
        logits = y_pred if self.from_logits else _input_of("sigmoid", y_pred)
        if logits is not None:
            losses = ops.binary_cross_entropy_with_logits(logits, y_true)
        else:
            losses = ops.binary_cross_entropy(y_pred, y_true)
        return ops.mean(losses, axes=-1)

    def prepare(self, y: object, prediction: TensorType, name: str) -> np.ndarray:
        return targets.probabilities(y, self.target_type(prediction), name)


class MeanSquaredError(Loss):
    """The mean over the last axis of the squared difference."""

    name = "mean_squared_error"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        difference = y_pred - y_true
        return ops.mean(difference * difference, axes=-1)


class MeanAbsoluteError(Loss):
    """The mean over the last axis of the absolute difference."""

    name = "mean_absolute_error"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return ops.mean(abs(y_pred - y_true), axes=-1)


class Huber(Loss):
    """Half the squared difference up to ``delta``, linear beyond (Huber, 1964).

    Parameters
    ----------
    delta : float
    """

    name = "huber"

    def __init__(self, delta: float = 1.0) -> None:
        if delta <= 0:
            raise ArgumentError("Huber takes a positive delta", got=repr(delta))
        self.delta = delta

    def values(self, y_true: Value, y_pred: Value) -> Value:
        distance = abs(y_pred - y_true)
        inner = ops.minimum(distance, self.delta)
        # inner^2 / 2 inside of delta, plus delta * (distance - delta) outside of it.
        return ops.mean(inner * inner * 0.5 + self.delta * (distance - inner), axes=-1)


_SMALLEST_PROBABILITY = 1e-7
"""Keras's: keeps logarithms and their gradients finite."""


def _log(probabilities: Value) -> Value:
    return ops.log(ops.clip(probabilities, _SMALLEST_PROBABILITY, 1.0))


def _input_of(op: str, value: Value) -> Value | None:
    """What went into ``op`` if ``value`` came right out of it."""
    return value.node.inputs[0] if value.node.op.name == op else None


LossLike = str | Loss

_NAMES: dict[str, type[Loss]] = {
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "binary_crossentropy": BinaryCrossentropy,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
    "huber": Huber,
}


def get(identifier: LossLike) -> Loss:
    """The loss of a name such as ``"mse"``; a loss is returned as it is."""
    if isinstance(identifier, Loss):
        return identifier
    if identifier not in _NAMES:
        raise ArgumentError(
            "unknown loss", got=repr(identifier), expected=", ".join(_NAMES) + ", or a Loss"
        )
    return _NAMES[identifier]()
