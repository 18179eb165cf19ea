"""Normalisation over the batch, over features, and over groups of channels.

Gradients are written out from the saved mean and reciprocal deviation. With
``z = (x - mean) * rstd`` over m elements and ``h`` the gradient of z, that of x is
``rstd * (h - mean(h) - z * mean(h * z))``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir.op import Arg, Attrs, Case, Op, attrs_of, register
from numbanet.ir.types import TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops.arithmetic import rsqrt, square
from numbanet.ops.checks import require_shape
from numbanet.ops.elementwise import FLOATING, common_dtype
from numbanet.ops.leaf import variable_of
from numbanet.ops.reductions import mean
from numbanet.ops.reductions import sum as sum_over
from numbanet.ops.shapes import expand, expand_dims, reshape


@dataclass(frozen=True)
class BatchNormAttrs(Attrs):
    """``momentum`` is the weight of the old running value, as in Keras; ``unbiased`` divides
    the running variance by m - 1, as in PyTorch."""

    momentum: float
    epsilon: float
    unbiased: bool = False


@dataclass(frozen=True)
class LayerNormAttrs(Attrs):
    epsilon: float


def batch_norm(
    x: Value,
    gamma: Value,
    beta: Value,
    running_mean: Value,
    running_var: Value,
    *,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    unbiased: bool = False,
) -> Value:
    """Batch normalisation over all axes but the last. (Ioffe and Szegedy, 2015.)

    In training the batch's own mean and variance normalise it, and the running values are
    replaced at the end of the step; at inference the running values normalise it.

    Parameters
    ----------
    x : Value
        ``[..., C]``, at least two axes.
    gamma, beta : Value
        Scale and shift ``[C]``.
    running_mean, running_var : Value
        ``[C]``, leaves of variables: new values are
        ``momentum * old + (1 - momentum) * of the batch``.
    momentum, epsilon : float
        Keras's conventions and defaults. PyTorch's momentum is one less this one.
    unbiased : bool
        Whether the running variance is the unbiased one, as PyTorch's is.

    Returns
    -------
    Value
        ``gamma * (x - mean) / sqrt(var + epsilon) + beta``, of ``x``'s type.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet.
    """
    attrs = BatchNormAttrs(float(momentum), float(epsilon), unbiased)
    return BATCH_NORM(x, gamma, beta, running_mean, running_var, attrs=attrs)[0]


def layer_norm(x: Value, gamma: Value, beta: Value, *, epsilon: float = 1e-3) -> Value:
    """Normalisation of each row over the last axis. (Ba, Kiros and Hinton, 2016.)

    Parameters
    ----------
    x : Value
        ``[..., C]``.
    gamma, beta : Value
        Scale and shift ``[C]``.
    epsilon : float

    Returns
    -------
    Value
        ``gamma * (x - mean) / sqrt(var + epsilon) + beta``, of ``x``'s type.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet.
    """
    return LAYER_NORM(x, gamma, beta, attrs=LayerNormAttrs(float(epsilon)))[0]


def group_norm(
    x: Value, gamma: Value, beta: Value, groups: int, *, epsilon: float = 1e-3
) -> Value:
    """Normalisation of each sample over groups of channels and all pixels. (Wu and He, 2018.)

    One group is layer normalisation of whole images; as many as channels, instance
    normalisation.

    Parameters
    ----------
    x : Value
        ``[N, ..., C]``; N may be unknown.
    gamma, beta : Value
        Scale and shift ``[C]``.
    groups : int
        Divides C.
    epsilon : float

    Returns
    -------
    Value
        Of ``x``'s type.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet.
    ArgumentError
        If ``groups`` does not divide C.
    """
    _check_vectors("group_norm", x.type, ("gamma", gamma.type), ("beta", beta.type))
    inner = TensorType(x.shape[1:], x.dtype)
    channels = inner.sizes[-1]
    if groups < 1 or channels % groups:
        raise ArgumentError(
            "group_norm() needs groups of equal size",
            got=f"{channels} channels, {groups} groups",
        )
    pixels = math.prod(inner.sizes[:-1])
    grouped = reshape(x, (-1, pixels, groups, channels // groups))
    centred = grouped - mean(grouped, (1, 3), keepdims=True)
    scale = rsqrt(mean(square(centred), (1, 3), keepdims=True) + epsilon)
    return reshape(centred * scale, (-1, *inner.sizes)) * gamma + beta


def rms_norm(x: Value, gamma: Value, *, epsilon: float = 1e-6) -> Value:
    """Division of each row by its root mean square. (Zhang and Sennrich, 2019.)

    Parameters
    ----------
    x : Value
        ``[..., C]``.
    gamma : Value
        Scale ``[C]``.
    epsilon : float

    Returns
    -------
    Value
        ``gamma * x / sqrt(mean(x ** 2) + epsilon)``, of ``x``'s type.

    Raises
    ------
    ShapeError, DTypeError
        If the operands do not meet.
    """
    _check_vectors("rms_norm", x.type, ("gamma", gamma.type))
    return x * rsqrt(mean(square(x), -1, keepdims=True) + epsilon) * gamma


def _check_vectors(name: str, x: TensorType, *vectors: tuple[str, TensorType]) -> None:
    common_dtype(name, (x, *(type_ for _, type_ in vectors)), FLOATING)
    least = 1 if name in ("layer_norm", "rms_norm") else 2
    if x.rank < least or not x.shape[-1]:
        raise ShapeError(
            f"{name}() needs features along the last axis",
            got=str(x),
            expected="[N, ..., C]" if least == 2 else "[..., C]",
        )
    for what, type_ in vectors:
        require_shape(name, what, type_, x.shape[-1:])


def _infer_batch_norm(
    _: BatchNormAttrs, x: TensorType, *vectors: TensorType
) -> tuple[TensorType, ...]:
    names = ("gamma", "beta", "running_mean", "running_var")
    _check_vectors("batch_norm", x, *zip(names, vectors, strict=True))
    if 0 in x.shape:
        raise ShapeError("batch_norm() of no samples", got=str(x), expected="at least one")
    return (x, *vectors)


def _infer_layer_norm(
    _: LayerNormAttrs, x: TensorType, gamma: TensorType, beta: TensorType
) -> tuple[TensorType, TensorType, TensorType]:
    _check_vectors("layer_norm", x, ("gamma", gamma), ("beta", beta))
    row = TensorType(x.shape[:-1], x.dtype)
    return x, row, row


def _batch_norm_reference(
    attrs: BatchNormAttrs,
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    running_mean: np.ndarray,
    running_var: np.ndarray,
) -> tuple[np.ndarray, ...]:
    rows = x.reshape(-1, x.shape[-1])
    mean_, var = rows.mean(axis=0), rows.var(axis=0)
    rstd = 1 / np.sqrt(var + attrs.epsilon)
    y = (x - mean_) * rstd * gamma + beta
    if attrs.unbiased:
        var = var * len(rows) / max(len(rows) - 1, 1)
    keep = attrs.momentum
    new_mean = keep * running_mean + (1 - keep) * mean_
    return y, mean_, rstd, new_mean, keep * running_var + (1 - keep) * var


def _layer_norm_reference(
    attrs: LayerNormAttrs, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray
) -> tuple[np.ndarray, ...]:
    mean_ = x.mean(axis=-1)
    rstd = 1 / np.sqrt(x.var(axis=-1) + attrs.epsilon)
    y = (x - mean_[..., np.newaxis]) * rstd[..., np.newaxis] * gamma + beta
    return y, mean_, rstd


def _batch_axes(x: Value) -> tuple[int, ...]:
    return tuple(range(x.rank - 1))


def _correction(attrs: BatchNormAttrs, x: Value) -> float:
    """The running variance over the biased one; of a single row the variance is zero."""
    rows = math.prod(x.type.sizes[:-1])
    return rows / max(rows - 1, 1) if attrs.unbiased else 1.0


def _batch_norm_decompose(node: Node) -> tuple[Value, ...]:
    attrs = attrs_of(node, BatchNormAttrs)
    x, gamma, beta, running_mean, running_var = node.inputs
    axes, keep = _batch_axes(x), attrs.momentum
    mean_ = mean(x, axes)
    centred = x - mean_
    var = mean(square(centred), axes)
    rstd = rsqrt(var + attrs.epsilon)
    new_mean = running_mean * keep + mean_ * (1 - keep)
    new_var = running_var * keep + var * ((1 - keep) * _correction(attrs, x))
    return centred * (rstd * gamma) + beta, mean_, rstd, new_mean, new_var


def _batch_norm_inference(node: Node) -> tuple[Value, ...]:
    x, gamma, beta, mean_, var = node.inputs
    rstd = rsqrt(var + attrs_of(node, BatchNormAttrs).epsilon)
    return (x - mean_) * (rstd * gamma) + beta, mean_, rstd, mean_, var


def _batch_norm_gradient(node: Node, *gs: Value | None) -> tuple[Value | None, ...]:
    """``gs``: of the result, the batch's mean and rstd, and the two running values."""
    attrs = attrs_of(node, BatchNormAttrs)
    x, gamma = node.inputs[:2]
    mean_, rstd = node.outputs[1:3]
    g, to_mean, to_rstd, to_running_mean, to_running_var = gs
    axes, rows = _batch_axes(x), math.prod(x.type.sizes[:-1])
    centred = x - mean_
    dx = dgamma = dbeta = None
    if g is not None:
        z = centred * rstd
        dbeta, dgamma = sum_over(g, axes), sum_over(g * z, axes)
        dx = (gamma * rstd) * (g - dbeta * (1 / rows) - z * (dgamma * (1 / rows)))
    keep = attrs.momentum
    to_mean = _plus(to_mean, _times(to_running_mean, 1 - keep))
    to_var = _times(to_running_var, (1 - keep) * _correction(attrs, x))
    dx = _plus(dx, _through_statistics(centred, rstd, rows, to_mean, to_rstd, to_var))
    return dx, dgamma, dbeta, _times(to_running_mean, keep), _times(to_running_var, keep)


