"""Accuracies: how often a prediction is right."""

from __future__ import annotations

from numbanet import ops
from numbanet.ir import Value
from numbanet.metrics.metric import MeanMetric, like, scores


class Accuracy(MeanMetric):
    """How often the prediction equals the target.

    The string ``"accuracy"`` is another: the one of the accuracies below that suits the
    targets.
    """

    name = "accuracy"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return ops.equal(like(y_true, y_pred), y_pred)


class SparseCategoricalAccuracy(MeanMetric):
    """How often the greatest prediction is that of the integer label."""

    name = "sparse_categorical_accuracy"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return ops.equal(
            ops.argmax(scores(y_pred), axis=-1), ops.cast(_labels(y_true, y_pred), "int64")
        )


class CategoricalAccuracy(MeanMetric):
    """How often the greatest prediction is where the one-hot target is greatest."""

    name = "categorical_accuracy"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return ops.equal(ops.argmax(scores(y_pred), axis=-1), ops.argmax(y_true, axis=-1))


class BinaryAccuracy(MeanMetric):
    """How often a yes-or-no prediction is on the right side of ``threshold``.

    Parameters
    ----------
    name : str, optional
    threshold : float
    """

    name = "binary_accuracy"

    def __init__(self, name: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = threshold

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return ops.equal(
            ops.cast(y_pred > self.threshold, "int32"),
            ops.cast(like(y_true, y_pred) > 0.5, "int32"),
        )


class SparseTopKCategoricalAccuracy(MeanMetric):
    """How often fewer than ``k`` predictions are greater than that of the integer label.

    Parameters
    ----------
    k : int
    name : str, optional
    """

    name = "sparse_top_k_categorical_accuracy"

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name)
        self.k = k

    def values(self, y_true: Value, y_pred: Value) -> Value:
        ranked = scores(y_pred)
        labels = ops.cast(_labels(y_true, y_pred), "int64")
        is_label = ops.one_hot(labels, y_pred.shape[-1] or 0, y_pred.dtype)
        own = ops.sum(ops.where(is_label > 0.5, ranked, 0.0), axes=-1, keepdims=True)
        greater = ops.sum(ops.cast(ranked > own, "int32"), axes=-1)
        return ops.less(greater, self.k)


class TopKCategoricalAccuracy(SparseTopKCategoricalAccuracy):
    """`SparseTopKCategoricalAccuracy` of the class where a one-hot target is greatest."""

    name = "top_k_categorical_accuracy"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        return super().values(ops.argmax(y_true, axis=-1), y_pred)


class SuitableAccuracy(MeanMetric):
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


def _labels(y_true: Value, y_pred: Value) -> Value:
    """Labels without a last axis of size one."""
    return ops.squeeze(y_true, -1) if y_true.rank == y_pred.rank else y_true
