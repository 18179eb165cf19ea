"""Cross-entropies and their relatives: predictions are probabilities, or logits of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numbanet import ops
from numbanet.arrays import targets
from numbanet.errors import ArgumentError
from numbanet.ir import DType, TensorType, Value
from numbanet.ir.resident import Array
from numbanet.losses.loss import EPSILON, Loss, check_range, input_of, moved_last

REDUCTION = "sum_over_batch_size"


class _Entropy(Loss):
    """What cross-entropies have in common.

    Predictions that come right out of a softmax or sigmoid layer are traced back to that
    layer's input, so that nothing is lost in rounding.
    """

    def __init__(
        self, from_logits: bool, axis: int, reduction: str | None, name: str | None
    ) -> None:
        super().__init__(reduction, name)
        self.from_logits = from_logits
        self.axis = axis

    def _logits(self, activation: str, y_pred: Value) -> Value | None:
        """The logits behind predictions, classes last, if they can be had."""
        logits = y_pred if self.from_logits else input_of(activation, y_pred)
        return None if logits is None else moved_last(logits, self.axis)

    def _probabilities(self, y_pred: Value) -> Value:
        """Probabilities that add up to one, classes last, kept off 0 and 1."""
        y_pred = moved_last(y_pred, self.axis)
        shares = y_pred / ops.sum(y_pred, axes=-1, keepdims=True)
        return ops.clip(shares, EPSILON, 1.0 - EPSILON)


class SparseCategoricalCrossentropy(_Entropy):
    """Minus the logarithm of the probability given to the right class.

    Parameters
    ----------
    from_logits : bool
        Predictions are logits. If not, and they come out of a softmax layer, the loss is
        computed from that layer's input all the same: nothing is lost in rounding.
    ignore_class : int, optional
        Samples of this class cost nothing and are not counted.
    reduction, name
        As those of `Loss`.
    axis : int
        That of the classes in the predictions.

    Notes
    -----
    Targets are integers ``(batch, ...)`` in ``0 .. classes - 1``; predictions are
    ``(batch, ..., classes)``.
    """

    name = "sparse_categorical_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = REDUCTION,
        axis: int = -1,
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, axis, reduction, name)
        self.ignore_class = ignore_class

    def values(self, y_true: Value, y_pred: Value) -> Value:
        if y_true.rank == y_pred.rank:
            y_true = ops.squeeze(y_true, -1)
        counts = self.counts(y_true)
        if counts is not None:
            y_true = ops.where(counts, y_true, 0)
        logits = self._logits("softmax", y_pred)
        if logits is not None:
            losses = ops.cross_entropy(logits, y_true)
        else:
            losses = ops.nll(ops.log(self._probabilities(y_pred)), y_true)
        return losses if counts is None else ops.where(counts, losses, 0.0)

    def counts(self, y_true: Value) -> Value | None:
        if self.ignore_class is None:
            return None
        return ops.not_equal(y_true, self.ignore_class)

    def target_type(self, prediction: TensorType) -> TensorType:
        shape = list(prediction.shape)
        del shape[self.axis]
        return TensorType(tuple(shape), DType.INT64)

    def prepare(self, y: object, prediction: TensorType, name: str) -> Array:
        classes = prediction.shape[self.axis] or 0
        return targets.labels(y, self.target_type(prediction), classes, name, self.ignore_class)


class CategoricalCrossentropy(_Entropy):
    """Cross-entropy with a distribution (one-hot, or soft) for each sample.

    Parameters
    ----------
    from_logits : bool
        See `SparseCategoricalCrossentropy`.
    label_smoothing : float
        This share of each target is spread over all classes (Szegedy et al., 2016).
    axis : int
        That of the classes.
    reduction, name
        As those of `Loss`.
    """

    name = "categorical_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = REDUCTION,
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, axis, reduction, name)
        check_range("label_smoothing", label_smoothing, 0.0, 1.0)
        self.label_smoothing = label_smoothing

    def values(self, y_true: Value, y_pred: Value) -> Value:
        logits = self._logits("softmax", y_pred)
        if logits is not None:
            logs = ops.log_softmax(logits)
        else:
            logs = ops.log(self._probabilities(y_pred))
        return -ops.sum(self._smooth(y_true) * logs, axes=-1)

    def _smooth(self, y_true: Value) -> Value:
        y_true = moved_last(y_true, self.axis)
        if not self.label_smoothing:
            return y_true
        share = self.label_smoothing / (y_true.shape[-1] or 1)
        return y_true * (1.0 - self.label_smoothing) + share


class CategoricalFocalCrossentropy(CategoricalCrossentropy):
    """Cross-entropy in which what is predicted well counts little (Lin et al., 2017).

    Parameters
    ----------
    alpha : float or sequence of float
        Weight, of all classes or of each.
    gamma : float
        An element's cross-entropy is multiplied by ``(1 - p) ** gamma``.
    from_logits, label_smoothing, axis, reduction, name
        As those of `CategoricalCrossentropy`.
    """

    name = "categorical_focal_crossentropy"

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = REDUCTION,
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name)
        self.alpha, self.gamma = alpha, gamma

    def values(self, y_true: Value, y_pred: Value) -> Value:
        if self.from_logits:
            y_pred = ops.softmax(y_pred, self.axis)
        p = self._probabilities(y_pred)
        entropy = -self._smooth(y_true) * ops.log(p)
        alpha = ops.constant(np.asarray(self.alpha), p.dtype)
        return ops.sum(ops.power(1.0 - p, self.gamma) * alpha * entropy, axes=-1)


class CategoricalGeneralizedCrossEntropy(Loss):
    """``(1 - p ** q) / q`` of the right class's probability: noisy labels pull less than they
    do in cross-entropy (Zhang and Sabuncu, 2018).

    Targets are integers, as those of `SparseCategoricalCrossentropy`.

    Parameters
    ----------
    q : float
        Between 0 (cross-entropy) and 1 (absolute error).
    reduction, name
        As those of `Loss`.
    """

    name = "categorical_generalized_cross_entropy"

    def __init__(
        self, q: float = 0.5, reduction: str | None = REDUCTION, name: str | None = None
    ) -> None:
        super().__init__(reduction, name)
        if not 0 < q < 1:
            raise ArgumentError("q lies between 0 and 1", got=repr(q))
        self.q = q

    def values(self, y_true: Value, y_pred: Value) -> Value:
        is_label = ops.one_hot(y_true, y_pred.shape[-1] or 0, y_pred.dtype)
        right = ops.clip(ops.sum(is_label * y_pred, axes=-1), EPSILON, 1.0 - EPSILON)
        return (1.0 - ops.power(right, self.q)) / self.q

    def target_type(self, prediction: TensorType) -> TensorType:
        return TensorType(prediction.shape[:-1], DType.INT64)

    def prepare(self, y: object, prediction: TensorType, name: str) -> Array:
        classes = prediction.shape[-1] or 0
        return targets.labels(y, self.target_type(prediction), classes, name)


class BinaryCrossentropy(_Entropy):
    """Cross-entropy of independent yes-or-no predictions, the mean over an axis.

    Parameters
    ----------
    from_logits : bool
        Predictions are logits; see `SparseCategoricalCrossentropy`, sigmoid for softmax.
    label_smoothing : float
        Targets are drawn towards 0.5 by this share.
    axis : int
        That of the mean.
    reduction, name
        As those of `Loss`.
    """

    name = "binary_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = REDUCTION,
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, axis, reduction, name)
        check_range("label_smoothing", label_smoothing, 0.0, 1.0)
        self.label_smoothing = label_smoothing

    def values(self, y_true: Value, y_pred: Value) -> Value:
        y_true = self._smooth(y_true)
        logits = y_pred if self.from_logits else input_of("sigmoid", y_pred)
        if logits is not None:
            losses = ops.binary_cross_entropy_with_logits(logits, y_true)
        else:
            losses = ops.binary_cross_entropy(y_pred, y_true)
        return ops.mean(losses, axes=self.axis)

    def _smooth(self, y_true: Value) -> Value:
        if not self.label_smoothing:
            return y_true
        return y_true * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing

    def prepare(self, y: object, prediction: TensorType, name: str) -> Array:
        return targets.probabilities(y, self.target_type(prediction), name)


class BinaryFocalCrossentropy(BinaryCrossentropy):
    """Binary cross-entropy in which what is predicted well counts little (Lin et al., 2017).

    Parameters
    ----------
    apply_class_balancing : bool
        Whether ones weigh ``alpha`` and zeros ``1 - alpha``.
    alpha : float
    gamma : float
        An element's cross-entropy is multiplied by ``(1 - p) ** gamma``, with the probability
        ``p`` given to what is right.
    from_logits, label_smoothing, axis, reduction, name
        As those of `BinaryCrossentropy`.
    """

    name = "binary_focal_crossentropy"

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = REDUCTION,
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name)
        self.apply_class_balancing = apply_class_balancing
        self.alpha, self.gamma = alpha, gamma

    def values(self, y_true: Value, y_pred: Value) -> Value:
        y_true = self._smooth(y_true)
        p = ops.sigmoid(y_pred) if self.from_logits else y_pred
        right = y_true * p + (1.0 - y_true) * (1.0 - p)
        losses = ops.power(1.0 - right, self.gamma) * ops.binary_cross_entropy(p, y_true)
        if self.apply_class_balancing:
            losses = losses * (y_true * self.alpha + (1.0 - y_true) * (1.0 - self.alpha))
        return ops.mean(losses, axes=self.axis)


class KLDivergence(Loss):
    """``sum(y_true * log(y_true / y_pred))`` over the last axis, of two distributions."""

    name = "kl_divergence"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        y_true = ops.clip(y_true, EPSILON, 1.0)
        y_pred = ops.clip(y_pred, EPSILON, 1.0)
        return ops.sum(y_true * ops.log(y_true / y_pred), axes=-1)