def _layer_norm_gradient(
    node: Node, g: Value | None, to_mean: Value | None, to_rstd: Value | None
) -> tuple[Value | None, ...]:
    x, gamma, _ = node.inputs
    _, mean_, rstd = node.outputs
    dx = dgamma = dbeta = None
    if g is not None:
        dx, dgamma, dbeta = LAYER_NORM_GRAD(x, gamma, mean_, rstd, g)
    if to_mean is not None or to_rstd is not None:
        mean_, rstd = expand_dims(mean_, -1), expand_dims(rstd, -1)
        to_mean, to_rstd = (
            None if value is None else expand_dims(value, -1) for value in (to_mean, to_rstd)
        )
        columns = x.type.sizes[-1]
        part = _through_statistics(x - mean_, rstd, columns, to_mean, to_rstd, None)
        dx = _plus(dx, part)
    return dx, dgamma, dbeta


def _infer_layer_norm_grad(
    _: Attrs,
    x: TensorType,
    gamma: TensorType,
    mean_: TensorType,
    rstd: TensorType,
    g: TensorType,
) -> tuple[TensorType, TensorType, TensorType]:
    _check_vectors("layer_norm", x, ("gamma", gamma))
    common_dtype("layer_norm_grad", (x, mean_, rstd, g), FLOATING)
    require_shape("layer_norm_grad", "mean", mean_, x.shape[:-1])
    require_shape("layer_norm_grad", "rstd", rstd, x.shape[:-1])
    require_shape("layer_norm_grad", "g", g, x.shape)
    return x, gamma, gamma


