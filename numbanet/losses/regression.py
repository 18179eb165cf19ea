"""Losses of numbers: distances between targets and predictions."""

from __future__ import annotations

import math

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.losses.loss import EPSILON, ElementLoss, Loss


class MeanSquaredError(ElementLoss):
    """The mean over the last axis of the squared difference."""

    name = "mean_squared_error"

    def elements(self, y_true: Value, y_pred: Value) -> Value:
        difference = y_pred - y_true
        return difference * difference


class MeanAbsoluteError(ElementLoss):
    """The mean over the last axis of the absolute difference."""

    name = "mean_absolute_error"

    def elements(self, y_true: Value, y_pred: Value) -> Value:
        return abs(y_pred - y_true)


class MeanAbsolutePercentageError(ElementLoss):
    """The mean over the last axis of the absolute difference in percent of the target."""

    name = "mean_absolute_percentage_error"

    def elements(self, y_true: Value, y_pred: Value) -> Value:
        return abs((y_true - y_pred) / ops.maximum(abs(y_true), EPSILON)) * 100.0


class MeanSquaredLogarithmicError(ElementLoss):
    """The mean over the last axis of the squared difference of ``log(y + 1)``.

    Negative numbers count as zero.
    """

    name = "mean_squared_logarithmic_error"

    def elements(self, y_true: Value, y_pred: Value) -> Value:
        difference = _log1p(y_pred) - _log1p(y_true)
        return difference * difference


class Huber(ElementLoss):
    """Half the squared difference up to ``delta``, linear beyond (Huber, 1964).

    Parameters
    ----------
    delta : float
    reduction, name
        As those of `Loss`.
    """

    name = "huber_loss"

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        if delta <= 0:
            raise ArgumentError("Huber takes a positive delta", got=repr(delta))
        self.delta = delta

    def elements(self, y_true: Value, y_pred: Value) -> Value:
        distance = abs(y_pred - y_true)
        inner = ops.minimum(distance, self.delta)
        # inner^2 / 2 inside of delta, plus delta * (distance - delta) outside of it.
        return inner * inner * 0.5 + self.delta * (distance - inner)


class LogCosh(ElementLoss):
    """The mean over the last axis of ``log(cosh(y_pred - y_true))``."""

    name = "log_cosh"

    def elements(self, y_true: Value, y_pred: Value) -> Value:
        difference = y_pred - y_true
        return difference + ops.softplus(difference * -2.0) - math.log(2.0)


class Poisson(ElementLoss):
    """The mean over the last axis of ``y_pred - y_true * log(y_pred)``.

    Minus the log likelihood of counts whose expectations are predicted, but for what does not
    depend on the prediction.
    """

    name = "poisson"

    def elements(self, y_true: Value, y_pred: Value) -> Value:
        return y_pred - y_true * ops.log(y_pred + EPSILON)


class CosineSimilarity(Loss):
    """Minus the cosine of the angle between targets and predictions along an axis.

    Parameters
    ----------
    axis : int
    reduction, name
        As those of `Loss`.
    """

    name = "cosine_similarity"

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.axis = axis

    def values(self, y_true: Value, y_pred: Value) -> Value:
        product = self._unit(y_true) * self._unit(y_pred)
        return -ops.sum(product, axes=self.axis)

    def _unit(self, x: Value) -> Value:
        squares = ops.sum(x * x, axes=self.axis, keepdims=True)
        return x * ops.rsqrt(ops.maximum(squares, EPSILON**2))


def _log1p(value: Value) -> Value:
    return ops.log1p(ops.maximum(value, EPSILON))
