"""Losses that compare element by element.

All take ``reduction``: ``"none"`` gives a loss for each element, ``"mean"`` (the default) and
``"sum"`` a scalar. The older ``size_average`` and ``reduce`` raise NotImplementedError.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

from numbanet import lint, ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.nn.functional.reduction import (
    check_reduction,
    promoted,
    reduced,
    refuse_legacy,
    require_same_shape,
    weighted,
)
from numbanet.tensors.dispatch import tensor_function


@tensor_function
def mse_loss(
    input: Value,
    target: Value,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Value | None = None,
) -> Value:
    """``(input - target) ** 2``.

    Parameters
    ----------
    input, target : Tensor
        Of one shape. Others broadcast, with a warning: that is rarely meant.
    weight : Tensor, optional
        Of the input's shape, multiplies each element; the mean is then over the weights.
    """
    refuse_legacy(size_average, reduce)
    error, weights = _errors("mse_loss", input, target, weight)
    return _weighed(ops.square(error), weights, reduction, weighted)


@tensor_function
def l1_loss(
    input: Value,
    target: Value,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Value | None = None,
) -> Value:
    """``|input - target|``; parameters as in `mse_loss`."""
    refuse_legacy(size_average, reduce)
    error, weights = _errors("l1_loss", input, target, weight)
    return _weighed(ops.absolute(error), weights, reduction, weighted)


@tensor_function
def smooth_l1_loss(
    input: Value,
    target: Value,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Value:
    """``d ** 2 / (2 beta)`` where ``d = |input - target|`` is below ``beta``, else
    ``d - beta / 2``; `l1_loss` if ``beta`` is 0 (Girshick, "Fast R-CNN", 2015)."""
    refuse_legacy(size_average, reduce)
    if beta < 0:
        raise ArgumentError("smooth_l1_loss() takes beta >= 0", got=str(beta))
    error, _ = _errors("smooth_l1_loss", input, target, None)
    distance = ops.absolute(error)
    if beta == 0:
        return reduced(distance, reduction)
    near = ops.square(error) * (0.5 / beta)
    return reduced(ops.where(distance < beta, near, distance - 0.5 * beta), reduction)


@tensor_function
def huber_loss(
    input: Value,
    target: Value,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Value | None = None,
) -> Value:
    """``d ** 2 / 2`` where ``d = |input - target|`` is at most ``delta``, else
    ``delta (d - delta / 2)`` (Huber, 1964). The mean is over elements, weighted or not."""
    if delta <= 0:
        raise ArgumentError("huber_loss() takes delta > 0", got=str(delta))
    error, weights = _errors("huber_loss", input, target, weight)
    distance = ops.absolute(error)
    far = (distance - 0.5 * delta) * delta
    losses = ops.where(distance <= delta, ops.square(error) * 0.5, far)
    return _weighed(losses, weights, reduction, lambda losses, _, how: reduced(losses, how))


def _errors(
    name: str, input: Value, target: Value, weight: Value | None
) -> tuple[Value, Value | None]:
    """The differences, and the weights in their dtype."""
    if input.shape != target.shape:
        warnings.warn(
            f"{name}() broadcasts a target of shape {target.shape} with an input of shape "
            f"{input.shape}: reshape one of them if that is not meant",
            stacklevel=2,
        )
    if weight is None:
        a, b = promoted(input, target)
        return a - b, None
    require_same_shape(name, "a weight", weight, input)
    a, b, weights = promoted(input, target, weight)
    return a - b, weights


def _weighed(
    losses: Value,
    weights: Value | None,
    reduction: str,
    reduce: Callable[[Value, Value, str], Value],
) -> Value:
    if weights is None:
        return reduced(losses, reduction)
    return reduce(losses * weights, weights, reduction)


_LEAST_LOG = -100.0
"""Logarithms of probabilities are kept above this, as PyTorch does."""
_LEAST_VARIANCE = 9.999999960041972e-13
"""The least ``p (1 - p)`` that the slope of the binary cross-entropy divides by: PyTorch's
1e-12, in float32 whatever the dtype."""


@tensor_function
def binary_cross_entropy(
    input: Value,
    target: Value,
    weight: Value | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``-(t log p + (1 - t) log(1 - p))`` for probabilities ``p``.

    Parameters
    ----------
    input : Tensor
        Probabilities in [0, 1], which nothing checks. Logarithms below -100 count as -100.
    target : Tensor
        Of the input's shape and dtype.
    weight : Tensor, optional
        Broadcasts to the input and multiplies each element.
    """
    refuse_legacy(size_average, reduce)
    require_same_shape("binary_cross_entropy", "a target", target, input)
    p = ops.stop_gradient(input)
    log_p = ops.maximum(ops.log(p), _LEAST_LOG)
    log_rest = ops.maximum(ops.log1p(-p), _LEAST_LOG)
    losses = -(target * log_p + (1.0 - target) * log_rest)
    # The slope of the limited logarithms would be 0 / 0 where the probability is 0 or 1.
    slope = (p - target) / ops.maximum(p * (1.0 - p), _LEAST_VARIANCE)
    losses = losses + (input - p) * ops.stop_gradient(slope)
    return reduced(losses if weight is None else losses * weight, reduction)


