"""Exponentials, logarithms, trigonometric functions and their kin, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable

from numbanet import ops
from numbanet.ir import Value
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions.arithmetic import Operand
from numbanet.tensors.functions.promotion import floating


@tensor_function
def exp(input: Value) -> Value:
    """``e ** input``."""
    return ops.exp(*floating(input))


@tensor_function
def exp2(input: Value) -> Value:
    """``2 ** input``."""
    return ops.exp(floating(input)[0] * math.log(2))


@tensor_function
def expm1(input: Value) -> Value:
    """``e ** input - 1``, exact near zero."""
    return ops.expm1(*floating(input))


@tensor_function
def log(input: Value) -> Value:
    """The natural logarithm."""
    return ops.log(*floating(input))


@tensor_function
def log2(input: Value) -> Value:
    """The logarithm to base 2."""
    return log(input) / math.log(2)


@tensor_function
def log10(input: Value) -> Value:
    """The logarithm to base 10."""
    return log(input) / math.log(10)


@tensor_function
def log1p(input: Value) -> Value:
    """``log(1 + input)``, exact near zero."""
    return ops.log1p(*floating(input))


@tensor_function
def logaddexp(input: Value, other: Value) -> Value:
    """``log(exp(input) + exp(other))`` without overflow."""
    a, b = floating(input, other)
    is_same = ops.equal(a, b)  # infinities have no difference
    distance = ops.where(is_same, 0.0, ops.absolute(a - b))
    return ops.maximum(a, b) + ops.log1p(ops.exp(-distance))


@tensor_function
def sin(input: Value) -> Value:
    """The sine, in radians."""
    return ops.sin(*floating(input))


@tensor_function
def cos(input: Value) -> Value:
    """The cosine, in radians."""
    return ops.cos(*floating(input))


@tensor_function
def tan(input: Value) -> Value:
    """The tangent, in radians."""
    (x,) = floating(input)
    return ops.sin(x) / ops.cos(x)


@tensor_function
def sinh(input: Value) -> Value:
    """The hyperbolic sine."""
    return _odd(_sinh, *floating(input))


def _sinh(x: Value) -> Value:
    grown = ops.expm1(x)
    # Exact near zero: (e^x - e^-x) / 2 = (m + m / (m + 1)) / 2 with m = e^x - 1.
    return ops.where(grown < 1e18, (grown + grown / (grown + 1.0)) * 0.5, grown * 0.5)


def _odd(function: Callable[[Value], Value], x: Value) -> Value:
    """``function``, which takes numbers from zero on, and its mirror image below.

    (With ``absolute`` and ``sign`` the slope at zero would be lost.)
    """
    is_below = x < 0
    above = function(ops.where(is_below, -x, x))
    return ops.where(is_below, -above, above)


@tensor_function
def cosh(input: Value) -> Value:
    """The hyperbolic cosine."""
    (x,) = floating(input)
    return ops.exp(x) * 0.5 + ops.exp(-x) * 0.5


@tensor_function
def tanh(input: Value) -> Value:
    """The hyperbolic tangent."""
    return ops.tanh(*floating(input))


@tensor_function
def atan(input: Value) -> Value:
    """The angle, from -pi/2 to pi/2, of which ``input`` is the tangent."""
    return ops.atan(*floating(input))


@tensor_function
def asin(input: Value) -> Value:
    """The angle, from -pi/2 to pi/2, of which ``input`` is the sine; else NaN."""
    (x,) = floating(input)
    return ops.atan(x / ops.sqrt((1.0 - x) * (1.0 + x)))


@tensor_function
def acos(input: Value) -> Value:
    """The angle, from 0 to pi, of which ``input`` is the cosine; else NaN."""
    (x,) = floating(input)
    return 2.0 * ops.atan(ops.sqrt((1.0 - x) / (1.0 + x)))


@tensor_function
def atan2(input: Value, other: Value) -> Value:
    """The angle, from -pi to pi, of the point ``(other, input)``."""
    y, x = floating(input, other)
    # Zero over zero has no angle, and the point's is zero or pi.
    is_origin = ops.logical_and(ops.equal(x, 0.0), ops.equal(y, 0.0))
    angle = ops.atan(y / ops.where(is_origin, 1.0, x))
    turn = ops.where(y < 0, ops.constant(-math.pi, y.dtype), math.pi)
    return ops.where(x < 0, angle + turn, angle)


@tensor_function
def asinh(input: Value) -> Value:
    """The number of which ``input`` is the hyperbolic sine."""
    return _odd(_asinh, *floating(input))


_FAR = 1e8
"""From here on ``x * x + 1`` is ``x * x``, and might overflow."""


def _asinh(x: Value) -> Value:
    near = ops.minimum(x, _FAR)
    exact = ops.log1p(near + near * near / (1.0 + ops.sqrt(near * near + 1.0)))
    return ops.where(x < _FAR, exact, ops.log(ops.maximum(x, 1.0)) + math.log(2))


@tensor_function
def acosh(input: Value) -> Value:
    """The number from zero on of which ``input`` is the hyperbolic cosine; else NaN."""
    (x,) = floating(input)
    over = ops.minimum(x, _FAR) - 1.0
    exact = ops.log1p(over + ops.sqrt(over * (over + 2.0)))
    return ops.where(x < _FAR, exact, ops.log(ops.maximum(x, 1.0)) + math.log(2))


@tensor_function
def atanh(input: Value) -> Value:
    """The number of which ``input`` is the hyperbolic tangent; NaN beyond -1 and 1."""
    return _odd(lambda x: 0.5 * ops.log1p(2.0 * x / (1.0 - x)), *floating(input))


arctan, arcsin, arccos, arctan2 = atan, asin, acos, atan2
arcsinh, arccosh, arctanh = asinh, acosh, atanh


@tensor_function
def rad2deg(input: Value) -> Value:
    """Radians as degrees."""
    return floating(input)[0] * (180 / math.pi)


@tensor_function
def deg2rad(input: Value) -> Value:
    """Degrees as radians."""
    return floating(input)[0] * (math.pi / 180)


@tensor_function
def hypot(input: Value, other: Value) -> Value:
    """``sqrt(input ** 2 + other ** 2)`` without overflow."""
    a, b = (ops.absolute(each) for each in floating(input, other))
    large, small = ops.maximum(a, b), ops.minimum(a, b)
    ratio = small / ops.where(ops.equal(large, 0.0), 1.0, large)
    return large * ops.sqrt(ratio * ratio + 1.0)


@tensor_function
def sigmoid(input: Value) -> Value:
    """``1 / (1 + exp(-input))``."""
    return ops.sigmoid(*floating(input))


@tensor_function
def logit(input: Value, eps: float | None = None) -> Value:
    """``log(input / (1 - input))``, of ``input`` clamped to ``[eps, 1 - eps]`` if given."""
    (x,) = floating(input)
    if eps is not None:
        x = ops.clip(x, eps, 1 - eps)
    return ops.log(x / (1.0 - x))


@tensor_function
def erf(input: Value) -> Value:
    """The error function."""
    return ops.erf(*floating(input))


@tensor_function
def erfc(input: Value) -> Value:
    """One minus the error function."""
    return 1.0 - ops.erf(*floating(input))


@tensor_function
def relu(input: Value) -> Value:
    """Each element, or zero if that is larger."""
    return ops.relu(input) if input.dtype.is_floating else ops.maximum(input, 0)


@tensor_function
def xlogy(input: Operand, other: Operand) -> Value:
    """``input * log(other)``, zero where ``input`` is."""
    a, b = floating(input, other)
    is_zero = ops.equal(a, 0.0)
    return ops.where(is_zero, 0.0, a * ops.log(ops.where(is_zero, 1.0, b)))