def _layer_norm_grad_reference(
    _: Attrs,
    x: np.ndarray,
    gamma: np.ndarray,
    mean_: np.ndarray,
    rstd: np.ndarray,
    g: np.ndarray,
) -> tuple[np.ndarray, ...]:
    mean_, rstd = mean_[..., np.newaxis], rstd[..., np.newaxis]
    z, h = (x - mean_) * rstd, g * gamma
    along_z = (h * z).mean(axis=-1, keepdims=True)
    axes = tuple(range(x.ndim - 1))
    dx = rstd * (h - h.mean(axis=-1, keepdims=True) - z * along_z)
    return dx, (g * z).sum(axis=axes), g.sum(axis=axes)


def _layer_norm_grad_decompose(node: Node) -> tuple[Value, ...]:
    x, gamma, mean_, rstd, g = node.inputs
    mean_, rstd = expand_dims(mean_, -1), expand_dims(rstd, -1)
    z = (x - mean_) * rstd
    dx = rstd * _across(g * gamma, z)
    return dx, sum_over(g * z, _batch_axes(x)), sum_over(g, _batch_axes(x))


def _across(h: Value, z: Value) -> Value:
    """``h`` less its parts along ones and along ``z``, row by row."""
    return h - mean(h, -1, keepdims=True) - z * mean(h * z, -1, keepdims=True)


def _layer_norm_grad_gradient(
    node: Node, to_dx: Value | None, to_dgamma: Value | None, to_dbeta: Value | None
) -> tuple[Value | None, ...]:
    """Of ``dx = rstd * across(h, z)`` and the two sums; `_across` is symmetric in ``h``."""
    x, gamma, mean_, rstd, g = node.inputs
    rstd = expand_dims(rstd, -1)
    centred = x - expand_dims(mean_, -1)
    z, h = centred * rstd, g * gamma
    to_gamma = to_rstd = to_g = to_z = None
    if to_dx is not None:
        to_h = rstd * _across(to_dx, z)
        to_gamma, to_g = sum_over(to_h * g, _batch_axes(x)), to_h * gamma
        to_rstd = sum_over(to_dx * _across(h, z), -1)
        ours, theirs = (mean(each * z, -1, keepdims=True) for each in (h, to_dx))
        to_z = -rstd * (to_dx * ours + h * theirs)
    if to_dgamma is not None:
        to_g, to_z = _plus(to_g, z * to_dgamma), _plus(to_z, g * to_dgamma)
    if to_dbeta is not None:
        to_g = _plus(to_g, expand(to_dbeta, x.type.sizes))
    if to_z is None:
        return None, to_gamma, None, to_rstd, to_g
    to_x = to_z * rstd
    to_rstd = _plus(to_rstd, sum_over(to_z * centred, -1))
    return to_x, to_gamma, -sum_over(to_x, -1), to_rstd, to_g


