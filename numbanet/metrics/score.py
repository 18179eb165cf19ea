"""Scores made of totals for each class: F-scores and the coefficient of determination."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.losses.loss import spread
from numbanet.metrics.metric import Metric, Result, like, quotient

_EPSILON = 1e-7


class FBetaScore(Metric):
    """The weighted harmonic mean of precision and recall of each class.

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}
        None: a score for each class. Otherwise the score of all counts together, the mean of
        the scores, or their mean weighted by how often classes are there.
    beta : float
        Recall is so many times as important as precision.
    threshold : float, optional
        Predictions above it say yes; by default the greatest of each sample does.
    name : str, optional
    """

    name = "fbeta_score"
    width = 3

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if average not in (None, "micro", "macro", "weighted"):
            raise ArgumentError(
                "unknown average",
                got=repr(average),
                expected="None, 'micro', 'macro', 'weighted'",
            )
        if beta <= 0:
            raise ArgumentError("beta is positive", got=repr(beta))
        self.average, self.beta, self.threshold = average, beta, threshold

    def totals(
        self, y_true: Value, y_pred: Value, weight: Value | None = None
    ) -> tuple[Value, ...]:
        y_true = like(y_true, y_pred)
        says = ops.cast(self._says(y_pred), y_pred.dtype)
        factor = 1.0 if weight is None else spread(weight, y_pred, self.name)
        axes = tuple(range(y_pred.rank - 1))
        return tuple(
            ops.sum(count * factor, axes)
            for count in (says * y_true, says * (1.0 - y_true), (1.0 - says) * y_true)
        )

    def _says(self, y_pred: Value) -> Value:
        if self.threshold is not None:
            return y_pred > self.threshold
        best = ops.equal(y_pred, ops.max(y_pred, axes=-1, keepdims=True))
        return ops.logical_and(best, abs(y_pred) > 1e-9)

    def finish(self, totals: Sequence[np.ndarray], samples: float) -> Result:
        right, extra, missed = (np.asarray(each, np.float64) for each in totals)
        support = right + missed
        if self.average == "micro":
            right, extra, missed = right.sum(), extra.sum(), missed.sum()
        precision = right / (right + extra + _EPSILON)
        recall = right / (right + missed + _EPSILON)
        square = self.beta**2
        score = (1 + square) * precision * recall / (square * precision + recall + _EPSILON)
        if self.average == "weighted":
            return float(np.sum(score * support) / (support.sum() + _EPSILON))
        return score if self.average is None else float(np.mean(score))


class F1Score(FBetaScore):
    """The harmonic mean of precision and recall of each class; see `FBetaScore`.

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}
    threshold : float, optional
    name : str, optional
    """

    name = "f1_score"

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name)


class R2Score(Metric):
    """The share of the targets' variance that the prediction explains, 1 at best.

    Parameters
    ----------
    class_aggregation : {"uniform_average", "variance_weighted_average", None}
        How the scores of the last axis's entries become one; None keeps them apart.
    num_regressors : int
        If not 0, the score is adjusted for so many explaining variables.
    name : str, optional
    """

    name = "r2_score"
    width = 4

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        choices = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in choices:
            raise ArgumentError(
                "unknown class_aggregation",
                got=repr(class_aggregation),
                expected=", ".join(map(repr, choices)),
            )
        if num_regressors < 0:
            raise ArgumentError("num_regressors is not negative", got=repr(num_regressors))
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors

    def totals(
        self, y_true: Value, y_pred: Value, weight: Value | None = None
    ) -> tuple[Value, ...]:
        y_true = like(y_true, y_pred)
        error = y_true - y_pred
        one = y_pred * 0.0 + 1.0
        factor = one if weight is None else one * spread(weight, y_pred, self.name)
        axes = tuple(range(y_pred.rank - 1))
        return tuple(
            ops.sum(factor * each, axes)
            for each in (y_true, y_true * y_true, error * error, one)
        )

    def finish(self, totals: Sequence[np.ndarray], samples: float) -> Result:
        first, second, residual, count = (np.asarray(each, np.float64) for each in totals)
        variance = second - first * quotient(first, count)
        with np.errstate(divide="ignore", invalid="ignore"):
            raw = 1.0 - residual / variance
        raw = np.where(np.isinf(raw), 0.0, raw)
        if self.class_aggregation == "uniform_average":
            raw = np.mean(raw)
        elif self.class_aggregation == "variance_weighted_average":
            raw = np.sum(variance * raw) / np.sum(variance)
        if self.num_regressors:
            raw = self._adjusted(raw, samples)
        return float(raw) if np.ndim(raw) == 0 else np.asarray(raw)

    def _adjusted(self, raw: Any, samples: float) -> Any:
        free = samples - self.num_regressors - 1
        if free <= 0:
            raise ArgumentError(
                "num_regressors takes more samples than that",
                got=f"{samples:g} samples for {self.num_regressors} regressors",
            )
        return 1.0 - (1.0 - raw) * (samples - 1) / free
