"""Metrics that are means of losses, and one that is the root of such a mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numbanet import losses, ops
from numbanet.ir import Value
from numbanet.losses import Loss
from numbanet.metrics.metric import LossMetric, MeanMetric, Result, like, quotient


def _mean_of(
    loss: type[Loss], title: str | None = None, default: str | None = None
) -> type[LossMetric]:
    """The metric class that is the mean of ``loss``; under its class's name and its own name,
    or under ``title`` and ``default``."""

    def __init__(  # noqa: N807
        self: LossMetric, *args: Any, name: str | None = None, **kwargs: Any
    ) -> None:
        LossMetric.__init__(self, loss(*args, **kwargs), name or default or loss.name)

    body = {
        "__init__": __init__,
        "__doc__": f"The mean of `losses.{loss.__name__}`, whose arguments it takes.",
        "__module__": __name__,
        "name": default or loss.name,
    }
    return type(title or loss.__name__, (LossMetric,), body)


MeanSquaredError = _mean_of(losses.MeanSquaredError)
MeanAbsoluteError = _mean_of(losses.MeanAbsoluteError)
MeanAbsolutePercentageError = _mean_of(losses.MeanAbsolutePercentageError)
MeanSquaredLogarithmicError = _mean_of(losses.MeanSquaredLogarithmicError)
LogCoshError = _mean_of(losses.LogCosh, "LogCoshError", "logcosh")
Poisson = _mean_of(losses.Poisson)
KLDivergence = _mean_of(losses.KLDivergence)
Hinge = _mean_of(losses.Hinge)
SquaredHinge = _mean_of(losses.SquaredHinge)
CategoricalHinge = _mean_of(losses.CategoricalHinge)
BinaryCrossentropy = _mean_of(losses.BinaryCrossentropy)
CategoricalCrossentropy = _mean_of(losses.CategoricalCrossentropy)
SparseCategoricalCrossentropy = _mean_of(losses.SparseCategoricalCrossentropy)


class RootMeanSquaredError(MeanMetric):
    """The root of the mean squared difference, of masked predictions too, as Keras has it."""

    name = "root_mean_squared_error"
    takes_masks = False

    def values(self, y_true: Value, y_pred: Value) -> Value:
        difference = y_pred - like(y_true, y_pred)
        return difference * difference

    def finish(self, totals: Sequence[np.ndarray], samples: float) -> Result:
        return float(np.sqrt(quotient(totals[0], samples)))


class CosineSimilarity(MeanMetric):
    """The mean cosine of the angle between targets and predictions.

    Parameters
    ----------
    name : str, optional
    axis : int
    """

    name = "cosine_similarity"

    def __init__(self, name: str | None = None, axis: int = -1) -> None:
        super().__init__(name)
        self._loss = losses.CosineSimilarity(axis)

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return -self._loss.values(like(y_true, y_pred), y_pred)


class MeanRelativeError(MeanMetric):
    """The mean of absolute differences divided by a normalizer, 0 where that is 0.

    Parameters
    ----------
    normalizer : array_like
        Of a shape that broadcasts to the predictions'.
    name : str, optional
    """

    name = "mean_relative_error"

    def __init__(self, normalizer: Any, name: str | None = None) -> None:
        super().__init__(name)
        self._factor = quotient(1.0, normalizer)

    def values(self, y_true: Value, y_pred: Value) -> Value:
        factor = ops.constant(np.asarray(self._factor), y_pred.dtype)
        return abs(y_pred - like(y_true, y_pred)) * factor