def _through_statistics(
    centred: Value,
    rstd: Value,
    count: int,
    to_mean: Value | None,
    to_rstd: Value | None,
    to_var: Value | None,
) -> Value | None:
    """What reaches ``x`` by way of the saved mean, rstd and variance of ``count`` elements.

    Only gradients of gradients, and losses that read running values, take this way.
    """
    part = None
    if to_rstd is not None:
        to_var = _plus(to_var, to_rstd * (rstd * rstd * rstd * -0.5))
    if to_var is not None:
        part = centred * (to_var * (2 / count))
    if to_mean is not None:
        part = _plus(part, expand(to_mean * (1 / count), centred.type.sizes))
    return part


def _plus(a: Value | None, b: Value | None) -> Value | None:
    """Their sum, where None is a gradient of nothing."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def _times(a: Value | None, number: float) -> Value | None:
    return None if a is None else a * number


def _layer_norm_decompose(node: Node) -> tuple[Value, ...]:
    x, gamma, beta = node.inputs
    mean_ = mean(x, -1)
    centred = x - expand_dims(mean_, -1)
    rstd = rsqrt(mean(square(centred), -1) + attrs_of(node, LayerNormAttrs).epsilon)
    return centred * expand_dims(rstd, -1) * gamma + beta, mean_, rstd


def _layer_norm_grad_case(shape: tuple[int, ...]) -> Case:
    row = shape[:-1]
    return Case((Arg(shape), Arg(shape[-1:]), Arg(row), Arg(row, low=0.5), Arg(shape)))


def _running_updates(node: Node) -> tuple[tuple[Value, Value], ...]:
    pairs = zip(node.inputs[3:], node.outputs[3:], strict=True)
    return tuple((old, new) for old, new in pairs if variable_of(old) is not None)


def _batch_norm_case(shape: tuple[int, ...], attrs: BatchNormAttrs) -> Case:
    vector = Arg(shape[-1:])
    return Case((Arg(shape), vector, vector, vector, Arg(shape[-1:], low=0.5)), attrs)


def _layer_norm_case(shape: tuple[int, ...]) -> Case:
    return Case((Arg(shape), Arg(shape[-1:]), Arg(shape[-1:])), LayerNormAttrs(1e-3))


BATCH_NORM = register(
    Op(
        "batch_norm",
        infer=_infer_batch_norm,
        reference=_batch_norm_reference,
        gradient=_batch_norm_gradient,
        decompose=_batch_norm_decompose,
        inference=_batch_norm_inference,
        updates=_running_updates,
        # For each element: the mean, the variance, and the result.
        flops=lambda node: 8 * node.inputs[0].type.size,
        cases=(
            _batch_norm_case((7, 3), BatchNormAttrs(0.9, 1e-3)),
            _batch_norm_case((2, 3, 5, 4), BatchNormAttrs(0.99, 1e-5, unbiased=True)),
            _batch_norm_case((2, 1), BatchNormAttrs(0.0, 0.1)),
            _batch_norm_case((1, 3), BatchNormAttrs(0.5, 0.1, unbiased=True)),
        ),
    )
)
"""``(x, gamma, beta, running_mean, running_var)`` to ``(y, mean, rstd, new_running_mean,
new_running_var)``, all but x and y of shape ``[C]``."""

LAYER_NORM = register(
    Op(
        "layer_norm",
        infer=_infer_layer_norm,
        reference=_layer_norm_reference,
        gradient=_layer_norm_gradient,
        decompose=_layer_norm_decompose,
        flops=lambda node: 8 * node.inputs[0].type.size,
        cases=tuple(
            _layer_norm_case(shape) for shape in ((3, 7), (2, 3, 4), (5,), (2, 1), (0, 3))
        ),
    )
)
"""``(x, gamma, beta) -> (y, mean, rstd)``; the last two have the shape of x less its last
axis."""

LAYER_NORM_GRAD = register(
    Op(
        "layer_norm_grad",
        infer=_infer_layer_norm_grad,
        reference=_layer_norm_grad_reference,
        gradient=_layer_norm_grad_gradient,
        decompose=_layer_norm_grad_decompose,
        # Twice z and h, the two means, dx, and the two sums.
        flops=lambda node: 17 * node.inputs[0].type.size,
        cases=tuple(
            _layer_norm_grad_case(shape) for shape in ((3, 7), (2, 3, 4), (5,), (2, 1), (0, 3))
        ),
    )
)
"""``(x, gamma, mean, rstd, g) -> (dx, dgamma, dbeta)`` for a gradient ``g`` of
`LAYER_NORM`'s result."""
