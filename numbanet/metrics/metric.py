"""What every metric does: totals that a step adds up on the device, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numbanet import ops
from numbanet.arrays import targets
from numbanet.arrays.host import on_host
from numbanet.arrays.inputs import as_data
from numbanet.configuration import Configured
from numbanet.errors import ArgumentError
from numbanet.ir import DType, TensorType, Value
from numbanet.ir.resident import Array
from numbanet.losses.loss import Loss, spread

Result = float | np.ndarray


class Metric(Configured):
    """Base of metrics.

    A step computes ``totals`` of its batch, which add up over batches. The host makes the
    metric out of the sums when somebody looks.

    Subclasses implement ``totals`` and ``finish``.

    Parameters
    ----------
    name : str, optional
        Key in logs; by default the class's.

    Attributes
    ----------
    width : int
        Number of totals.
    takes_masks : bool
        Whether what a mask of the predictions hides has no weight.
    """

    name = "metric"
    width = 1
    takes_masks = False

    def __init__(self, name: str | None = None) -> None:
        self.name = name or self.name

    def totals(
        self, y_true: Value, y_pred: Value, weight: Value | None = None
    ) -> tuple[Value, ...]:
        """Numbers of a batch, to be added up; scalars where that is enough.

        Parameters
        ----------
        y_true, y_pred : Value
            Of a known batch size.
        weight : Value, optional
            ``[batch]`` or with more of the prediction's leading axes.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement totals()")

    def finish(self, totals: Sequence[np.ndarray], samples: float) -> Result:
        """The metric, when totals add up to ``totals`` and weights (by default 1 for each
        sample) to ``samples``."""
        raise NotImplementedError(f"{type(self).__name__} does not implement finish()")

    # On arrays, without a model.

    _sums: list[np.ndarray] | None = None
    _samples = 0.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of arrays.

        Parameters
        ----------
        y_true, y_pred : array_like
        sample_weight : array_like, optional
            ``[batch]`` or with more of the prediction's leading axes.
        """
        totals = on_host(self._listed, self, y_true, y_pred, sample_weight)
        sums = self._sums or [np.zeros_like(each, np.float64) for each in totals]
        self._sums = [a + b for a, b in zip(sums, totals, strict=True)]
        weights = len(y_pred) if sample_weight is None else np.sum(sample_weight)
        self._samples += float(weights)

    def result(self) -> Result:
        """The metric of all batches since the last reset; 0 of none."""
        return 0.0 if self._sums is None else self.finish(self._sums, self._samples)

    def reset_state(self) -> None:
        """Forget all batches."""
        self._sums, self._samples = None, 0.0

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Result:
        """`update_state`, then `result`."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def prepare(self, y: object, prediction: TensorType, name: str) -> Array:
        """Targets for `update_state`: integers stay integers, all else becomes the
        predictions' dtype."""
        if as_data(y, name).dtype.kind in "iu":
            prediction = TensorType(prediction.shape, DType.INT64)
        return targets.any_numbers(y, prediction, name)

    def _listed(self, y_true: Value, y_pred: Value, weight: Value | None) -> list[Value]:
        return list(self.totals(y_true, y_pred, weight))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class MeanMetric(Metric):
    """The mean over samples of a number that each sample has: ``values(y_true, y_pred)``."""

    takes_masks = True

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Numbers whose first axis is the batch; further axes are averaged."""
        raise NotImplementedError(f"{type(self).__name__} does not implement values()")

    def totals(
        self, y_true: Value, y_pred: Value, weight: Value | None = None
    ) -> tuple[Value, ...]:
        values = self.values(y_true, y_pred)
        if not values.dtype.is_floating:
            values = ops.cast(values, y_pred.dtype)
        if values.rank == 0:
            values = ops.expand(values, (y_pred.type.shape[0] or 1,))
        kept = 1 if weight is None else weight.rank
        if values.rank > kept:
            values = ops.mean(values, axes=tuple(range(kept, values.rank)))
        return (
            ops.sum(values if weight is None else values * spread(weight, values, self.name)),
        )

    def finish(self, totals: Sequence[np.ndarray], samples: float) -> Result:
        return quotient(float(totals[0]), samples)


class MeanMetricWrapper(MeanMetric):
    """The mean of a function's values.

    Parameters
    ----------
    fn : callable
        ``(y_true, y_pred, **kwargs) -> values``, written in ops.
    name : str, optional
        By default the function's.
    **kwargs
        For the function.
    """

    def __init__(
        self, fn: Callable[..., Value], name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None))
        self.fn, self.kwargs = fn, kwargs

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return self.fn(y_true, y_pred, **self.kwargs)


class LossMetric(MeanMetric):
    """The mean of a loss's values.

    Parameters
    ----------
    loss : Loss
    name : str, optional
        By default the loss's.
    """

    def __init__(self, loss: Loss, name: str | None = None) -> None:
        super().__init__(name or loss.name)
        self.loss = loss

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return self.loss.values(self.loss.suited(y_true, y_pred), y_pred)

    def prepare(self, y: object, prediction: TensorType, name: str) -> Array:
        return self.loss.prepare(y, prediction, name)


class _Running:
    """Sums on the host of numbers that are there already."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reset_state()

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add numbers, each with its weight."""
        values = np.asarray(values, np.float64)
        weights = np.ones(()) if sample_weight is None else np.asarray(sample_weight)
        if weights.ndim > values.ndim:
            raise ArgumentError(
                "more axes of weights than of values",
                got=f"{weights.shape} for {values.shape}",
            )
        weights = weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim))
        self._total += float(np.sum(values * weights))
        self._weight += float(np.sum(np.broadcast_to(weights, values.shape)))

    def reset_state(self) -> None:
        """Forget all numbers."""
        self._total = self._weight = 0.0

    def result(self) -> float:
        raise NotImplementedError

    def __call__(self, values: Any, sample_weight: Any = None) -> float:
        """`update_state`, then `result`."""
        self.update_state(values, sample_weight)
        return self.result()


class Sum(_Running):
    """The weighted sum of the numbers it is given.

    Parameters
    ----------
    name : str
    """

    def __init__(self, name: str = "sum") -> None:
        super().__init__(name)

    def result(self) -> float:
        return self._total


class Mean(_Running):
    """The weighted mean of the numbers it is given; 0 of none.

    Parameters
    ----------
    name : str
    """

    def __init__(self, name: str = "mean") -> None:
        super().__init__(name)

    def result(self) -> float:
        return quotient(self._total, self._weight)


def quotient(a: Any, b: Any) -> Any:
    """``a / b``, and 0 where ``b`` is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    found = np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=b != 0)
    return float(found) if found.ndim == 0 else found


def like(y_true: Value, y_pred: Value) -> Value:
    """Targets in the predictions' dtype."""
    return y_true if y_true.dtype is y_pred.dtype else ops.cast(y_true, y_pred.dtype)


def scores(y_pred: Value) -> Value:
    """What ranks as ``y_pred`` does: a softmax need not be computed to rank its input."""
    return y_pred.node.inputs[0] if y_pred.node.op.name == "softmax" else y_pred
