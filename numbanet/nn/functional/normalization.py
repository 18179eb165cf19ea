"""Normalisation over the batch, over features, over groups of channels, and of vectors.

Images come channels-first and are normalised channels-last, as all image operations are: the
transposes at the edges cancel against their neighbours'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import TensorType, Value
from numbanet.nn.functional.in_place import put
from numbanet.ops.batch_norm import BATCH_NORM, BatchNormAttrs
from numbanet.ops.checks import require_shape
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.modes import no_grad


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalisation of each channel over the batch and all pixels (Ioffe and Szegedy, 2015).

    Parameters
    ----------
    input : Tensor
        ``[N, C, ...]``.
    running_mean, running_var : Tensor or None
        ``[C]``. In training they move, in place, towards the batch's mean and unbiased
        variance; otherwise they normalise.
    weight, bias : Tensor, optional
        Scale and shift ``[C]``.
    training : bool
        Whether the batch's own mean and variance normalise it.
    momentum : float
        How far running values move towards the batch's, from 0 to 1.
    eps : float
        Added to the variance.

    Returns
    -------
    Tensor
        Of the input's type.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet, or a batch in training has one number a channel.
    ArgumentError
        If there are no running values, outside of training.
    """
    if training:
        running = (running_mean, running_var, None)
        return batch_norm_step(input, running, weight, bias, momentum, eps)
    if running_mean is None or running_var is None:
        raise ArgumentError("batch_norm() outside of training needs running values", got="None")
    return _norm_by(input, running_mean, running_var, weight, bias, eps)


def batch_norm_step(
    input: Any,
    running: tuple[Any, Any, Any],
    weight: Any,
    bias: Any,
    momentum: float | None,
    eps: float,
) -> Any:
    """`batch_norm` in training.

    Parameters
    ----------
    running : (Tensor or None, Tensor or None, Tensor or None)
        Mean, variance and the number of batches so far; those that are given are replaced.
    momentum : float or None
        None: the running values are the plain averages over all batches so far.
    """
    mean, var, count = running
    if mean is None or var is None:
        return _norm_by_batch(input, weight, bias, eps)
    if is_symbolic(input):
        if momentum is None:
            raise NotImplementedError("momentum=None in a model of symbolic values")
        return _norm_by_batch_chained(input, mean, var, weight, bias, momentum, eps)
    y, *new = _norm_by_batch_moving(input, mean, var, count, weight, bias, momentum, eps)
    put_in_place(running, new)
    return y


def is_symbolic(input: Any) -> bool:
    """Whether a model is being built of ``input``, so that no trace could record a change."""
    return isinstance(input, Value) or input.value is not None


def put_in_place(olds: Sequence[Any], news: Sequence[Any]) -> None:
    """Let each tensor take its new numbers, without a gradient."""
    with no_grad():
        for old, new in zip((old for old in olds if old is not None), news, strict=True):
            put(old, new)


@tensor_function
def _norm_by(
    input: Value, mean: Value, var: Value, weight: Value | None, bias: Value | None, eps: float
) -> Value:
    require_channels("batch_norm", input, mean, var, weight, bias)
    scale = ops.rsqrt(var + eps)
    if weight is not None:
        scale = scale * weight

    x, order = features_last(input)
    y = (x - mean) * scale
    return ops.transpose(y if bias is None else y + bias, order)


@tensor_function
def _norm_by_batch(input: Value, weight: Value | None, bias: Value | None, eps: float) -> Value:
    return _batch_statistics(input, weight, bias, eps)[0]


@tensor_function
def _norm_by_batch_moving(
    input: Value,
    mean: Value,
    var: Value,
    count: Value | None,
    weight: Value | None,
    bias: Value | None,
    momentum: float | None,
    eps: float,
) -> tuple[Value, ...]:
    """The result, and the new running mean, variance and, if there is an old one, count."""
    y, *found = _batch_statistics(input, weight, bias, eps)
    share: Value | float | None = momentum
    counted = None if count is None else count + 1
    if share is None and counted is not None:
        share = 1.0 / ops.cast(counted, mean.dtype)
    moved = (_move(old, new, share) for old, new in zip((mean, var), found, strict=True))
    return (y, *moved) if counted is None else (y, *moved, counted)


def _move(old: Value, new: Value, share: Value | float | None) -> Value:
    """``old`` moved by a share of the way to ``new``, without a gradient."""
    share = 0.0 if share is None else share
    return old * (1.0 - share) + ops.stop_gradient(new) * share


@tensor_function
def _norm_by_batch_chained(
    input: Value,
    mean: Value,
    var: Value,
    weight: Value | None,
    bias: Value | None,
    momentum: float,
    eps: float,
) -> Value:
    """In a symbolic model the op itself says which variables its outputs replace."""
    require_channels("batch_norm", input, mean, var, weight, bias)
    gamma, beta = scale_and_shift(weight, bias, mean.shape, input)
    x, order = features_last(input)
    y = ops.batch_norm(
        x, gamma, beta, mean, var, momentum=1 - momentum, epsilon=eps, unbiased=True
    )
    return ops.transpose(y, order)


