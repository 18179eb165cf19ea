"""Metrics with Keras's names: sums that a step adds to on the device, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import DType, Value
from numbanet.losses import Loss


class Metric:
    """Base of metrics.

    A step computes ``totals`` of its batch: scalars that add up over batches. The host makes
    the metric out of the sums and the number of samples when somebody looks.

    Attributes
    ----------
    name : str
        Key in logs.
    width : int
        Number of totals.
    """

    name = "metric"
    width = 1

    def totals(self, y_true: Value, y_pred: Value) -> tuple[Value, ...]:
        """Scalars of a batch, to be added up."""
        raise NotImplementedError(f"{type(self).__name__} does not implement totals()")

    def result(self, totals: Sequence[float], samples: int) -> float:
        """The metric over ``samples`` samples whose totals add up to ``totals``."""
        raise NotImplementedError(f"{type(self).__name__} does not implement result()")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class MeanMetric(Metric):
    """The mean over samples of a number that each sample has: ``values(y_true, y_pred)``."""

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Numbers whose first axis is the batch; further axes are averaged."""
        raise NotImplementedError(f"{type(self).__name__} does not implement values()")

    def totals(self, y_true: Value, y_pred: Value) -> tuple[Value, ...]:
        values = self.values(y_true, y_pred)
        if values.dtype is DType.BOOL:
            values = ops.cast(values, y_pred.dtype)
        if values.rank > 1:
            values = ops.mean(values, axes=tuple(range(1, values.rank)))
        return (ops.sum(values),)

    def result(self, totals: Sequence[float], samples: int) -> float:
        return float(totals[0]) / samples


class LossMetric(MeanMetric):
    """The mean of a loss.

    Parameters
    ----------
    loss : Loss
    name : str, optional
        By default the loss's.
    """

    def __init__(self, loss: Loss, name: str | None = None) -> None:
        self.loss = loss
        self.name = name or loss.name

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return self.loss.values(y_true, y_pred)


def _scores(y_pred: Value) -> Value:
    """What ranks as ``y_pred`` does: a softmax need not be computed to rank its input."""
    return y_pred.node.inputs[0] if y_pred.node.op.name == "softmax" else y_pred


class SparseCategoricalAccuracy(MeanMetric):
    """How often the greatest prediction is that of the integer label."""

    name = "sparse_categorical_accuracy"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return ops.equal(ops.argmax(_scores(y_pred), axis=-1), ops.cast(y_true, "int64"))


class CategoricalAccuracy(MeanMetric):
    """How often the greatest prediction is where the one-hot target is greatest."""

    name = "categorical_accuracy"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return ops.equal(ops.argmax(_scores(y_pred), axis=-1), ops.argmax(y_true, axis=-1))


class BinaryAccuracy(MeanMetric):
    """How often a yes-or-no prediction is on the right side of ``threshold``.

    Parameters
    ----------
    threshold : float
    """

    name = "binary_accuracy"

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return ops.equal(
            ops.cast(y_pred > self.threshold, "int32"), ops.cast(y_true > 0.5, "int32")
        )


class MeanSquaredError(MeanMetric):
    """The mean squared difference."""

    name = "mean_squared_error"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        difference = y_pred - y_true
        return difference * difference


class MeanAbsoluteError(MeanMetric):
    """The mean absolute difference."""

    name = "mean_absolute_error"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return abs(y_pred - y_true)


class Accuracy(MeanMetric):
    """The accuracy that suits the targets: Keras's ``"accuracy"``.

    Integer labels: the sparse categorical one; predictions of one column: the binary one;
    otherwise the categorical one.
    """

    name = "accuracy"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        if y_true.dtype.is_integer:
            suitable: MeanMetric = SparseCategoricalAccuracy()
        elif y_pred.shape[-1] == 1:
            suitable = BinaryAccuracy()
        else:
            suitable = CategoricalAccuracy()
        return suitable.values(y_true, y_pred)


MetricLike = str | Metric

_NAMES: dict[str, type[Metric]] = {
    "accuracy": Accuracy,
    "acc": Accuracy,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "binary_accuracy": BinaryAccuracy,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
}


def get(identifier: MetricLike) -> Metric:
    """The metric of a name such as ``"accuracy"``, which then is called by that name."""
    if isinstance(identifier, Metric):
        return identifier
    if identifier not in _NAMES:
        raise ArgumentError(
            "unknown metric",
            got=repr(identifier),
            expected=", ".join(_NAMES) + ", or a Metric",
        )
    metric = _NAMES[identifier]()
    metric.name = identifier
    return metric