@tensor_function
def binary_cross_entropy_with_logits(
    input: Value,
    target: Value,
    weight: Value | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Value | None = None,
) -> Value:
    """Binary cross-entropy of ``sigmoid(input)``, finite for all inputs.

    Parameters
    ----------
    input, target : Tensor
        Of one shape and dtype.
    weight : Tensor, optional
        Broadcasts to the input and multiplies each element.
    pos_weight : Tensor, optional
        Broadcasts to the input and multiplies the loss of positive targets.
    """
    refuse_legacy(size_average, reduce)
    require_same_shape("binary_cross_entropy_with_logits", "a target", target, input)
    lint.warn(lint.loss_of_logits("binary_cross_entropy_with_logits()", input, "sigmoid"))
    if pos_weight is None:
        losses = ops.softplus(input) - input * target
    else:
        factor = 1.0 + (pos_weight - 1.0) * target
        losses = (1.0 - target) * input + factor * ops.softplus(-input)
    return reduced(losses if weight is None else losses * weight, reduction)


@tensor_function
def kl_div(
    input: Value,
    target: Value,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Value:
    """Kullback and Leibler's divergence of ``exp(input)`` from ``target``.

    Parameters
    ----------
    input : Tensor
        Logarithms of probabilities.
    target : Tensor
        Probabilities, or their logarithms if ``log_target``.
    reduction : {"mean", "batchmean", "sum", "none"}
        ``"batchmean"``, the sum over the first size of the input, is what the definition says.
    """
    refuse_legacy(size_average, reduce)
    check_reduction(reduction, "batchmean")
    if log_target:
        losses = ops.exp(target) * (target - input)
    else:
        is_possible = target > 0.0
        logs = ops.log(ops.where(is_possible, target, 1.0))
        losses = ops.where(is_possible, target * logs, 0.0) - target * input
    if reduction != "batchmean":
        return reduced(losses, reduction)
    if input.rank == 0:
        raise ShapeError("kl_div() averages over the batch", got="a scalar")
    if input.shape[0] is None:
        return ops.mean(ops.sum(losses, tuple(range(1, losses.rank))))
    return ops.sum(losses) / max(input.shape[0], 1)


@tensor_function
def poisson_nll_loss(
    input: Value,
    target: Value,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """Negative log likelihood of counts that follow Poisson's law.

    Parameters
    ----------
    input : Tensor
        The expected counts, or their logarithms if ``log_input``.
    target : Tensor
        The counts.
    full : bool
        Whether to add Stirling's approximation of ``log(target!)`` where the target is above 1.
    eps : float
        Keeps the logarithm of an expected count of zero finite.
    """
    refuse_legacy(size_average, reduce)
    input, target = promoted(input, target)
    if log_input:
        losses = ops.exp(input) - target * input
    else:
        losses = input - target * ops.log(input + eps)
    if full:
        count = ops.where(target > 1.0, target, 1.0)
        logs = ops.log(count)
        stirling = count * logs - count + 0.5 * (logs + math.log(2.0 * math.pi))
        losses = losses + ops.where(target > 1.0, stirling, 0.0)
    return reduced(losses, reduction)


@tensor_function
def gaussian_nll_loss(
    input: Value,
    target: Value,
    var: Value | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Value:
    """Negative log likelihood of numbers that follow a normal law (Nix and Weigend, 1994).

    Parameters
    ----------
    input : Tensor
        The expected numbers.
    target : Tensor
        Broadcasts with the input.
    var : Tensor or float
        Variances: of the input's shape, or with size one in place of its last axis, or without
        that axis. They are not checked to be positive.
    full : bool
        Whether to add the constant ``log(2 pi) / 2``.
    eps : float
        Variances below it count as it; the gradient flows all the same.
    """
    if eps <= 0:
        raise ArgumentError("gaussian_nll_loss() takes eps > 0", got=str(eps))
    variance = _variance(input, var)
    clamped = variance + ops.stop_gradient(ops.maximum(variance, eps) - variance)
    losses = 0.5 * (ops.log(clamped) + ops.square(input - target) / clamped)
    if full:
        losses = losses + 0.5 * math.log(2.0 * math.pi)
    return reduced(losses, reduction)


def _variance(input: Value, var: Value | float) -> Value:
    if not isinstance(var, Value):
        if var < 0:
            raise ArgumentError("gaussian_nll_loss() takes a variance >= 0", got=str(var))
        return ops.constant(var, input.dtype)
    if var.shape == input.shape or (
        var.rank == input.rank and var.shape == (*input.shape[:-1], 1)
    ):
        return var
    if var.shape == input.shape[:-1]:
        return ops.expand_dims(var, -1)
    raise ShapeError(
        "gaussian_nll_loss() takes a variance of another shape",
        got=str(var.shape),
        expected=f"{input.shape}, or that without its last axis",
    )


@tensor_function
def soft_margin_loss(
    input: Value,
    target: Value,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``log(1 + exp(-target * input))`` for targets 1 and -1, finite for all inputs."""
    refuse_legacy(size_average, reduce)
    input, target = promoted(input, target)
    return reduced(ops.softplus(-(target * input)), reduction)


@tensor_function
def hinge_embedding_loss(
    input: Value,
    target: Value,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``input`` where the target is 1, ``max(0, margin - input)`` where it is -1."""
    refuse_legacy(size_average, reduce)
    far = ops.where(ops.equal(target, 1), 0.0, ops.clip(margin - input, 0.0, math.inf))
    near = ops.where(ops.equal(target, -1), 0.0, input)
    return reduced(far + near, reduction)
