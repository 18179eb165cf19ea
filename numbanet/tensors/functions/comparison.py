"""Comparisons, logic, and choosing by them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from numbanet import ops
from numbanet.ir import DType, Value
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions.arithmetic import Operand
from numbanet.tensors.functions.promotion import as_integers, together


def _compare(op: Callable[[Value, Value], Value], input: Operand, other: Operand) -> Value:
    a, b = together(input, other)
    return op(as_integers(a), as_integers(b))


@tensor_function
def eq(input: Operand, other: Operand) -> Value:
    """Whether two elements are equal."""
    return _compare(ops.equal, input, other)


@tensor_function
def ne(input: Operand, other: Operand) -> Value:
    """Whether two elements differ."""
    return _compare(ops.not_equal, input, other)


@tensor_function
def lt(input: Operand, other: Operand) -> Value:
    """``input < other``."""
    return _compare(ops.less, input, other)


@tensor_function
def le(input: Operand, other: Operand) -> Value:
    """``input <= other``."""
    return _compare(ops.less_equal, input, other)


@tensor_function
def gt(input: Operand, other: Operand) -> Value:
    """``input > other``."""
    return _compare(ops.greater, input, other)


@tensor_function
def ge(input: Operand, other: Operand) -> Value:
    """``input >= other``."""
    return _compare(ops.greater_equal, input, other)


not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge


def _as_bool(input: Value) -> Value:
    return ops.cast(input, DType.BOOL)


@tensor_function
def logical_and(input: Value, other: Value) -> Value:
    """Whether both elements are not zero."""
    return ops.logical_and(_as_bool(input), _as_bool(other))


@tensor_function
def logical_or(input: Value, other: Value) -> Value:
    """Whether one of two elements is not zero."""
    return ops.logical_or(_as_bool(input), _as_bool(other))


@tensor_function
def logical_xor(input: Value, other: Value) -> Value:
    """Whether exactly one of two elements is not zero."""
    return _compare(ops.not_equal, _as_bool(input), _as_bool(other))


@tensor_function
def logical_not(input: Value) -> Value:
    """Whether the element is zero."""
    return ops.logical_not(_as_bool(input))


def _bools(name: str, *operands: Operand) -> tuple[Value, ...]:
    values = together(*operands)
    if values[0].dtype is not DType.BOOL:
        raise NotImplementedError(f"{name}() of integers, bit by bit; it takes bools")
    return values


@tensor_function
def bitwise_and(input: Operand, other: Operand) -> Value:
    """``input & other`` of bools."""
    return ops.logical_and(*_bools("bitwise_and", input, other))


@tensor_function
def bitwise_or(input: Operand, other: Operand) -> Value:
    """``input | other`` of bools."""
    return ops.logical_or(*_bools("bitwise_or", input, other))


@tensor_function
def bitwise_xor(input: Operand, other: Operand) -> Value:
    """``input ^ other`` of bools."""
    return _compare(ops.not_equal, *_bools("bitwise_xor", input, other))


@tensor_function
def bitwise_not(input: Value) -> Value:
    """``~input`` of bools, and of signed integers."""
    if input.dtype in (DType.INT32, DType.INT64):
        return -input - 1
    return ops.logical_not(*_bools("bitwise_not", input))


@tensor_function
def _where(condition: Value, input: Operand, other: Operand) -> Value:
    return ops.where(condition, *together(input, other))


@functools.wraps(_where)
def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """Elements of ``input`` where ``condition`` is true, of ``other`` elsewhere.

    Of a condition alone, where it is true: a vector of indices for each axis, read at once.
    """
    if input is None and other is None:
        from numbanet.tensors.functions.sized import nonzero

        return nonzero(condition, as_tuple=True)
    return _where(condition, input, other)


@tensor_function
def isnan(input: Value) -> Value:
    """Whether the element is NaN."""
    x = as_integers(input)
    return ops.not_equal(x, x)


@tensor_function
def isfinite(input: Value) -> Value:
    """Whether the element is neither infinite nor NaN."""
    x = as_integers(input)
    return ops.absolute(x) < float("inf") if x.dtype.is_floating else ops.equal(x, x)


@tensor_function
def isinf(input: Value) -> Value:
    """Whether the element is infinite."""
    x = as_integers(input)
    if x.dtype.is_floating:
        return ops.equal(ops.absolute(x), float("inf"))
    return ops.not_equal(x, x)


@tensor_function
def isclose(
    input: Value,
    other: Value,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> Value:
    """Whether ``|input - other| <= atol + rtol * |other|``."""
    a, b = together(input, other)
    is_same = eq(a, b)
    if equal_nan:
        is_same = ops.logical_or(is_same, ops.logical_and(isnan(a), isnan(b)))
    if not a.dtype.is_floating:
        a, b = ops.cast(a, DType.FLOAT64), ops.cast(b, DType.FLOAT64)
    is_near = ops.absolute(a - b) <= ops.absolute(b) * rtol + atol
    return ops.logical_or(is_same, ops.logical_and(is_near, isfinite(b)))


@tensor_function
def _all_close(input: Value, other: Value, rtol: float, atol: float, equal_nan: bool) -> Value:
    return _all(isclose(input, other, rtol, atol, equal_nan))


@tensor_function
def _all_equal(input: Value, other: Value) -> Value:
    return _all(eq(input, other))


def _all(input: Value) -> Value:
    return (
        ops.cast(ops.min(ops.cast(input, DType.UINT8)), DType.BOOL)
        if input.type.size
        else ops.constant(True, DType.BOOL)
    )


def allclose(
    input: Value,
    other: Value,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> bool:
    """Whether all elements are close, see `isclose`."""
    return bool(_all_close(input, other, rtol, atol, equal_nan))


def equal(input: Value, other: Value) -> bool:
    """Whether two tensors have one shape and equal elements."""
    return input.shape == other.shape and bool(_all_equal(input, other))
