"""Losses of overlap: how much of two sets, such as two masks of pixels, is common."""

from __future__ import annotations

from collections.abc import Sequence

from numbanet import ops
from numbanet.ir import Value
from numbanet.losses.loss import EPSILON, Loss


class Tversky(Loss):
    """One minus the Tversky index, with weights for false positives and false negatives
    (Salehi et al., 2017).

    Parameters
    ----------
    alpha : float
        Weight of what is there and not predicted, as in Keras; the paper has it the other way.
    beta : float
        Weight of what is predicted and not there.
    axis : int or sequence of int, optional
        The axes that make up a set; by default all, the batch included.
    reduction, name
        As those of `Loss`.
    """

    name = "tversky"

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        axis: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.alpha, self.beta, self.axis = alpha, beta, axis

    def values(self, y_true: Value, y_pred: Value) -> Value:
        common = self._sum(y_true * y_pred)
        missed = self._sum(y_true * (1.0 - y_pred))
        extra = self._sum((1.0 - y_true) * y_pred)
        union = common + missed * self.alpha + extra * self.beta
        return 1.0 - common / (union + EPSILON)

    def _sum(self, value: Value) -> Value:
        return ops.sum(value, axes=self.axis)


class Dice(Loss):
    """One minus the Dice coefficient, ``2 |A and B| / (|A| + |B|)`` (Milletari et al., 2016).

    Parameters
    ----------
    reduction, name
        As those of `Loss`.
    axis : int or sequence of int, optional
        The axes that make up a set; by default all, the batch included.
    """

    name = "dice"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        axis: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.axis = axis

    def values(self, y_true: Value, y_pred: Value) -> Value:
        common = ops.sum(y_true * y_pred, axes=self.axis)
        sizes = ops.sum(y_true, axes=self.axis) + ops.sum(y_pred, axes=self.axis)
        return 1.0 - common * 2.0 / (sizes + EPSILON)
