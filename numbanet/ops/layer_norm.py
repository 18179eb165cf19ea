"""Normalisation of rows over the last axis.

Its gradient is an op of its own, written out from the saved mean and reciprocal deviation.
With ``z = (x - mean) * rstd`` over the elements of a row and ``h`` the gradient of z, that of x
is ``rstd * (h - mean(h) - z * mean(h * z))``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numbanet.ir.op import Arg, Attrs, Case, Op, attrs_of, register
from numbanet.ir.types import TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops.arithmetic import rsqrt, square
from numbanet.ops.checks import require_shape
from numbanet.ops.elementwise import FLOATING, common_dtype
from numbanet.ops.normalisation import batch_axes, check_vectors, plus, through_statistics
from numbanet.ops.reductions import mean
from numbanet.ops.reductions import sum as sum_over
from numbanet.ops.shapes import expand, expand_dims


@dataclass(frozen=True)
class LayerNormAttrs(Attrs):
    epsilon: float


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


def _infer_layer_norm(
    _: LayerNormAttrs, x: TensorType, gamma: TensorType, beta: TensorType
) -> tuple[TensorType, TensorType, TensorType]:
    check_vectors("layer_norm", x, ("gamma", gamma), ("beta", beta))
    row = TensorType(x.shape[:-1], x.dtype)
    return x, row, row


def _layer_norm_reference(
    attrs: LayerNormAttrs, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray
) -> tuple[np.ndarray, ...]:
    mean_ = x.mean(axis=-1)
    rstd = 1 / np.sqrt(x.var(axis=-1) + attrs.epsilon)
    y = (x - mean_[..., np.newaxis]) * rstd[..., np.newaxis] * gamma + beta
    return y, mean_, rstd


def _layer_norm_decompose(node: Node) -> tuple[Value, ...]:
    x, gamma, beta = node.inputs
    mean_ = mean(x, -1)
    centred = x - expand_dims(mean_, -1)
    rstd = rsqrt(mean(square(centred), -1) + attrs_of(node, LayerNormAttrs).epsilon)
    return centred * expand_dims(rstd, -1) * gamma + beta, mean_, rstd


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
        part = through_statistics(x - mean_, rstd, columns, to_mean, to_rstd, None)
        dx = plus(dx, part)
    return dx, dgamma, dbeta


def _infer_layer_norm_grad(
    _: Attrs,
    x: TensorType,
    gamma: TensorType,
    mean_: TensorType,
    rstd: TensorType,
    g: TensorType,
) -> tuple[TensorType, TensorType, TensorType]:
    check_vectors("layer_norm", x, ("gamma", gamma))
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
    return dx, sum_over(g * z, batch_axes(x)), sum_over(g, batch_axes(x))


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
        to_gamma, to_g = sum_over(to_h * g, batch_axes(x)), to_h * gamma
        to_rstd = sum_over(to_dx * _across(h, z), -1)
        ours, theirs = (mean(each * z, -1, keepdims=True) for each in (h, to_dx))
        to_z = -rstd * (to_dx * ours + h * theirs)
    if to_dgamma is not None:
        to_g, to_z = plus(to_g, z * to_dgamma), plus(to_z, g * to_dgamma)
    if to_dbeta is not None:
        to_g = plus(to_g, expand(to_dbeta, x.type.sizes))
    if to_z is None:
        return None, to_gamma, None, to_rstd, to_g
    to_x = to_z * rstd
    to_rstd = plus(to_rstd, sum_over(to_z * centred, -1))
    return to_x, to_gamma, -sum_over(to_x, -1), to_rstd, to_g


def _layer_norm_case(shape: tuple[int, ...]) -> Case:
    return Case((Arg(shape), Arg(shape[-1:]), Arg(shape[-1:])), LayerNormAttrs(1e-3))


def _layer_norm_grad_case(shape: tuple[int, ...]) -> Case:
    row = shape[:-1]
    return Case((Arg(shape), Arg(shape[-1:]), Arg(row), Arg(row, low=0.5), Arg(shape)))


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
