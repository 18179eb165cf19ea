"""Normalisation over features, over groups of channels, and of vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from numbanet import ops
from numbanet.errors import ShapeError
from numbanet.ir import Value
from numbanet.nn.functional.normalization import (
    features_last,
    require_channels,
    scale_and_shift,
)
from numbanet.ops.checks import require_shape
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions.reductions import norm


@tensor_function
def layer_norm(
    input: Value,
    normalized_shape: Sequence[int],
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
) -> Value:
    """Normalisation of each sample over its last axes (Ba, Kiros and Hinton, 2016).

    Parameters
    ----------
    input : Tensor
        ``[..., *normalized_shape]``.
    normalized_shape : sequence of int
    weight, bias : Tensor, optional
        Scale and shift ``[*normalized_shape]``.
    eps : float
        Added to the variance.

    Returns
    -------
    Tensor
        Of the input's type.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet.
    """
    shape = _require_ending("layer_norm", input, normalized_shape, weight, bias)
    size = math.prod(shape)
    gamma, beta = scale_and_shift(weight, bias, shape, input)
    rows = ops.reshape(input, (*input.shape[: input.rank - len(shape)], size))
    y = ops.layer_norm(
        rows, ops.reshape(gamma, (size,)), ops.reshape(beta, (size,)), epsilon=eps
    )
    return ops.reshape(y, input.shape)


@tensor_function
def rms_norm(
    input: Value,
    normalized_shape: Sequence[int],
    weight: Value | None = None,
    eps: float | None = None,
) -> Value:
    """Division of each sample by its root mean square over its last axes (Zhang and Sennrich,
    2019).

    Parameters
    ----------
    input : Tensor
        ``[..., *normalized_shape]``.
    normalized_shape : sequence of int
    weight : Tensor, optional
        Scale ``[*normalized_shape]``.
    eps : float, optional
        Added to the mean square; by default the dtype's epsilon.

    Returns
    -------
    Tensor
        Of the input's type.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet.
    """
    shape = _require_ending("rms_norm", input, normalized_shape, weight)
    epsilon = float(np.finfo(input.dtype.numpy).eps) if eps is None else eps
    axes = tuple(range(-len(shape), 0))
    y = input * ops.rsqrt(ops.mean(ops.square(input), axes, keepdims=True) + epsilon)
    return y if weight is None else y * weight


def _require_ending(
    name: str, x: Value, normalized_shape: Sequence[int], *weights: Value | None
) -> tuple[int, ...]:
    """The shape that ``x`` must end with, and the weights must have."""
    shape = tuple(normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ShapeError(
            f"{name}() normalises over the last axes",
            got=str(x.type),
            expected=f"a shape that ends with {shape}" if shape else "at least one axis",
        )
    for weight in weights:
        if weight is not None:
            require_shape(name, "a weight", weight.type, shape)
    return shape


@tensor_function
def group_norm(
    input: Value,
    num_groups: int,
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
) -> Value:
    """Normalisation of each sample over groups of channels and all pixels (Wu and He, 2018).

    Parameters
    ----------
    input : Tensor
        ``[N, C, ...]``.
    num_groups : int
        Divides C.
    weight, bias : Tensor, optional
        Scale and shift ``[C]``.
    eps : float
        Added to the variance.

    Returns
    -------
    Tensor
        Of the input's type.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet.
    ArgumentError
        If ``num_groups`` does not divide C.
    """
    require_channels("group_norm", input, weight, bias)
    x, order = features_last(input)
    gamma, beta = scale_and_shift(weight, bias, input.shape[1:2], input)
    return ops.transpose(ops.group_norm(x, gamma, beta, num_groups, epsilon=eps), order)


@tensor_function
def local_response_norm(
    input: Value, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Value:
    """Division of each number by a power of the mean square of its neighbours across channels.

    (Krizhevsky, Sutskever and Hinton, 2012.)

    Parameters
    ----------
    input : Tensor
        ``[N, C, ...]``.
    size : int
        Number of neighbouring channels, itself included: ``size // 2`` of them before it.
    alpha, beta, k : float
        The divisor is ``(k + alpha * mean square) ** beta``.
    """
    if input.rank < 3:
        raise ShapeError("local_response_norm() needs pixels", got=str(input.type))
    require_channels("local_response_norm", input)
    x, order = features_last(input)
    before = size // 2
    edges = [(0, 0)] * (x.rank - 1) + [(before, size - 1 - before)]
    squares = ops.pad(ops.square(x), edges)
    channels = input.shape[1] or 0
    total = squares[..., :channels]
    for shift in range(1, size):
        total = total + squares[..., shift : shift + channels]
    return ops.transpose(x / (total * (alpha / size) + k) ** beta, order)


@tensor_function
def normalize(
    input: Value,
    p: float = 2.0,
    dim: int | Sequence[int] = 1,
    eps: float = 1e-12,
    out: None = None,
) -> Value:
    """Vectors along ``dim`` divided by their p-norm, or by ``eps`` where that is larger.

    Parameters
    ----------
    input : Tensor
    p : float
    dim : int or sequence of int
    eps : float
    out : None
        Not supported.
    """
    if out is not None:
        raise NotImplementedError("out of normalize()")
    length = norm(input, p, dim, keepdim=True)
    # At the bound the slope is that of the norm.
    return input / ops.where(length >= eps, length, eps)
