"""Exponentials, logarithms, trigonometric functions and their kin, element by element."""

from __future__ import annotations

import math

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
    (x,) = floating(input)
    grown = ops.expm1(ops.absolute(x))
    # Exact near zero: (e^x - e^-x) / 2 = (m + m / (m + 1)) / 2 with m = e^x - 1.
    half = ops.where(grown < 1e18, (grown + grown / (grown + 1.0)) * 0.5, grown * 0.5)
    return half * ops.sign(x)


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
