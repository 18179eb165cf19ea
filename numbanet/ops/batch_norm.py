"""Normalisation over the batch, and over all pixels of images.

It is recorded as one op, which says what it becomes at inference and which variables it moves.
A device computes it in two steps: the statistics of the batch (`BATCH_MOMENTS`), and then
arithmetic, which fuses with whatever follows. The gradient is likewise two sums for each
channel (`BATCH_NORM_SUMS`), and arithmetic: with ``z = (x - mean) * rstd`` over m elements and
``h`` the gradient of z, that of x is ``rstd * (h - mean(h) - z * mean(h * z))``.

All arithmetic is in the shape of ``x``: what is computed for each channel alone would be a
launch of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from numbanet.errors import ShapeError
from numbanet.ir.op import Arg, Attrs, Case, Op, attrs_of, register
from numbanet.ir.types import TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops.arithmetic import rsqrt, square
from numbanet.ops.checks import require_shape
from numbanet.ops.elementwise import FLOATING, common_dtype
from numbanet.ops.leaf import variable_of
from numbanet.ops.normalisation import (
    batch_axes,
    check_vectors,
    plus,
    through_statistics,
    times,
)
from numbanet.ops.reductions import mean
from numbanet.ops.reductions import sum as sum_over
from numbanet.ops.shapes import expand


@dataclass(frozen=True)
class BatchNormAttrs(Attrs):
    """``momentum`` is the weight of the old running value, as in Keras; ``unbiased`` divides
    the running variance by m - 1, as in PyTorch."""

    momentum: float
    epsilon: float
    unbiased: bool = False

    def correction(self, rows: int) -> float:
        """The running variance over the biased one; of a single row the variance is zero."""
        return rows / max(rows - 1, 1) if self.unbiased else 1.0


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


def _infer_batch_norm(
    _: BatchNormAttrs, x: TensorType, *vectors: TensorType
) -> tuple[TensorType, ...]:
    names = ("gamma", "beta", "running_mean", "running_var")
    check_vectors("batch_norm", x, *zip(names, vectors, strict=True))
    if 0 in x.shape:
        raise ShapeError("batch_norm() of no samples", got=str(x), expected="at least one")
    return (x, *vectors)


def _infer_batch_moments(
    attrs: BatchNormAttrs, x: TensorType, running_mean: TensorType, running_var: TensorType
) -> tuple[TensorType, ...]:
    vectors = (running_mean, running_mean, running_mean, running_var)
    return _infer_batch_norm(attrs, x, *vectors)[1:]


def _infer_batch_norm_sums(
    _: Attrs, x: TensorType, mean_: TensorType, rstd: TensorType, g: TensorType
) -> tuple[TensorType, TensorType]:
    check_vectors("batch_norm_sums", x, ("mean", mean_), ("rstd", rstd))
    common_dtype("batch_norm_sums", (x, g), FLOATING)
    require_shape("batch_norm_sums", "g", g, x.shape)
    return mean_, rstd


def _batch_norm_reference(
    attrs: BatchNormAttrs,
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    running_mean: np.ndarray,
    running_var: np.ndarray,
) -> tuple[np.ndarray, ...]:
    mean_, rstd, *running = _batch_moments_reference(attrs, x, running_mean, running_var)
    return (x - mean_) * rstd * gamma + beta, mean_, rstd, *running


def _batch_moments_reference(
    attrs: BatchNormAttrs, x: np.ndarray, running_mean: np.ndarray, running_var: np.ndarray
) -> tuple[np.ndarray, ...]:
    rows = x.reshape(-1, x.shape[-1])
    mean_, var = rows.mean(axis=0), rows.var(axis=0)
    rstd = 1 / np.sqrt(var + attrs.epsilon)
    keep, correction = attrs.momentum, attrs.correction(len(rows))
    new_mean = keep * running_mean + (1 - keep) * mean_
    return mean_, rstd, new_mean, keep * running_var + (1 - keep) * correction * var


def _batch_norm_sums_reference(
    _: Attrs, x: np.ndarray, mean_: np.ndarray, rstd: np.ndarray, g: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    axes = tuple(range(x.ndim - 1))
    return (g * (x - mean_) * rstd).sum(axis=axes), g.sum(axis=axes)


def _batch_norm_decompose(node: Node) -> tuple[Value, ...]:
    x, gamma, beta, *running = node.inputs
    mean_, rstd, *moved = BATCH_MOMENTS(x, *running, attrs=node.attrs)
    return (x - mean_) * rstd * gamma + beta, mean_, rstd, *moved


def _batch_moments_decompose(node: Node) -> tuple[Value, ...]:
    attrs = attrs_of(node, BatchNormAttrs)
    x, running_mean, running_var = node.inputs
    axes, keep = batch_axes(x), attrs.momentum
    mean_ = mean(x, axes)
    var = mean(square(x - mean_), axes)
    new_mean = running_mean * keep + mean_ * (1 - keep)
    new_var = running_var * keep + var * ((1 - keep) * attrs.correction(_rows(x)))
    return mean_, rsqrt(var + attrs.epsilon), new_mean, new_var


def _batch_norm_sums_decompose(node: Node) -> tuple[Value, Value]:
    x, mean_, rstd, g = node.inputs
    z = (x - mean_) * rstd
    return sum_over(g * z, batch_axes(x)), sum_over(g, batch_axes(x))


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
    rows = _rows(x)
    dx = dgamma = dbeta = None
    if g is not None:
        dgamma, dbeta = BATCH_NORM_SUMS(x, mean_, rstd, g)
        # Of ``x - mean`` cse would make one node with the forward pass's, to be kept till now.
        opposite = (mean_ - x) * rstd
        dx = (g * rows - dbeta + opposite * dgamma) * rstd * gamma * (1 / rows)
    keep = attrs.momentum
    to_mean = plus(to_mean, times(to_running_mean, 1 - keep))
    to_var = times(to_running_var, (1 - keep) * attrs.correction(rows))
    dx = plus(dx, through_statistics(x - mean_, rstd, rows, to_mean, to_rstd, to_var))
    return dx, dgamma, dbeta, times(to_running_mean, keep), times(to_running_var, keep)


def _batch_norm_sums_gradient(
    node: Node, to_dgamma: Value | None, to_dbeta: Value | None
) -> tuple[Value | None, ...]:
    x, mean_, rstd, g = node.inputs
    to_g = None if to_dbeta is None else expand(to_dbeta, x.type.sizes)
    if to_dgamma is None:
        return None, None, None, to_g
    centred = x - mean_
    to_x = g * rstd * to_dgamma
    to_rstd = sum_over(g * centred, batch_axes(x)) * to_dgamma
    to_g = plus(to_g, centred * rstd * to_dgamma)
    return to_x, -sum_over(to_x, batch_axes(x)), to_rstd, to_g


def _rows(x: Value) -> int:
    return math.prod(x.type.sizes[:-1])


def _running_updates(node: Node) -> tuple[tuple[Value, Value], ...]:
    pairs = zip(node.inputs[3:], node.outputs[3:], strict=True)
    return tuple((old, new) for old, new in pairs if variable_of(old) is not None)


def _case(shape: tuple[int, ...], attrs: BatchNormAttrs, vectors: int) -> Case:
    """The last of the vectors is a variance."""
    shift = Arg(shape[-1:])
    return Case((Arg(shape), *[shift] * vectors, Arg(shape[-1:], low=0.5)), attrs)


def _sums_case(shape: tuple[int, ...]) -> Case:
    return Case((Arg(shape), Arg(shape[-1:]), Arg(shape[-1:], low=0.5), Arg(shape)))


_CASES = (
    ((7, 3), BatchNormAttrs(0.9, 1e-3)),
    ((2, 3, 5, 4), BatchNormAttrs(0.99, 1e-5, unbiased=True)),
    ((2, 1), BatchNormAttrs(0.0, 0.1)),
    ((1, 3), BatchNormAttrs(0.5, 0.1, unbiased=True)),
)

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
        cases=tuple(_case(shape, attrs, vectors=3) for shape, attrs in _CASES),
    )
)
"""``(x, gamma, beta, running_mean, running_var)`` to ``(y, mean, rstd, new_running_mean,
new_running_var)``, all but x and y of shape ``[C]``."""

BATCH_MOMENTS = register(
    Op(
        "batch_moments",
        infer=_infer_batch_moments,
        reference=_batch_moments_reference,
        decompose=_batch_moments_decompose,
        flops=lambda node: 4 * node.inputs[0].type.size,
        cases=tuple(_case(shape, attrs, vectors=1) for shape, attrs in _CASES),
    )
)
"""``(x, running_mean, running_var) -> (mean, rstd, new_running_mean, new_running_var)``: the
part of `BATCH_NORM` that looks at the whole batch. It is made after gradients are taken."""

BATCH_NORM_SUMS = register(
    Op(
        "batch_norm_sums",
        infer=_infer_batch_norm_sums,
        reference=_batch_norm_sums_reference,
        gradient=_batch_norm_sums_gradient,
        decompose=_batch_norm_sums_decompose,
        flops=lambda node: 4 * node.inputs[0].type.size,
        cases=tuple(_sums_case(shape) for shape, _ in _CASES),
    )
)
"""``(x, mean, rstd, g) -> (dgamma, dbeta)`` for a gradient ``g`` of `BATCH_NORM`'s result."""
