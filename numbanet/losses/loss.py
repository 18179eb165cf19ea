"""What every loss does: values a sample, weights, and their reduction to one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbanet import ops
from numbanet.arrays import targets
from numbanet.arrays.host import is_symbolic, on_host
from numbanet.configuration import Configured
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import TensorType, Value
from numbanet.ir.resident import Array

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)

EPSILON = 1e-7
"""Keras's: keeps quotients, logarithms and their gradients finite."""


class Loss(Configured):
    """Base of losses.

    Subclasses implement ``values(y_true, y_pred)``, or ``call`` as Keras spells it: symbolic
    losses whose first axis is the batch. Targets have the prediction's type unless
    ``target_type`` and ``prepare`` say otherwise.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None}
        What calling the loss makes of its values. The first two divide by their number, the
        third by the sum of the weights. With none of them it returns the values.
    name : str, optional

    Raises
    ------
    ArgumentError
        On another reduction.
    """

    name = "loss"

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = vars(cls)
        if "call" in own and "values" not in own:
            cls.values = own["call"]

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = None
    ) -> None:
        if reduction not in REDUCTIONS:
            raise ArgumentError(
                "unknown reduction",
                got=repr(reduction),
                expected=", ".join(map(repr, REDUCTIONS)),
            )
        self.reduction = None if reduction == "none" else reduction
        self.name = name or self.name

    def values(self, y_true: Value, y_pred: Value) -> Value:
        raise NotImplementedError(f"{type(self).__name__} does not implement values()")

    def counts(self, y_true: Value) -> Value | None:
        """Bools: which of ``values`` count at all, the others being 0; None for every one."""
        return None

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Value | None = None
    ) -> Any:
        """The reduced loss.

        Parameters
        ----------
        y_true, y_pred : Value or array_like
            Arrays are computed on the host, and an array is returned.
        sample_weight : Value or array_like, optional
            A factor for each sample, or for each of its values.
        mask : Value, optional
            Of symbolic predictions: bools of their leading axes. Where it is false values are
            zeros that do not count, as if they were not there.
        """
        if is_symbolic(y_pred):
            return self._reduced(y_true, y_pred, sample_weight, mask)
        return on_host(self._reduced, self, y_true, y_pred, sample_weight)

    def _reduced(
        self, y_true: Value, y_pred: Value, weight: Value | None, mask: Value | None = None
    ) -> Value:
        values, counts = self.values(y_true, y_pred), self.counts(y_true)
        if mask is not None and values.rank:
            mask = alike(mask, values, self.name)
            values = ops.where(mask, values, 0.0)
            counts = mask if counts is None else ops.logical_and(counts, mask)
        if weight is not None:
            weight = spread(weight, values, self.name)
            values = values * weight
        if self.reduction is None or values.rank == 0:
            return values
        if self.reduction == "sum":
            return ops.sum(values)
        if self.reduction == "mean_with_sample_weight" and weight is not None:
            if counts is not None:
                weight = ops.where(counts, weight, 0.0)
            return ops.sum(values) / ops.maximum(ops.sum(weight), EPSILON)
        if counts is None:
            return ops.mean(values)
        number = ops.sum(ops.where(counts, ops.ones_like(values), 0.0))
        return ops.sum(values) / ops.maximum(number, 1.0)

    def target_type(self, prediction: TensorType) -> TensorType:
        """Type of the targets that go with predictions of this type."""
        return prediction

    def suited(self, y_true: Value, y_pred: Value) -> Value:
        """Symbolic targets in the dtype of ``target_type``."""
        dtype = self.target_type(y_pred.type).dtype
        return y_true if y_true.dtype is dtype else ops.cast(y_true, dtype)

    def prepare(self, y: object, prediction: TensorType, name: str) -> Array:
        """Targets as an array of ``target_type``; raises DataError if they cannot be."""
        return targets.numbers(y, self.target_type(prediction), name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class ElementLoss(Loss):
    """The mean over the last axis of what ``elements(y_true, y_pred)`` gives."""

    def elements(self, y_true: Value, y_pred: Value) -> Value:
        raise NotImplementedError(f"{type(self).__name__} does not implement elements()")

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return ops.mean(self.elements(y_true, y_pred), axes=-1)


class FunctionLoss(Loss):
    """A loss of the user's own.

    Parameters
    ----------
    function : callable
        ``(y_true, y_pred) -> values``, written in ops; ``y_true`` is a value of the
        prediction's dtype. Its result's first axis is the batch, or it is one number.
    reduction, name
        As those of `Loss`; the name is by default the function's.
    """

    def __init__(
        self,
        function: Callable[[Value, Value], Value],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name or getattr(function, "__name__", "loss"))
        self.function = function

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return self.function(y_true, y_pred)

    def prepare(self, y: object, prediction: TensorType, name: str) -> Array:
        return targets.any_numbers(y, prediction, name)


def spread(weight: Value, values: Value, name: str) -> Value:
    """`alike` weights, in the dtype of ``values``."""
    weight = alike(weight, values, name)
    return weight if weight.dtype is values.dtype else ops.cast(weight, values.dtype)


def alike(weight: Value, values: Value, name: str) -> Value:
    """Weights with axes of size one where ``values`` have more, so that they broadcast.

    A single number for the whole batch may be given any weights.
    """
    if values.rank and weight.rank > values.rank:
        raise ShapeError(
            f"{name}: sample weights have more axes than what they weigh",
            got=str(weight.shape),
            expected=f"the leading axes of {values.shape}",
        )
    missing = range(weight.rank, values.rank)
    return ops.expand_dims(weight, tuple(missing)) if missing else weight


def input_of(op: str, value: Value) -> Value | None:
    """What went into ``op`` if ``value`` came right out of it."""
    return value.node.inputs[0] if value.node.op.name == op else None


def check_range(name: str, number: float, low: float, high: float) -> None:
    if not low <= number <= high:
        raise ArgumentError(f"{name} lies in [{low:g}, {high:g}]", got=repr(number))


def moved_last(value: Value, axis: int) -> Value:
    """``value`` with ``axis`` in the last place."""
    axis = axis % value.rank
    if axis == value.rank - 1:
        return value
    return ops.transpose(value, [*(i for i in range(value.rank) if i != axis), axis])
