"""Metrics of a confusion matrix: how classes overlap with what is predicted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.losses.loss import spread
from numbanet.metrics.metric import Metric, Result, scores


class ConfusionMatrix(Metric):
    """How often each class (row) is predicted as each (column).

    Parameters
    ----------
    num_classes : int
    name : str, optional
    ignore_class : int, optional
        Targets of this class are not counted.
    sparse_y_true : bool
        Targets are classes, not one-hot.
    sparse_y_pred : bool
        Predictions are classes, not scores with the classes along ``axis``.
    axis : int
    """

    name = "confusion_matrix"

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(name)
        self.num_classes, self.ignore_class = num_classes, ignore_class
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        self.axis = axis

    def totals(
        self, y_true: Value, y_pred: Value, weight: Value | None = None
    ) -> tuple[Value, ...]:
        dtype = y_pred.dtype
        said = y_pred if self.sparse_y_pred else ops.argmax(scores(y_pred), axis=self.axis)
        true = y_true if self.sparse_y_true else ops.argmax(y_true, axis=self.axis)
        if weight is not None:
            weight = ops.reshape(
                ops.expand(spread(weight, said, self.name), said.type.sizes), (-1,)
            )
            weight = ops.cast(weight, dtype)
        true, said = (ops.cast(ops.reshape(each, (-1,)), "int64") for each in (true, said))
        rows = ops.one_hot(true, self.num_classes, dtype)
        if self.ignore_class is not None:
            kept = ops.cast(ops.not_equal(true, self.ignore_class), dtype)
            rows = rows * ops.expand_dims(kept, -1)
        if weight is not None:
            rows = rows * ops.expand_dims(weight, -1)
        columns = ops.one_hot(said, self.num_classes, dtype)
        return (ops.matmul(rows, columns, transpose_a=True),)

    def finish(self, totals: Sequence[np.ndarray], samples: float) -> Result:
        return np.asarray(totals[0], np.float64)


class IoU(ConfusionMatrix):
    """Intersection over union, the mean over some classes.

    Parameters
    ----------
    num_classes : int
    target_class_ids : sequence of int
        The classes that are looked at.
    name, ignore_class, sparse_y_true, sparse_y_pred, axis
        As those of `ConfusionMatrix`.
    """

    name = "io_u"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, ignore_class, sparse_y_true, sparse_y_pred, axis)
        if not target_class_ids or max(target_class_ids) >= num_classes:
            raise ArgumentError(
                "target_class_ids are classes",
                got=repr(target_class_ids),
                expected=f"numbers below {num_classes}",
            )
        self.target_class_ids = list(target_class_ids)

    def finish(self, totals: Sequence[np.ndarray], samples: float) -> Result:
        matrix = np.asarray(totals[0], np.float64)
        common = np.diag(matrix)[self.target_class_ids]
        either = (matrix.sum(0) + matrix.sum(1))[self.target_class_ids] - common
        seen = either > 0
        return float(np.sum(common[seen] / either[seen]) / max(np.sum(seen), 1))


class MeanIoU(IoU):
    """Intersection over union, the mean over all classes; parameters as in `IoU`."""

    name = "mean_io_u"

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            range(num_classes),
            name,
            ignore_class,
            sparse_y_true,
            sparse_y_pred,
            axis,
        )


class OneHotIoU(IoU):
    """`IoU` of one-hot targets and scores; ``sparse_y_pred`` as there."""

    name = "one_hot_io_u"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes, target_class_ids, name, ignore_class, False, sparse_y_pred, axis
        )


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot targets and scores; ``sparse_y_pred`` as there."""

    name = "one_hot_mean_io_u"

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, ignore_class, False, sparse_y_pred, axis)


class BinaryIoU(IoU):
    """`IoU` of yes-or-no predictions: class 1 above a threshold, class 0 else.

    Parameters
    ----------
    target_class_ids : sequence of int
        Of 0 and 1.
    threshold : float
    name : str, optional
    """

    name = "binary_io_u"

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
    ) -> None:
        super().__init__(2, target_class_ids, name)
        self.threshold = threshold

    def totals(
        self, y_true: Value, y_pred: Value, weight: Value | None = None
    ) -> tuple[Value, ...]:
        return super().totals(y_true, ops.cast(y_pred >= self.threshold, y_pred.dtype), weight)
