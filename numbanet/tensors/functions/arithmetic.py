"""Sums, products, quotients and powers of elements."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from numbanet import ops
from numbanet.errors import ArgumentError, DTypeError
from numbanet.ir import DType, Value
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions.promotion import (
    Number,
    as_value,
    floating,
    promote,
    together,
)

Operand = Value | Number
"""What PyTorch's functions take beside a tensor: another one, or a number."""


@tensor_function
def add(input: Operand, other: Operand, *, alpha: Number = 1) -> Value:
    """``input + alpha * other``."""
    a, b = together(input, other)
    if a.dtype is DType.BOOL:
        return ops.logical_or(a, b)
    return ops.add(a, b if alpha == 1 else b * alpha)


@tensor_function
def sub(input: Operand, other: Operand, *, alpha: Number = 1) -> Value:
    """``input - alpha * other``."""
    a, b = together(input, other)
    if DType.BOOL in (a.dtype, getattr(other, "dtype", None)):
        raise DTypeError(
            "sub() of bools", got=str(a.dtype), mend="Use logical_xor() or logical_not()"
        )
    return ops.subtract(a, b if alpha == 1 else b * alpha)


@tensor_function
def rsub(input: Operand, other: Operand, *, alpha: Number = 1) -> Value:
    """``other - alpha * input``."""
    return sub(other, input, alpha=alpha)


@tensor_function
def mul(input: Operand, other: Operand) -> Value:
    """``input * other``."""
    a, b = together(input, other)
    return ops.logical_and(a, b) if a.dtype is DType.BOOL else ops.multiply(a, b)


@tensor_function
def div(input: Operand, other: Operand, *, rounding_mode: str | None = None) -> Value:
    """``input / other``.

    Parameters
    ----------
    rounding_mode : {None, "trunc", "floor"}
        None divides integers as floating-point numbers.
    """
    if rounding_mode is None:
        return ops.divide(*floating(input, other))
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode != "trunc":
        raise ArgumentError(
            "div() with an unknown rounding_mode",
            got=repr(rounding_mode),
            expected="None, 'trunc' or 'floor'",
        )
    a, b = together(input, other)
    if a.dtype.is_floating:
        quotient = a / b
        return ops.where(quotient < 0, -ops.floor(-quotient), ops.floor(quotient))
    if a.dtype is DType.UINT8:
        return ops.floor_divide(a, b)
    magnitude = ops.floor_divide(ops.absolute(a), ops.absolute(b))
    return ops.where(ops.not_equal(a < 0, b < 0), -magnitude, magnitude)


@tensor_function
def reverse_div(input: Operand, other: Operand) -> Value:
    """``other / input``."""
    return ops.divide(*floating(other, input))


@tensor_function
def floor_divide(input: Operand, other: Operand) -> Value:
    """``input / other`` rounded down."""
    return ops.floor_divide(*together(input, other))


@tensor_function
def remainder(input: Operand, other: Operand) -> Value:
    """What is left of ``input / other`` rounded down, as Python's ``%``."""
    return ops.remainder(*together(input, other))


@tensor_function
def fmod(input: Operand, other: Operand) -> Value:
    """What is left of ``input / other`` rounded towards zero; it has the sign of ``input``."""
    a, b = together(input, other)
    if a.dtype is DType.UINT8:
        return ops.remainder(a, b)
    left = ops.remainder(ops.absolute(a), ops.absolute(b))
    return ops.where(a < 0, -left, left)


@tensor_function
def pow(input: Operand, exponent: Operand) -> Value:
    """``input ** exponent``.

    Raises
    ------
    NotImplementedError
        If integers are raised to a tensor of integers.
    """
    dtype = promote(input, exponent)
    if dtype.is_floating:
        return ops.power(as_value(input, dtype), as_value(exponent, dtype))
    if isinstance(exponent, Value):
        raise NotImplementedError("pow() of integers to a tensor of integers")
    if exponent < 0:
        raise ArgumentError("integers to negative integer powers", got=str(exponent))
    return _whole_power(as_value(input, dtype), int(exponent))


def _whole_power(base: Value, exponent: int) -> Value:
    """By repeated squaring."""
    product: Value | None = None
    while exponent:
        if exponent & 1:
            product = base if product is None else product * base
        exponent >>= 1
        if exponent:
            base = base * base
    return ops.ones_like(base) if product is None else product


@tensor_function
def rpow(input: Value, base: Number) -> Value:
    """``base ** input``."""
    return pow(base, input)


@tensor_function
def neg(input: Value) -> Value:
    """``-input``."""
    return ops.negative(input)


@tensor_function
def positive(input: Value) -> Value:
    """``input``."""
    return input


@tensor_function
def abs(input: Value) -> Value:
    """The absolute value of each element."""
    return ops.absolute(input)


absolute = abs


@tensor_function
def sign(input: Value) -> Value:
    """-1, 0 or 1 by the sign of each element."""
    return ops.sign(input)


@tensor_function
def square(input: Value) -> Value:
    """``input * input``."""
    return ops.square(input)


