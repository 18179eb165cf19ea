"""Sums, products, powers and roots of elements, and the steps between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numbanet.errors import ArgumentError
from numbanet.ir.op import Attrs, attrs_of
from numbanet.ir.value import Node, Value
from numbanet.ops import scalar
from numbanet.ops.comparison import (
    equal,
    greater,
    greater_equal,
    less_equal,
    logical_and,
    where,
)
from numbanet.ops.elementwise import FLOATING, NUMERIC, Operand, as_values, elementwise, out
from numbanet.ops.leaf import constant_number
from numbanet.ops.scalar import Scalar
from numbanet.ops.transcendental import log

ADD = elementwise(
    "add",
    scalar=lambda _, a, b: a + b,
    reference=lambda _, a, b: a + b,
    gradient=lambda node, g: (g, g),
    arity=2,
    dtypes=NUMERIC,
    commutative=True,
)

SUBTRACT = elementwise(
    "subtract",
    scalar=lambda _, a, b: a - b,
    reference=lambda _, a, b: a - b,
    gradient=lambda node, g: (g, -g),
    arity=2,
    dtypes=NUMERIC,
)


def _multiply_gradient(node: Node, g: Value) -> tuple[Value, Value]:
    a, b = node.inputs
    return g * b, g * a


MULTIPLY = elementwise(
    "multiply",
    scalar=lambda _, a, b: a * b,
    reference=lambda _, a, b: a * b,
    gradient=_multiply_gradient,
    arity=2,
    dtypes=NUMERIC,
    commutative=True,
)


def _divide_gradient(node: Node, g: Value) -> tuple[Value, Value]:
    ratio = g / node.inputs[1]
    return ratio, -(ratio * out(node))


DIVIDE = elementwise(
    "divide",
    scalar=lambda _, a, b: a / b,
    reference=lambda _, a, b: a / b,
    gradient=_divide_gradient,
    arity=2,
    domain=(0.5, 2.0),
    dtypes=FLOATING,
)


def _power_gradient(node: Node, g: Value) -> tuple[Value | None, Value | None]:
    base, exponent = node.inputs
    number = constant_number(exponent)
    if number == 0:
        return None, None
    if number is not None:
        # No logarithm of a base that may be negative.
        return g * number * power(base, number - 1), None
    slope = where(equal(base, 0.0), 0.0, out(node) * log(base))
    return g * exponent * power(base, exponent - 1.0), g * slope


POWER = elementwise(
    "power",
    scalar=lambda _, a, b: scalar.power(a, b),
    reference=lambda _, a, b: np.power(a, b),
    gradient=_power_gradient,
    arity=2,
    domain=(0.3, 2.0),
    dtypes=FLOATING,
)


def _split(a: Scalar, b: Scalar) -> tuple[Scalar, Scalar]:
    """What is left of ``a / b`` rounded towards zero, and whether rounding down is one less."""
    left = scalar.fmod(a, b)
    is_below = scalar.either(
        scalar.both(left < 0, b > 0),
        scalar.both(left > 0, b < 0),
    )
    return left, is_below


def _remainder_scalar(_: Attrs, a: Scalar, b: Scalar) -> Scalar:
    if a.dtype.is_floating:
        left, is_below = _split(a, b)
        return scalar.where(is_below, left + b, left)
    is_zero = scalar.equal(b, 0)
    return scalar.where(is_zero, 0, scalar.remainder(a, scalar.where(is_zero, 1, b)))


def _floor_divide_scalar(_: Attrs, a: Scalar, b: Scalar) -> Scalar:
    is_zero = scalar.equal(b, 0)
    if a.dtype.is_floating:
        left, is_below = _split(a, b)
        # A whole number up to rounding.
        quotient = scalar.floor((a - left) / b + 0.5)
        lower = scalar.where(is_below, quotient - 1, quotient)
        return scalar.where(is_zero, a / b, lower)
    divided = scalar.floor_divide(a, scalar.where(is_zero, 1, b))
    return scalar.where(is_zero, 0, divided)


REMAINDER = elementwise(
    "remainder",
    scalar=_remainder_scalar,
    reference=lambda _, a, b: np.remainder(a, b),
    gradient=lambda node, g: (g, -(g * floor_divide(*node.inputs))),
    arity=2,
    domain=(0.3, 0.9),
    dtypes=NUMERIC,
)

FLOOR_DIVIDE = elementwise(
    "floor_divide",
    scalar=_floor_divide_scalar,
    reference=lambda _, a, b: np.floor_divide(a, b),
    gradient=lambda node, g: (None, None),
    arity=2,
    domain=(0.3, 0.9),
    dtypes=NUMERIC,
)

NEGATIVE = elementwise(
    "negative",
    scalar=lambda _, x: -x,
    reference=lambda _, x: -x,
    gradient=lambda node, g: (-g,),
    dtypes=NUMERIC,
)

ABSOLUTE = elementwise(
    "absolute",
    scalar=lambda _, x: scalar.absolute(x),
    reference=lambda _, x: np.abs(x),
    gradient=lambda node, g: (g * sign(node.inputs[0]),),
    avoid=(0.0,),
    dtypes=NUMERIC,
)

SIGN = elementwise(
    "sign",
    # Zero and NaN are their own sign.
    scalar=lambda _, x: scalar.where(x > 0, 1, scalar.where(x < 0, -1, x)),
    reference=lambda _, x: np.sign(x),
    gradient=lambda node, g: (None,),
    avoid=(0.0,),
    dtypes=NUMERIC,
)

FLOOR = elementwise(
    "floor",
    scalar=lambda _, x: scalar.floor(x),
    reference=lambda _, x: np.floor(x),
    gradient=lambda node, g: (None,),
    avoid=(-1.0, 0.0, 1.0),
    dtypes=FLOATING,
)

SQUARE = elementwise(
    "square",
    scalar=lambda _, x: x * x,
    reference=lambda _, x: x * x,
    gradient=lambda node, g: (g * 2 * node.inputs[0],),
    dtypes=NUMERIC,
)

SQRT = elementwise(
    "sqrt",
    scalar=lambda _, x: scalar.sqrt(x),
    reference=lambda _, x: np.sqrt(x),
    gradient=lambda node, g: (g * 0.5 / out(node),),
    domain=(0.2, 3.0),
    dtypes=FLOATING,
)


def _rsqrt_gradient(node: Node, g: Value) -> tuple[Value]:
    y = out(node)
    return (g * -0.5 * (y * y * y),)


RSQRT = elementwise(
    "rsqrt",
    scalar=lambda _, x: scalar.rsqrt(x),
    reference=lambda _, x: 1 / np.sqrt(x),
    gradient=_rsqrt_gradient,
    domain=(0.2, 3.0),
    dtypes=FLOATING,
)


def _maximum_gradient(node: Node, g: Value) -> tuple[Value, Value]:
    a, b = node.inputs
    half = where(equal(a, b), g * 0.5, 0)
    return where(greater(a, b), g, half), where(greater(b, a), g, half)


MAXIMUM = elementwise(
    "maximum",
    scalar=lambda _, a, b: scalar.maximum(a, b),
    reference=lambda _, a, b: np.maximum(a, b),
    gradient=_maximum_gradient,
    arity=2,
    dtypes=NUMERIC,
    commutative=True,
)


def _minimum_gradient(node: Node, g: Value) -> tuple[Value, Value]:
    a, b = node.inputs
    half = where(equal(a, b), g * 0.5, 0)
    return where(greater(b, a), g, half), where(greater(a, b), g, half)


MINIMUM = elementwise(
    "minimum",
    scalar=lambda _, a, b: scalar.minimum(a, b),
    reference=lambda _, a, b: np.minimum(a, b),
    gradient=_minimum_gradient,
    arity=2,
    dtypes=NUMERIC,
    commutative=True,
)


@dataclass(frozen=True)
class ClipAttrs(Attrs):
    low: float
    high: float


def _clip_gradient(node: Node, g: Value) -> tuple[Value]:
    x, attrs = node.inputs[0], attrs_of(node, ClipAttrs)
    assert isinstance(attrs, ClipAttrs)
    inside = logical_and(greater_equal(x, attrs.low), less_equal(x, attrs.high))
    return (where(inside, g, 0),)


CLIP = elementwise(
    "clip",
    scalar=lambda attrs, x: scalar.minimum(scalar.maximum(x, attrs.low), attrs.high),
    reference=lambda attrs, x: np.minimum(np.maximum(x, attrs.low), attrs.high),
    gradient=_clip_gradient,
    avoid=(-0.5, 1.0),
    attrs=ClipAttrs(-0.5, 1.0),
    dtypes=FLOATING,
)


def add(a: Operand, b: Operand) -> Value:
    """``a + b``, broadcast."""
    return ADD(*as_values(a, b))


def subtract(a: Operand, b: Operand) -> Value:
    """``a - b``, broadcast."""
    return SUBTRACT(*as_values(a, b))


def multiply(a: Operand, b: Operand) -> Value:
    """``a * b``, broadcast."""
    return MULTIPLY(*as_values(a, b))


def divide(a: Operand, b: Operand) -> Value:
    """``a / b`` of floating-point numbers, broadcast."""
    return DIVIDE(*as_values(a, b))


def power(a: Operand, b: Operand) -> Value:
    """``a ** b`` of floating-point numbers, broadcast.

    NaN where a negative base meets a fractional exponent. The gradient with respect to the
    exponent is zero where the base is zero.
    """
    return POWER(*as_values(a, b))


def remainder(a: Operand, b: Operand) -> Value:
    """What is left of ``a / b`` rounded down; it has the sign of ``b``.

    Integers divided by zero leave zero, floating-point numbers NaN.
    """
    return REMAINDER(*as_values(a, b))


def floor_divide(a: Operand, b: Operand) -> Value:
    """``a / b`` rounded down. Integers divided by zero give zero."""
    return FLOOR_DIVIDE(*as_values(a, b))


def negative(x: Operand) -> Value:
    """``-x``."""
    return NEGATIVE(*as_values(x))


def absolute(x: Operand) -> Value:
    """``|x|``, with slope zero at zero."""
    return ABSOLUTE(*as_values(x))


def sign(x: Operand) -> Value:
    """-1, 0 or 1 by the sign of each element."""
    return SIGN(*as_values(x))


def floor(x: Operand) -> Value:
    """The largest integer that is not larger than each element, as a floating-point number."""
    return FLOOR(*as_values(x))


def square(x: Operand) -> Value:
    """``x * x``."""
    return SQUARE(*as_values(x))


def sqrt(x: Operand) -> Value:
    """The square root of each element, NaN below zero."""
    return SQRT(*as_values(x))


def rsqrt(x: Operand) -> Value:
    """One over the square root of each element."""
    return RSQRT(*as_values(x))


def maximum(a: Operand, b: Operand) -> Value:
    """The larger of two elements; NaN if one is. Where they tie each gets half a gradient."""
    return MAXIMUM(*as_values(a, b))


def minimum(a: Operand, b: Operand) -> Value:
    """The smaller of two elements; NaN if one is. Where they tie each gets half a gradient."""
    return MINIMUM(*as_values(a, b))


def clip(x: Operand, low: float, high: float) -> Value:
    """Each element, moved into ``[low, high]``.

    Parameters
    ----------
    x : Value, number or array
        Floating-point numbers.
    low, high : float
        Bounds; infinities leave a side open. The gradient passes on the bounds, not beyond.

    Raises
    ------
    ArgumentError
        If ``low`` is above ``high``.
    """
    if not low <= high:
        raise ArgumentError("clip() takes low <= high", got=f"low={low}, high={high}")
    return CLIP(*as_values(x), attrs=ClipAttrs(float(low), float(high)))
