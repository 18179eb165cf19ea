"""Counts of right and wrong yes-or-no predictions, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.losses.loss import spread
from numbanet.metrics.metric import Metric, Result, like, quotient

Thresholds = float | Sequence[float] | None


class ThresholdMetric(Metric):
    """Base of metrics that count predictions above thresholds.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        In [0, 1], 0.5 by default. A sequence gives a result for each.
    top_k : int, optional
        Only the so many greatest predictions of a sample say yes, by default whatever they are.
    class_id : int, optional
        Only this entry of the last axis is looked at.
    name : str, optional
    """

    counted: tuple[tuple[bool, bool], ...] = ()
    """The totals: each counts where the prediction, and the target, are so."""

    def __init__(
        self,
        thresholds: Thresholds = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        self._levels = _levels(thresholds, 0.5 if top_k is None else -np.inf)
        self._is_single = not isinstance(thresholds, Sequence)
        self.width = len(self.counted)

    def totals(
        self, y_true: Value, y_pred: Value, weight: Value | None = None
    ) -> tuple[Value, ...]:
        weight = None if weight is None else _to_elements(weight, y_pred, self.name)
        said = y_pred
        if self.top_k is not None:
            said = ops.where(_is_among_best(y_pred, self.top_k), y_pred, -np.inf)
        parts = [like(y_true, y_pred), said, *([] if weight is None else [weight])]
        if self.class_id is not None:
            parts = [part[..., self.class_id] for part in parts]
        return counts([ops.reshape(part, (-1,)) for part in parts], self._levels, self.counted)

    def _shown(self, result: np.ndarray) -> Result:
        return float(np.ravel(result)[0]) if self._is_single else np.asarray(result)


class _Count(ThresholdMetric):
    def __init__(self, thresholds: Thresholds = None, name: str | None = None) -> None:
        super().__init__(thresholds, name=name)

    def finish(self, totals: Sequence[np.ndarray], samples: float) -> Result:
        return self._shown(totals[0])


class TruePositives(_Count):
    """How many predictions rightly say yes; parameters as in `ThresholdMetric`."""

    name = "true_positives"
    counted = ((True, True),)


class FalsePositives(_Count):
    """How many predictions wrongly say yes; parameters as in `ThresholdMetric`."""

    name = "false_positives"
    counted = ((True, False),)


class FalseNegatives(_Count):
    """How many predictions wrongly say no; parameters as in `ThresholdMetric`."""

    name = "false_negatives"
    counted = ((False, True),)


class TrueNegatives(_Count):
    """How many predictions rightly say no; parameters as in `ThresholdMetric`."""

    name = "true_negatives"
    counted = ((False, False),)


class _Share(ThresholdMetric):
    def finish(self, totals: Sequence[np.ndarray], samples: float) -> Result:
        right, wrong = totals
        return self._shown(quotient(right, right + wrong))


class Precision(_Share):
    """How many of those that the prediction says yes to are so; parameters as in
    `ThresholdMetric`."""

    name = "precision"
    counted = ((True, True), (True, False))


class Recall(_Share):
    """How many of those that are so the prediction says yes to; parameters as in
    `ThresholdMetric`."""

    name = "recall"
    counted = ((True, True), (False, True))


def counts(
    flat: Sequence[Value], levels: Sequence[float], counted: Sequence[tuple[bool, bool]]
) -> tuple[Value, ...]:
    """For each ``(says, is)`` of ``counted``, the weights of the predictions that are so.

    Parameters
    ----------
    flat : targets, predictions and perhaps weights, ``[M]``
    levels : sequence of float
        A prediction says yes above a level.

    Returns
    -------
    tuple of Value
        ``[]`` if there is one level, else ``[levels]``.
    """
    y_true, y_pred, *weight = flat
    if len(levels) > 1:
        y_true, y_pred, *weight = (ops.expand_dims(each, 0) for each in flat)
    level = levels[0] if len(levels) == 1 else ops.constant(np.c_[levels], y_pred.dtype)
    says, is_so = y_pred > level, ops.not_equal(y_true, 0.0)
    found = []
    for positive, true in counted:
        both = ops.logical_and(
            says if positive else ops.logical_not(says),
            is_so if true else ops.logical_not(is_so),
        )
        number = ops.cast(both, y_pred.dtype)
        found.append(ops.sum(number * weight[0] if weight else number, axes=-1))
    return tuple(found)


def _levels(thresholds: Thresholds, default: float) -> list[float]:
    if thresholds is None:
        return [default]
    given = list(thresholds) if isinstance(thresholds, Sequence) else [thresholds]
    if not given or not all(0 <= each <= 1 for each in given):
        raise ArgumentError("thresholds lie in [0, 1]", got=repr(thresholds))
    return [float(each) for each in given]


def _to_elements(weight: Value, y_pred: Value, name: str) -> Value:
    """A weight for each prediction."""
    return ops.expand(spread(weight, y_pred, name), y_pred.type.sizes)


def _is_among_best(x: Value, k: int) -> Value:
    """Bool: whether fewer than ``k`` elements of the last axis come before, in falling order;
    of equal ones the first comes first."""
    size = x.shape[-1] or 0
    a, b = ops.expand_dims(x, -1), ops.expand_dims(x, -2)
    is_later = ops.constant(np.tri(size, k=-1) > 0)
    before = ops.logical_or(b > a, ops.logical_and(ops.equal(a, b), is_later))
    return ops.less(ops.sum(ops.cast(before, "int32"), axes=-1), k)
