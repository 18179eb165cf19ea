"""Activation functions, defined as Keras 3 and PyTorch define them.

Where a slope can be had from the output it is, so that the pre-activation need not be kept for
the backward pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from numbanet.ir.op import Attrs, attrs_of
from numbanet.ir.value import Node, Value
from numbanet.ops import scalar
from numbanet.ops.comparison import logical_and, where
from numbanet.ops.elementwise import FLOATING, Operand, as_values, elementwise, out
from numbanet.ops.scalar import Scalar
from numbanet.ops.transcendental import erf, erf_reference, exp, expm1, tanh

_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805
_ROOT_HALF = math.sqrt(0.5)
_ROOT_2_BY_PI = math.sqrt(2.0 / math.pi)
_GELU_CUBIC = 0.044715

RELU = elementwise(
    "relu",
    scalar=lambda _, x: scalar.maximum(x, 0.0),
    reference=lambda _, x: np.maximum(x, 0.0),
    gradient=lambda node, g: (where(out(node) > 0, g, 0),),
    avoid=(0.0,),
    dtypes=FLOATING,
)


@dataclass(frozen=True)
class LeakyReluAttrs(Attrs):
    negative_slope: float


def _leaky_relu_gradient(node: Node, g: Value) -> tuple[Value]:
    slope = attrs_of(node, LeakyReluAttrs).negative_slope
    # The output has the input's sign unless the slope is negative.
    x = out(node) if slope >= 0 else node.inputs[0]
    return (where(x > 0, g, g * slope),)


LEAKY_RELU = elementwise(
    "leaky_relu",
    scalar=lambda attrs, x: scalar.where(x > 0, x, x * attrs.negative_slope),
    reference=lambda attrs, x: np.where(x > 0, x, x * attrs.negative_slope),
    gradient=_leaky_relu_gradient,
    avoid=(0.0,),
    attrs=LeakyReluAttrs(0.2),
    dtypes=FLOATING,
)


@dataclass(frozen=True)
class EluAttrs(Attrs):
    alpha: float


def _elu_gradient(node: Node, g: Value) -> tuple[Value]:
    alpha = attrs_of(node, EluAttrs).alpha
    x = out(node) if alpha >= 0 else node.inputs[0]
    return (where(x > 0, g, g * (out(node) + alpha)),)


ELU = elementwise(
    "elu",
    scalar=lambda attrs, x: scalar.where(x > 0, x, scalar.expm1(x) * attrs.alpha),
    reference=lambda attrs, x: np.where(x > 0, x, np.expm1(x) * attrs.alpha),
    gradient=_elu_gradient,
    avoid=(0.0,),
    attrs=EluAttrs(0.7),
    dtypes=FLOATING,
)


def _selu_gradient(node: Node, g: Value) -> tuple[Value]:
    y = out(node)
    return (g * where(y > 0, _SELU_SCALE, y + _SELU_SCALE * _SELU_ALPHA),)


SELU = elementwise(
    "selu",
    scalar=lambda _, x: scalar.where(x > 0, x, scalar.expm1(x) * _SELU_ALPHA) * _SELU_SCALE,
    reference=lambda _, x: np.where(x > 0, x, np.expm1(x) * _SELU_ALPHA) * _SELU_SCALE,
    gradient=_selu_gradient,
    avoid=(0.0,),
    dtypes=FLOATING,
)

SIGMOID = elementwise(
    "sigmoid",
    # An exponential that overflows gives 1 / inf, the zero that it should be.
    scalar=lambda _, x: 1.0 / (1.0 + scalar.exp(-x)),
    reference=lambda _, x: 1.0 / (1.0 + np.exp(-x)),
    gradient=lambda node, g: (g * (out(node) * (1.0 - out(node))),),
    dtypes=FLOATING,
)

LOG_SIGMOID = elementwise(
    "log_sigmoid",
    scalar=lambda _, x: scalar.minimum(x, 0.0) - scalar.log1p(scalar.exp(-scalar.absolute(x))),
    reference=lambda _, x: -np.logaddexp(0, -x),
    gradient=lambda node, g: (-(g * expm1(out(node))),),
    dtypes=FLOATING,
)


@dataclass(frozen=True)
class SoftplusAttrs(Attrs):
    beta: float


def softplus_scalar(x: Scalar) -> Scalar:
    """``log(1 + e ** x)`` without overflow."""
    return scalar.maximum(x, 0.0) + scalar.log1p(scalar.exp(-scalar.absolute(x)))


SOFTPLUS = elementwise(
    "softplus",
    scalar=lambda attrs, x: softplus_scalar(x * attrs.beta) / attrs.beta,
    reference=lambda attrs, x: np.logaddexp(0, x * attrs.beta) / attrs.beta,
    gradient=lambda node, g: (-(g * expm1(out(node) * -attrs_of(node, SoftplusAttrs).beta)),),
    attrs=SoftplusAttrs(1.5),
    dtypes=FLOATING,
)


def _silu_gradient(node: Node, g: Value) -> tuple[Value]:
    x = node.inputs[0]
    s = sigmoid(x)
    return (g * (s * (1.0 + x * (1.0 - s))),)


SILU = elementwise(
    "silu",
    scalar=lambda _, x: x / (1.0 + scalar.exp(-x)),
    reference=lambda _, x: x / (1.0 + np.exp(-x)),
    gradient=_silu_gradient,
    dtypes=FLOATING,
)


def _mish_gradient(node: Node, g: Value) -> tuple[Value]:
    x = node.inputs[0]
    t = tanh(softplus(x))
    return (g * (t + x * sigmoid(x) * (1.0 - t * t)),)


MISH = elementwise(
    "mish",
    scalar=lambda _, x: x * scalar.tanh(softplus_scalar(x)),
    reference=lambda _, x: x * np.tanh(np.logaddexp(0, x)),
    gradient=_mish_gradient,
    dtypes=FLOATING,
)


@dataclass(frozen=True)
class GeluAttrs(Attrs):
    approximate: bool


def _gelu_scalar(attrs: GeluAttrs, x: Scalar) -> Scalar:
    if attrs.approximate:
        return 0.5 * x * (1.0 + scalar.tanh(_ROOT_2_BY_PI * (x + _GELU_CUBIC * (x * x * x))))
    return 0.5 * x * (1.0 + scalar.erf(x * _ROOT_HALF))


def _gelu_reference(attrs: GeluAttrs, x: np.ndarray) -> np.ndarray:
    if attrs.approximate:
        return 0.5 * x * (1.0 + np.tanh(_ROOT_2_BY_PI * (x + _GELU_CUBIC * x**3)))
    return 0.5 * x * (1.0 + erf_reference(attrs, x * _ROOT_HALF))


def _gelu_gradient(node: Node, g: Value) -> tuple[Value]:
    x = node.inputs[0]
    if attrs_of(node, GeluAttrs).approximate:
        t = tanh(_ROOT_2_BY_PI * (x + _GELU_CUBIC * (x * x * x)))
        inner = _ROOT_2_BY_PI * (1.0 + 3.0 * _GELU_CUBIC * (x * x))
        return (g * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner),)
    density = exp(x * x * -0.5) * (1.0 / math.sqrt(2.0 * math.pi))
    return (g * (0.5 * (1.0 + erf(x * _ROOT_HALF)) + x * density),)


GELU = elementwise(
    "gelu",
    scalar=_gelu_scalar,
    reference=_gelu_reference,
    gradient=_gelu_gradient,
    attrs=(GeluAttrs(False), GeluAttrs(True)),
    dtypes=FLOATING,
)


def _softsign_gradient(node: Node, g: Value) -> tuple[Value]:
    # From the input: far out, 1 - |output| has lost its digits.
    root = 1.0 / (1.0 + abs(node.inputs[0]))
    return (g * (root * root),)


SOFTSIGN = elementwise(
    "softsign",
    scalar=lambda _, x: x / (1.0 + scalar.absolute(x)),
    reference=lambda _, x: x / (1.0 + np.abs(x)),
    gradient=_softsign_gradient,
    avoid=(0.0,),
    dtypes=FLOATING,
)


def _hard_sigmoid_gradient(node: Node, g: Value) -> tuple[Value]:
    y = out(node)
    return (where(logical_and(y > 0, y < 1), g * (1.0 / 6.0), 0),)


HARD_SIGMOID = elementwise(
    "hard_sigmoid",
    scalar=lambda _, x: scalar.minimum(scalar.maximum(x + 3.0, 0.0), 6.0) * (1.0 / 6.0),
    reference=lambda _, x: np.clip(x + 3.0, 0.0, 6.0) / 6.0,
    gradient=_hard_sigmoid_gradient,
    domain=(-5.0, 5.0),
    avoid=(-3.0, 3.0),
    dtypes=FLOATING,
)


def _hard_swish_gradient(node: Node, g: Value) -> tuple[Value]:
    x = node.inputs[0]
    inside = where(x < 3, x * (1.0 / 3.0) + 0.5, 1)
    return (g * where(x > -3, inside, 0),)


HARD_SWISH = elementwise(
    "hard_swish",
    scalar=lambda _, x: x * scalar.minimum(scalar.maximum(x + 3.0, 0.0), 6.0) * (1.0 / 6.0),
    reference=lambda _, x: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0,
    gradient=_hard_swish_gradient,
    domain=(-5.0, 5.0),
    avoid=(-3.0, 3.0),
    dtypes=FLOATING,
)


@dataclass(frozen=True)
class HardTanhAttrs(Attrs):
    low: float
    high: float


def _hard_tanh_gradient(node: Node, g: Value) -> tuple[Value]:
    y, attrs = out(node), attrs_of(node, HardTanhAttrs)
    return (where(logical_and(y > attrs.low, y < attrs.high), g, 0),)


HARD_TANH = elementwise(
    "hard_tanh",
    scalar=lambda attrs, x: scalar.minimum(scalar.maximum(x, attrs.low), attrs.high),
    reference=lambda attrs, x: np.clip(x, attrs.low, attrs.high),
    gradient=_hard_tanh_gradient,
    avoid=(-1.0, 1.5),
    attrs=HardTanhAttrs(-1.0, 1.5),
    dtypes=FLOATING,
)


def relu(x: Operand) -> Value:
    """``max(x, 0)``; slope zero at zero."""
    return RELU(*as_values(x))


def relu6(x: Operand) -> Value:
    """``min(max(x, 0), 6)``."""
    return hard_tanh(x, 0.0, 6.0)


def leaky_relu(x: Operand, negative_slope: float = 0.01) -> Value:
    """``x`` where it is positive, ``negative_slope * x`` elsewhere.

    The default slope is PyTorch's; that of ``keras.ops.leaky_relu`` is 0.2.
    """
    return LEAKY_RELU(*as_values(x), attrs=LeakyReluAttrs(float(negative_slope)))


def elu(x: Operand, alpha: float = 1.0) -> Value:
    """``x`` where it is positive, ``alpha * (e ** x - 1)`` elsewhere."""
    return ELU(*as_values(x), attrs=EluAttrs(float(alpha)))


def selu(x: Operand) -> Value:
    """The self-normalising ELU (Klambauer et al., 2017)."""
    return SELU(*as_values(x))


def gelu(x: Operand, approximate: bool = False) -> Value:
    """``x`` times the normal distribution function of ``x`` (Hendrycks and Gimpel, 2016).

    Parameters
    ----------
    x : Value, number or array
    approximate : bool
        Through tanh instead of the error function. False is PyTorch's default; that of
        ``keras.ops.gelu`` is True.
    """
    return GELU(*as_values(x), attrs=GeluAttrs(bool(approximate)))


def sigmoid(x: Operand) -> Value:
    """``1 / (1 + e ** -x)``."""
    return SIGMOID(*as_values(x))


def log_sigmoid(x: Operand) -> Value:
    """``log(sigmoid(x))`` without underflow."""
    return LOG_SIGMOID(*as_values(x))


def softplus(x: Operand, beta: float = 1.0) -> Value:
    """``log(1 + e ** (beta * x)) / beta`` without overflow."""
    return SOFTPLUS(*as_values(x), attrs=SoftplusAttrs(float(beta)))


def softsign(x: Operand) -> Value:
    """``x / (1 + |x|)``."""
    return SOFTSIGN(*as_values(x))


def silu(x: Operand) -> Value:
    """``x * sigmoid(x)``, also known as swish."""
    return SILU(*as_values(x))


def mish(x: Operand) -> Value:
    """``x * tanh(softplus(x))`` (Misra, 2019)."""
    return MISH(*as_values(x))


def hard_sigmoid(x: Operand) -> Value:
    """``relu6(x + 3) / 6``."""
    return HARD_SIGMOID(*as_values(x))


def hard_swish(x: Operand) -> Value:
    """``x * relu6(x + 3) / 6``."""
    return HARD_SWISH(*as_values(x))


def hard_tanh(x: Operand, low: float = -1.0, high: float = 1.0) -> Value:
    """``min(max(x, low), high)``; unlike `clip`, its slope on the bounds is zero."""
    return HARD_TANH(*as_values(x), attrs=HardTanhAttrs(float(low), float(high)))