def _batch_statistics(
    input: Value, weight: Value | None, bias: Value | None, eps: float
) -> tuple[Value, Value, Value]:
    """The result, and the mean and unbiased variance of each channel of the batch."""
    require_channels("batch_norm", input, weight, bias)
    others = (input.shape[0], *input.shape[2:])
    if None not in others and math.prod(size or 0 for size in others) == 1:
        raise ShapeError(
            "batch_norm() in training needs more than one number a channel", got=str(input.type)
        )
    channels = input.shape[1:2]
    gamma, beta = scale_and_shift(weight, bias, channels, input)
    nothing = ops.full(channels, 0, input.dtype)
    attrs = BatchNormAttrs(momentum=0.0, epsilon=eps, unbiased=True)
    x, order = features_last(input)
    # Running values of nothing, moved all the way, are the batch's own.
    y, _, _, mean, var = BATCH_NORM(x, gamma, beta, nothing, nothing, attrs=attrs)
    return ops.transpose(y, order), mean, var


def scale_and_shift(
    weight: Value | None, bias: Value | None, shape: Sequence[int | None], x: Value
) -> tuple[Value, Value]:
    """One and zero for what there is not: algebra drops them again."""
    gamma = ops.full(shape, 1, x.dtype) if weight is None else weight
    return gamma, ops.full(shape, 0, x.dtype) if bias is None else bias


def features_last(x: Value) -> tuple[Value, tuple[int, ...]]:
    """``[N, C, ...]`` as ``[N, ..., C]``, and the permutation that takes it back."""
    last = x.rank - 1
    there, back = (0, *range(2, x.rank), 1), (0, last, *range(1, last))
    return ops.transpose(x, there), back


def require_channels(name: str, x: Value, *vectors: Value | None) -> None:
    if x.rank < 2 or x.shape[1] is None:
        raise ShapeError(
            f"{name}() needs channels of known number", got=str(x.type), expected="[N, C, ...]"
        )
    for vector in vectors:
        if vector is not None:
            require_shape(name, "a weight or running value", vector.type, x.shape[1:2])


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalisation of each channel of each sample over its pixels (Ulyanov et al., 2016).

    Parameters
    ----------
    input : Tensor
        ``[N, C, ...]``.
    running_mean, running_var : Tensor, optional
        ``[C]``. They move, in place, towards the means over the batch of the samples' means and
        unbiased variances, or, unless ``use_input_stats``, they normalise.
    weight, bias : Tensor, optional
        Scale and shift ``[C]``.
    use_input_stats : bool
    momentum : float
        How far running values move, from 0 to 1.
    eps : float
        Added to the variance.

    Returns
    -------
    Tensor
        Of the input's type.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet, or there is one number a channel.
    ArgumentError
        If there are neither running values nor input statistics.
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, eps=eps)
    if running_mean is None or running_var is None:
        return _norm_by_instance(input, weight, bias, eps)
    if is_symbolic(input):
        raise NotImplementedError("track_running_stats in a model of symbolic values")
    running = (running_mean, running_var)
    y, *new = _norm_by_instance_moving(input, *running, weight, bias, momentum, eps)
    put_in_place(running, new)
    return y


@tensor_function
def _norm_by_instance(
    input: Value, weight: Value | None, bias: Value | None, eps: float
) -> Value:
    return _instance_statistics(input, weight, bias, eps)[0]


@tensor_function
def _norm_by_instance_moving(
    input: Value,
    mean: Value,
    var: Value,
    weight: Value | None,
    bias: Value | None,
    momentum: float,
    eps: float,
) -> tuple[Value, ...]:
    y, *found = _instance_statistics(input, weight, bias, eps)
    new = (ops.mean(each, 0) for each in found)
    return y, *(_move(o, n, momentum) for o, n in zip((mean, var), new, strict=True))


def _instance_statistics(
    input: Value, weight: Value | None, bias: Value | None, eps: float
) -> tuple[Value, Value, Value]:
    """The result, and ``[N, C]`` means and unbiased variances."""
    require_channels("instance_norm", input, weight, bias)
    pixels = math.prod(TensorType(input.shape[2:], input.dtype).sizes)
    if pixels == 1:
        raise ShapeError(
            "instance_norm() needs more than one number a channel", got=str(input.type)
        )
    x, order = features_last(input)
    axes = tuple(range(1, x.rank - 1))
    mean = ops.mean(x, axes, keepdims=True)
    centred = x - mean
    var = ops.mean(ops.square(centred), axes, keepdims=True)
    y = centred * ops.rsqrt(var + eps)
    if weight is not None:
        y = y * weight
    if bias is not None:
        y = y + bias
    unbiased = ops.squeeze(var, axes) * (pixels / (pixels - 1))
    return ops.transpose(y, order), ops.squeeze(mean, axes), unbiased
