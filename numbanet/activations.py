"""Activations with Keras's names: functions of values, which ``activation=`` arguments name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.ops import (
    elu,
    gelu,
    hard_sigmoid,
    hard_swish,
    hard_tanh,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    tanh,
)
from numbanet.ops import exp as exponential
from numbanet.ops.axes import normalise_axis

__all__ = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
]

hard_silu = hard_swish
swish = silu

ActivationLike = str | Callable[[Value], Value] | None


def linear(x: Value) -> Value:
    """``x`` itself."""
    return x


def leaky_relu(x: Value, negative_slope: float = 0.2) -> Value:
    """``x`` where it is positive, ``negative_slope * x`` elsewhere."""
    return ops.leaky_relu(x, negative_slope)


def celu(x: Value, alpha: float = 1.0) -> Value:
    """``x`` where it is positive, ``alpha * (e ** (x / alpha) - 1)`` elsewhere (Barron,
    2017).
    """
    return ops.maximum(x, 0.0) + alpha * ops.expm1(ops.minimum(x, 0.0) / alpha)


def glu(x: Value, axis: int = -1) -> Value:
    """The first half along ``axis``, times the sigmoid of the second (Dauphin et al., 2017)."""
    size = x.shape[axis]
    if size is None or size % 2:
        raise ShapeError("glu() halves an axis", got=str(x.type), expected="an even size")
    first, second = ops.split(x, 2, axis)
    return first * ops.sigmoid(second)


def hard_shrink(x: Value, threshold: float = 0.5) -> Value:
    """``x`` where ``|x| > threshold``, zero elsewhere."""
    return ops.where(abs(x) > threshold, x, 0)


def soft_shrink(x: Value, threshold: float = 0.5) -> Value:
    """``x`` moved towards zero by ``threshold``, no further than zero."""
    return ops.where(abs(x) > threshold, x - ops.sign(x) * threshold, 0)


def tanh_shrink(x: Value) -> Value:
    """``x - tanh(x)``."""
    return x - ops.tanh(x)


def squareplus(x: Value, b: float = 4.0) -> Value:
    """``(x + sqrt(x ** 2 + b)) / 2`` (Barron, 2021)."""
    return (x + ops.sqrt(ops.square(x) + b)) * 0.5


def sparse_plus(x: Value) -> Value:
    """Zero up to -1, ``(x + 1) ** 2 / 4`` up to 1, then ``x``."""
    curve = ops.square(x + 1.0) * 0.25
    return ops.where(x <= -1, 0, ops.where(x < 1, curve, x))


def sparse_sigmoid(x: Value) -> Value:
    """Zero up to -1, ``(x + 1) / 2`` up to 1, then one."""
    return ops.where(x <= -1, 0, ops.where(x < 1, (x + 1.0) * 0.5, 1))


def sparsemax(x: Value, axis: int = -1) -> Value:
    """The point of the simplex nearest to ``x``, most of whose elements may be zero.

    (Martins and Astudillo, "From softmax to sparsemax", 2016.) The work is quadratic in the
    size along ``axis``.
    """
    axis = normalise_axis("sparsemax", axis, x.rank)
    # The support: elements that those not smaller exceed by less than one in sum.
    mine, other = ops.expand_dims(x, axis + 1), ops.expand_dims(x, axis)
    not_smaller = ops.cast(other >= mine, x.dtype)
    above = ops.sum((other - mine) * not_smaller, axis + 1)
    support = ops.stop_gradient(ops.cast(above < 1, x.dtype))
    count = ops.sum(support, axis, keepdims=True)
    threshold = (ops.sum(x * support, axis, keepdims=True) - 1.0) / count
    return ops.maximum(x - threshold, 0.0)


_NAMES: dict[str, Callable[..., Any]] = {
    name: globals()[name] for name in __all__ if name != "get"
}


def get(activation: ActivationLike) -> Callable[[Value], Value]:
    """The function of a name such as ``"relu"``; None is linear, a callable itself."""
    if activation is None:
        return linear
    if callable(activation):
        return activation
    if activation not in _NAMES:
        raise ArgumentError(
            "unknown activation", got=repr(activation), expected=", ".join(_NAMES)
        )
    return _NAMES[activation]
