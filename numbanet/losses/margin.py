"""Losses of margins: predictions are scores, and being right by enough costs nothing."""

from __future__ import annotations

from numbanet import ops
from numbanet.ir import Value
from numbanet.losses.loss import ElementLoss, Loss


class Hinge(ElementLoss):
    """The mean over the last axis of ``max(1 - y_true * y_pred, 0)``.

    Targets are -1 and 1; where a batch has nothing but 0 and 1, these are taken for them.
    """

    name = "hinge"

    def elements(self, y_true: Value, y_pred: Value) -> Value:
        return ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0)


class SquaredHinge(Hinge):
    """The mean over the last axis of the square of `Hinge`'s elements."""

    name = "squared_hinge"

    def elements(self, y_true: Value, y_pred: Value) -> Value:
        return ops.square(super().elements(y_true, y_pred))


class CategoricalHinge(Loss):
    """``max(1 + best wrong score - right score, 0)`` of one-hot targets."""

    name = "categorical_hinge"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        right = ops.sum(y_true * y_pred, axes=-1)
        wrong = ops.max((1.0 - y_true) * y_pred, axes=-1)
        return ops.maximum(wrong - right + 1.0, 0.0)


def _signs(y_true: Value) -> Value:
    """Targets as -1 and 1: 0 becomes -1 if there is nothing else but ones."""
    is_bit = ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0))
    all_bits = ops.min(ops.cast(is_bit, y_true.dtype))
    return ops.where(all_bits > 0.5, y_true * 2.0 - 1.0, y_true)
