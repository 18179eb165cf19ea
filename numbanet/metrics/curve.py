"""The area under a curve that a threshold runs along."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.losses.loss import spread
from numbanet.metrics.metric import Metric, Result, like, quotient

_EDGE = 1e-7


class AUC(Metric):
    """The area under the ROC or the precision-recall curve, from counts at thresholds.

    Parameters
    ----------
    num_thresholds : int
        Evenly spaced in [0, 1], both ends included.
    curve : {"ROC", "PR"}
    summation_method : {"interpolation", "minoring", "majoring"}
        How the curve runs between two thresholds. Under a precision-recall curve the first
        interpolates counts (Davis and Goadrich, 2006).
    name : str, optional
    thresholds : sequence of float, optional
        In the place of ``num_thresholds``; both ends are added.
    multi_label : bool
        Each entry of the last axis has its own curve, and the areas are averaged.
    num_labels : int, optional
        Taken for Keras's sake: the labels are counted when they are seen.
    label_weights : sequence of float, optional
        Weights of the labels' areas, or, if not ``multi_label``, of the labels' predictions.
    from_logits : bool
        Whether predictions go through a sigmoid first.
    """

    name = "auc"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name)
        _check_choice("curve", curve, ("ROC", "PR"))
        methods = ("interpolation", "minoring", "majoring")
        _check_choice("summation_method", summation_method, methods)
        if thresholds is None and num_thresholds <= 1:
            raise ArgumentError("num_thresholds is above 1", got=repr(num_thresholds))
        inner = sorted(thresholds) if thresholds else np.linspace(0, 1, num_thresholds)[1:-1]
        self._is_even = not thresholds
        self.levels = [-_EDGE, *(float(each) for each in inner), 1.0 + _EDGE]
        self.curve, self.summation_method = curve, summation_method
        self.multi_label, self.num_labels = multi_label, num_labels
        self.label_weights = None if label_weights is None else np.asarray(label_weights, float)
        self.from_logits = from_logits

    def totals(
        self, y_true: Value, y_pred: Value, weight: Value | None = None
    ) -> tuple[Value, ...]:
        chances = ops.sigmoid(y_pred) if self.from_logits else y_pred
        is_so = ops.cast(ops.not_equal(like(y_true, y_pred), 0.0), y_pred.dtype)
        parts = [is_so, 1.0 - is_so]
        weight = self._weight(y_pred, weight)
        if weight is not None:
            parts = [part * weight for part in parts]
        rows, buckets = len(self.levels), self._buckets(chances)
        if self.multi_label:
            labels = y_pred.shape[-1] or 1
            buckets = buckets + ops.constant(np.arange(labels) * rows)
            rows *= labels
        flat = ops.stack([ops.reshape(part, (-1,)) for part in parts], axis=1)
        return (ops.scatter_add(flat, ops.reshape(buckets, (-1,)), rows),)

    def _buckets(self, chances: Value) -> Value:
        """The last of the levels that each chance is above."""
        last = len(self.levels) - 2
        if self._is_even:
            above = -ops.floor(-chances * (last + 1.0)) - 1.0
        else:
            inner = ops.constant(np.asarray(self.levels[1:-1]), chances.dtype)
            is_above = ops.expand_dims(chances, -1) > inner
            above = ops.sum(ops.cast(is_above, chances.dtype), axes=-1)
        return ops.cast(ops.clip(above, 0.0, float(last)), "int64")

    def _weight(self, y_pred: Value, weight: Value | None) -> Value | None:
        weight = None if weight is None else spread(weight, y_pred, self.name)
        if self.label_weights is None or self.multi_label:
            return weight
        labels = ops.constant(self.label_weights, y_pred.dtype)
        return labels if weight is None else weight * labels

    def finish(self, totals: Sequence[np.ndarray], samples: float) -> Result:
        found = np.asarray(totals[0], np.float64).reshape(-1, len(self.levels), 2)
        # Above a level is what lies in its bucket and in those that come after.
        tp, fp = np.moveaxis(np.flip(np.cumsum(np.flip(found, 1), 1), 1), (2, 1), (0, 1))
        areas = self._area(tp, fp, tp[0] - tp, fp[0] - fp)
        if self.label_weights is None or not self.multi_label:
            return float(np.mean(areas))
        return float(quotient(np.sum(areas * self.label_weights), np.sum(self.label_weights)))

    def _area(
        self, tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray
    ) -> np.ndarray:
        if self.curve == "PR" and self.summation_method == "interpolation":
            return _interpolated_area(tp, fp, fn)
        recall = quotient(tp, tp + fn)
        if self.curve == "ROC":
            x, y = quotient(fp, fp + tn), recall
        else:
            x, y = recall, quotient(tp, tp + fp)
        combine = {
            "interpolation": lambda a, b: (a + b) / 2,
            "minoring": np.minimum,
            "majoring": np.maximum,
        }[self.summation_method]
        return np.sum((x[:-1] - x[1:]) * combine(y[:-1], y[1:]), axis=0)


def _interpolated_area(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    """The integral of precision where true and false positives both run straight."""
    said = tp + fp
    gained = tp[:-1] - tp[1:]
    slope = quotient(gained, np.maximum(said[:-1] - said[1:], 0))
    intercept = tp[1:] - slope * said[1:]
    both = (said[:-1] > 0) & (said[1:] > 0)
    ratio = np.where(both, quotient(said[:-1], said[1:]), 1.0)
    area = slope * (gained + intercept * np.log(ratio))
    return np.sum(quotient(area, tp[1:] + fn[1:]), axis=0)


def _check_choice(name: str, given: str, choices: Sequence[str]) -> None:
    if given not in choices:
        raise ArgumentError(
            f"unknown {name}", got=repr(given), expected=", ".join(map(repr, choices))
        )