@tensor_function
def sqrt(input: Value) -> Value:
    """The square root of each element."""
    return ops.sqrt(*floating(input))


@tensor_function
def rsqrt(input: Value) -> Value:
    """One over the square root of each element."""
    return ops.rsqrt(*floating(input))


@tensor_function
def reciprocal(input: Value) -> Value:
    """One over each element."""
    return ops.divide(1.0, *floating(input))


@tensor_function
def lerp(input: Value, end: Value, weight: Operand) -> Value:
    """``input + weight * (end - input)``."""
    return input + (end - input) * weight


@tensor_function
def addcmul(input: Value, tensor1: Value, tensor2: Value, *, value: Number = 1) -> Value:
    """``input + value * tensor1 * tensor2``."""
    product = mul(tensor1, tensor2)
    return add(input, product, alpha=value)


@tensor_function
def addcdiv(input: Value, tensor1: Value, tensor2: Value, *, value: Number = 1) -> Value:
    """``input + value * tensor1 / tensor2``."""
    return add(input, div(tensor1, tensor2), alpha=value)


@tensor_function
def minimum(input: Value, other: Value) -> Value:
    """The smaller of two elements; NaN if one is."""
    return _extremum(ops.minimum, ops.logical_and, input, other)


@tensor_function
def maximum(input: Value, other: Value) -> Value:
    """The larger of two elements; NaN if one is."""
    return _extremum(ops.maximum, ops.logical_or, input, other)


def _extremum(choose: Any, choose_bools: Any, input: Operand, other: Operand) -> Value:
    a, b = together(input, other)
    return choose_bools(a, b) if a.dtype is DType.BOOL else choose(a, b)


@tensor_function
def clamp(input: Value, min: Operand | None = None, max: Operand | None = None) -> Value:
    """Each element, moved into ``[min, max]``; a bound of None leaves that side open.

    Where ``min`` is above ``max`` the result is ``max``.
    """
    if min is None and max is None:
        raise ArgumentError("clamp() takes a bound", got="neither min nor max")
    bounds = [bound for bound in (min, max) if bound is not None]
    dtype = promote(input, *bounds)
    value = ops.cast(input, dtype)
    are_numbers = not any(isinstance(bound, Value) for bound in bounds)
    low = float("-inf") if min is None else min
    high = float("inf") if max is None else max
    if dtype.is_floating and are_numbers and low <= high:
        return ops.clip(value, low, high)  # type: ignore[arg-type]
    if min is not None:
        low_bound = as_value(min, dtype)
        value = ops.where(value < low_bound, low_bound, value)
    if max is not None:
        high_bound = as_value(max, dtype)
        value = ops.where(value > high_bound, high_bound, value)
    return value


clip = clamp


@tensor_function
def clamp_min(input: Value, min: Operand) -> Value:
    """Each element, or ``min`` if that is larger."""
    return clamp(input, min, None)


@tensor_function
def clamp_max(input: Value, max: Operand) -> Value:
    """Each element, or ``max`` if that is smaller."""
    return clamp(input, None, max)


@tensor_function
def floor(input: Value) -> Value:
    """The largest whole number that is not larger than each element."""
    return ops.floor(input) if input.dtype.is_floating else input


@tensor_function
def ceil(input: Value) -> Value:
    """The smallest whole number that is not smaller than each element."""
    return -ops.floor(-input) if input.dtype.is_floating else input


@tensor_function
def trunc(input: Value) -> Value:
    """Each element without its fraction."""
    if not input.dtype.is_floating:
        return input
    return ops.where(input < 0, -ops.floor(-input), ops.floor(input))


fix = trunc


@tensor_function
def frac(input: Value) -> Value:
    """The fraction of each element, with its sign."""
    return input - trunc(input)


@tensor_function
def round(input: Value, *, decimals: int = 0) -> Value:
    """The nearest whole number of each element, the even one if two are as near."""
    if not input.dtype.is_floating:
        return input
    if decimals:
        scale = 10.0 ** builtins.abs(decimals)
        scaled = input * scale if decimals > 0 else input / scale
        whole = round(scaled)
        return whole / scale if decimals > 0 else whole * scale
    magnitude = ops.absolute(input)
    below = ops.floor(magnitude)
    fraction = magnitude - below
    is_even = ops.equal(ops.floor(below * 0.5) * 2.0, below)
    is_up = ops.logical_or(
        fraction > 0.5, ops.logical_and(ops.equal(fraction, 0.5), ops.logical_not(is_even))
    )
    whole = ops.where(is_up, below + 1.0, below)
    return ops.where(input < 0, -whole, whole)


@tensor_function
def nan_to_num(
    input: Value,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Value:
    """Finite numbers in the place of NaN and of infinities (the largest ones by default)."""
    if not input.dtype.is_floating:
        return input
    limits = np.finfo(input.dtype.numpy)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    value = ops.where(ops.not_equal(input, input), nan, input)
    value = ops.where(ops.equal(value, float("inf")), high, value)
    return ops.where(ops.equal(value, float("-inf")), low, value)


subtract, multiply, divide, true_divide, negative = sub, mul, div, div, neg
