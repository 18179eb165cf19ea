"""Losses of classes: cross-entropy, likelihoods, and margins between scores.

Scores have their classes along axis 1: ``[N, C]``, ``[N, C, d1, ..]``, or ``[C]`` for a single
sample. Labels are checked by whoever feeds them.
"""

from __future__ import annotations

from numbanet import lint, ops
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.ir import Value
from numbanet.nn.functional.reduction import (
    promoted,
    reduced,
    refuse_legacy,
    require_same_shape,
    weighted,
)
from numbanet.tensors.dispatch import tensor_function


@tensor_function
def cross_entropy(
    input: Value,
    target: Value,
    weight: Value | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Value:
    """Cross-entropy between the softmax of scores and classes or probabilities.

    Parameters
    ----------
    input : Tensor
        Scores ``[N, C]``, ``[N, C, d1, ..]`` or ``[C]``.
    target : Tensor
        Classes: integers of the input's shape without ``C``. Or probabilities of its shape.
    weight : Tensor, optional
        ``[C]``, for each class. With classes, the mean is over the weights of the targets.
    ignore_index : int
        A class that counts for nothing, not in the mean either.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        In [0, 1]: how much of each target is spread evenly over all classes (Szegedy et al.,
        "Rethinking the Inception architecture", 2016).

    Raises
    ------
    ShapeError, DTypeError, ArgumentError
        If shapes do not meet, the target is bool, or a number is out of its range.
    """
    refuse_legacy(size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError("label_smoothing lies in [0, 1]", got=str(label_smoothing))
    lint.warn(lint.loss_of_logits("cross_entropy()", input, "softmax"))
    logits = _classes_last("cross_entropy", input)
    _check_weight("cross_entropy", weight, logits)
    if target.dtype.is_floating:
        if ignore_index >= 0:
            raise ArgumentError(
                "ignore_index needs classes as targets", got=f"{target.dtype} probabilities"
            )
        require_same_shape("cross_entropy", "a target", target, input)
        shares = _classes_last("cross_entropy", target)
        return _soft(logits, shares, weight, reduction, label_smoothing)
    labels, is_kept = _labels("cross_entropy", target, logits, ignore_index)
    if weight is None and label_smoothing == 0.0:
        return _kept(ops.cross_entropy(logits, labels), None, is_kept, reduction)
    logs = ops.log_softmax(logits)
    weights = None if weight is None else ops.take(weight, labels)
    hard = _kept(_times(ops.nll(logs, labels), weights), weights, is_kept, reduction)
    if label_smoothing == 0.0:
        return hard
    even = _kept(-ops.sum(_times(logs, weight), -1), weights, is_kept, reduction)
    share = label_smoothing / _count(logits)
    return hard * (1.0 - label_smoothing) + even * share


def _soft(
    logits: Value, shares: Value, weight: Value | None, reduction: str, smoothing: float
) -> Value:
    """Cross-entropy with probabilities ``[.., C]``."""
    logits, shares = promoted(logits, shares)
    if smoothing:
        shares = shares * (1.0 - smoothing) + smoothing / _count(logits)
    losses = ops.cross_entropy(logits, _times(shares, weight))
    return reduced(losses, reduction)


@tensor_function
def nll_loss(
    input: Value,
    target: Value,
    weight: Value | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``-input[target]`` for logarithms of probabilities; parameters as in `cross_entropy`."""
    refuse_legacy(size_average, reduce)
    lint.warn(lint.loss_of_logarithms("nll_loss()", input))
    logs = _classes_last("nll_loss", input)
    _check_weight("nll_loss", weight, logs)
    labels, is_kept = _labels("nll_loss", target, logs, ignore_index)
    weights = None if weight is None else ops.take(weight, labels)
    return _kept(_times(ops.nll(logs, labels), weights), weights, is_kept, reduction)


def _classes_last(name: str, scores: Value) -> Value:
    if scores.rank == 0:
        raise ShapeError(f"{name}() takes scores of classes", got="a scalar")
    if scores.rank <= 2:
        return scores
    return ops.transpose(scores, (0, *range(2, scores.rank), 1))


def _count(scores: Value) -> int:
    """How many classes there are."""
    classes = scores.shape[-1]
    if not classes:
        raise ShapeError("a loss needs to know the classes", got=str(scores.type))
    return classes


def _check_weight(name: str, weight: Value | None, scores: Value) -> None:
    if weight is not None and weight.shape != scores.shape[-1:]:
        raise ShapeError(
            f"{name}() takes a weight for each class",
            got=str(weight.shape),
            expected=str(scores.shape[-1:]),
        )


def _labels(
    name: str, target: Value, scores: Value, ignore_index: int
) -> tuple[Value, Value | None]:
    """Labels that can be used as indices, and which of them count; None if all do."""
    if not target.dtype.is_integer:
        raise DTypeError(f"{name}() takes classes of an integer dtype", got=str(target.type))
    if target.shape != scores.shape[:-1]:
        raise ShapeError(
            f"{name}() takes a class for each sample",
            got=str(target.shape),
            expected=str(scores.shape[:-1]),
        )
    if ignore_index < 0 and target.dtype.short.startswith("u"):
        return target, None
    is_kept = ops.not_equal(target, ignore_index)
    return ops.where(is_kept, target, 0), is_kept


def _times(losses: Value, weights: Value | None) -> Value:
    return losses if weights is None else losses * weights


def _kept(losses: Value, weights: Value | None, is_kept: Value | None, reduction: str) -> Value:
    """Reduced, without what is ignored; the mean is over the weights of what is not."""
    if is_kept is None:
        if weights is None:
            return reduced(losses, reduction)
        return weighted(losses, weights, reduction)
    counted = ops.where(is_kept, 1.0 if weights is None else weights, 0.0)
    counted = ops.cast(counted, losses.dtype)
    return weighted(ops.where(is_kept, losses, 0.0), counted, reduction)


@tensor_function
def multi_margin_loss(
    input: Value,
    target: Value,
    p: int = 1,
    margin: float = 1.0,
    weight: Value | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``sum over j != t of max(0, margin - x[t] + x[j]) ** p / C`` of each sample.

    Parameters
    ----------
    input : Tensor
        Scores ``[N, C]`` or ``[C]``.
    target : Tensor
        Classes ``[N]``, or a scalar.
    p : {1, 2}
    weight : Tensor, optional
        ``[C]``: factors of the samples of each class.
    """
    refuse_legacy(size_average, reduce)
    if p not in (1, 2):
        raise ArgumentError("multi_margin_loss() takes p = 1 or 2", got=str(p))
    _check_scores("multi_margin_loss", input)
    _check_weight("multi_margin_loss", weight, input)
    shape, target = target.shape, ops.reshape(target, input.shape[:-1])
    classes = _count(input)
    own = ops.expand_dims(-ops.nll(input, target), -1)
    excess = ops.relu(input - own + margin)
    powers = excess if p == 1 else ops.square(excess)
    if weight is not None:
        powers = powers * ops.expand_dims(ops.take(weight, target), -1)
    others = 1.0 - ops.one_hot(target, classes, input.dtype)
    losses = ops.sum(powers * others, -1) / classes
    return reduced(ops.reshape(losses, shape), reduction)


@tensor_function
def multilabel_margin_loss(
    input: Value,
    target: Value,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``sum of max(0, 1 - x[t] + x[j]) / C`` over targets ``t`` and other classes ``j``.

    Parameters
    ----------
    input : Tensor
        Scores ``[N, C]`` or ``[C]``.
    target : Tensor
        Integers of the input's shape: the sample's classes, up to the first -1.
    """
    refuse_legacy(size_average, reduce)
    _check_scores("multilabel_margin_loss", input)
    require_same_shape("multilabel_margin_loss", "a target", target, input)
    classes = _count(input)
    dtype = input.dtype
    # Position k counts if no position up to k is negative.
    is_end = ops.expand_dims(ops.cast(target < 0, dtype), -2)
    upto = ops.iota((classes, classes), 1) <= ops.iota((classes, classes), 0)
    is_listed = ops.cast(ops.sum(is_end * ops.cast(upto, dtype), -1) < 0.5, dtype)
    chosen = ops.one_hot(target, classes, dtype) * ops.expand_dims(is_listed, -1)
    others = 1.0 - ops.max(chosen, -2, keepdims=True)
    scores = ops.expand_dims(input, -2)
    own = ops.sum(chosen * scores, -1, keepdims=True)
    excess = ops.relu(scores - own + 1.0) * others * ops.expand_dims(is_listed, -1)
    return reduced(ops.sum(excess, (-2, -1)) / classes, reduction)


@tensor_function
def multilabel_soft_margin_loss(
    input: Value,
    target: Value,
    weight: Value | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """Binary cross-entropy of ``sigmoid(input)``, the mean over the classes of each sample.

    Parameters
    ----------
    input, target : Tensor
        ``[.., C]``.
    weight : Tensor, optional
        Broadcasts to the input and multiplies each element.
    """
    refuse_legacy(size_average, reduce)
    input, target = promoted(input, target)
    losses = _times(ops.softplus(input) - input * target, weight)
    return reduced(ops.mean(losses, -1), reduction)


def _check_scores(name: str, scores: Value) -> None:
    if scores.rank not in (1, 2):
        raise ShapeError(f"{name}() takes scores [N, C] or [C]", got=str(scores.shape))
