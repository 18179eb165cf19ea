"""Sums, means, products, norms and running sums over dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import DType, Value
from numbanet.ops.axes import normalise_axes, normalise_axis
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions.promotion import axes_of, check_dtype, known_size

Dim = int | Sequence[int] | None
AnyDType = DType | str | None

_FLOATING = "float32 or float64; convert with .float()"


def _counted(input: Value, dtype: AnyDType) -> Value:
    """``input`` as sums take it: bools and integers as int64, or all as ``dtype``."""
    if dtype is not None:
        return ops.cast(input, DType.of(dtype))
    return input if input.dtype.is_floating else ops.cast(input, DType.INT64)


def _floated(name: str, input: Value, dtype: AnyDType) -> Value:
    value = input if dtype is None else ops.cast(input, DType.of(dtype))
    check_dtype(name, value, value.dtype.is_floating, _FLOATING)
    return value


def _axes(name: str, input: Value, dim: Dim) -> tuple[int, ...]:
    """Axes counted from the front. A scalar has a dimension 0 too, which is not there."""
    axes = axes_of(dim)  # type: ignore[arg-type]
    if input.rank == 0:
        normalise_axes(name, axes, 1)
        return ()
    return normalise_axes(name, axes, input.rank)


@tensor_function
def sum(
    input: Value, dim: Dim = None, keepdim: bool = False, *, dtype: AnyDType = None
) -> Value:
    """The sum over dimensions; of integers and bools an int64."""
    value = _counted(input, dtype)
    return ops.sum(value, _axes("sum", input, dim), keepdim)


@tensor_function
def nansum(
    input: Value, dim: Dim = None, keepdim: bool = False, *, dtype: AnyDType = None
) -> Value:
    """The sum over dimensions, NaN counting as zero."""
    value = _counted(input, dtype)
    value = ops.where(ops.not_equal(value, value), 0, value)
    return ops.sum(value, _axes("nansum", input, dim), keepdim)


@tensor_function
def mean(
    input: Value, dim: Dim = None, keepdim: bool = False, *, dtype: AnyDType = None
) -> Value:
    """The mean over dimensions, of floating-point numbers."""
    value = _floated("mean", input, dtype)
    return ops.mean(value, _axes("mean", input, dim), keepdim)


@tensor_function
def var(
    input: Value,
    dim: Dim = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Value:
    """The variance over dimensions.

    Parameters
    ----------
    unbiased : bool
        Whether to divide by the number of elements less one.
    correction : float, optional
        What to take from that number instead.
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    value = _floated("var", input, None)
    axes = _axes("var", input, dim)
    less = (1 if unbiased else 0) if correction is None else correction
    if less == 0:
        return ops.variance(value, axes, keepdim)
    deviation = value - ops.mean(value, axes, keepdims=True)
    freedom = math.prod(known_size("var", value, axis) for axis in axes) - less
    total = ops.sum(deviation * deviation, axes, keepdim)
    return total / max(float(freedom), 0.0)


@tensor_function
def std(
    input: Value,
    dim: Dim = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Value:
    """The square root of `var`, with slope zero at zero."""
    return _safe_root(var(input, dim, unbiased, keepdim, correction=correction))


@tensor_function
def var_mean(
    input: Value,
    dim: Dim = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Value, Value]:
    """The variance and the mean."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    variance = var(input, dim, unbiased, keepdim, correction=correction)
    return variance, mean(input, dim, keepdim)


@tensor_function
def std_mean(
    input: Value,
    dim: Dim = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Value, Value]:
    """The standard deviation and the mean."""
    variance, average = var_mean(input, dim, unbiased, keepdim, correction=correction)
    return _safe_root(variance), average


def _safe_root(value: Value, power: float = 0.5) -> Value:
    """``value ** power`` without an infinite slope at zero: that is zero there."""
    is_zero = ops.equal(value, 0.0)
    return ops.where(is_zero, 0.0, ops.power(ops.where(is_zero, 1.0, value), power))


@tensor_function
def norm(
    input: Value,
    p: float | str | None = "fro",
    dim: Dim = None,
    keepdim: bool = False,
    dtype: AnyDType = None,
) -> Value:
    """The p-norm of vectors over dimensions.

    Parameters
    ----------
    p : float, "fro" or None
        Any order, infinities included; the last two mean 2.
    """
    if isinstance(p, str) and p != "fro":
        raise NotImplementedError(f"norm() does not support p={p!r}")
    order = 2.0 if p is None or isinstance(p, str) else float(p)
    value = _floated("norm", input, dtype)
    axes = _axes("norm", input, dim)
    magnitude = ops.absolute(value)
    if order == math.inf:
        return ops.max(magnitude, axes, keepdim)
    if order == -math.inf:
        return ops.min(magnitude, axes, keepdim)
    if order == 0:
        return ops.sum(ops.cast(ops.not_equal(value, 0.0), value.dtype), axes, keepdim)
    if order == 1:
        return ops.sum(magnitude, axes, keepdim)
    if order == 2:
        return _safe_root(ops.sum(value * value, axes, keepdim))
    total = ops.sum(ops.power(magnitude, order), axes, keepdim)
    return ops.power(total, 1 / order) if order < 0 else _safe_root(total, 1 / order)


@tensor_function
def dist(input: Value, other: Value, p: float = 2) -> Value:
    """The p-norm of ``input - other``."""
    return norm(input - other, p)


@tensor_function
def prod(
    input: Value, dim: int | None = None, keepdim: bool = False, *, dtype: AnyDType = None
) -> Value:
    """The product over a dimension, or over all; of integers and bools an int64."""
    value = _counted(input, dtype)
    axes = _axes("prod", input, dim)
    if dim is None:
        value, axes = ops.reshape(value, (-1,)) if input.rank else value, axes[:1]
    for axis in axes:
        value = _product(value, axis)
    if axes and not keepdim:
        value = ops.squeeze(value, axes)
    return ops.reshape(value, (1,) * input.rank) if keepdim and dim is None else value


def _product(value: Value, axis: int) -> Value:
    """Half by half, so that a zero among the factors needs no special gradient."""
    size = known_size("prod", value, axis)
    if size == 0:
        shape = tuple(1 if i == axis else n for i, n in enumerate(value.shape))
        return ops.full(shape, 1, value.dtype)
    while size > 1:
        half = size // 2
        first, second, rest = ops.split(value, [half, half, size - 2 * half], axis)
        value = first * second
        if size % 2:
            value = ops.concatenate([value, rest], axis)
        size = half + size % 2
    return value


@tensor_function
def logsumexp(input: Value, dim: Dim, keepdim: bool = False) -> Value:
    """``log(sum(exp(input)))`` over dimensions, without overflow."""
    value = _floated("logsumexp", input, None)
    axes = _axes("logsumexp", input, dim)
    largest = ops.stop_gradient(ops.max(value, axes, keepdims=True))
    is_finite = ops.absolute(largest) < math.inf
    shift = ops.where(is_finite, largest, 0.0)
    total = ops.log(ops.sum(ops.exp(value - shift), axes, keepdims=True)) + shift
    return total if keepdim or not axes else ops.squeeze(total, axes)


@tensor_function
def softmax(input: Value, dim: int | None = None, *, dtype: AnyDType = None) -> Value:
    """``exp(input) / sum(exp(input))`` over a dimension."""
    return _over("softmax", ops.softmax, input, dim, dtype)


@tensor_function
def log_softmax(input: Value, dim: int | None = None, *, dtype: AnyDType = None) -> Value:
    """The logarithm of `softmax`."""
    return _over("log_softmax", ops.log_softmax, input, dim, dtype)


def _over(
    name: str, op: Callable[..., Value], input: Value, dim: int | None, dtype: AnyDType
) -> Value:
    value = _floated(name, input, dtype)
    if dim is None:
        raise ArgumentError(f"{name}() takes a dimension", got="dim=None")
    if value.rank == 0:
        normalise_axis(name, dim, 1)
        return ops.reshape(op(ops.reshape(value, (1,)), 0), ())
    return op(value, dim)


@tensor_function
def all(input: Value, dim: Dim = None, keepdim: bool = False) -> Value:
    """Whether all elements over dimensions are not zero."""
    return ops.logical_not(any(ops.logical_not(ops.cast(input, DType.BOOL)), dim, keepdim))


@tensor_function
def any(input: Value, dim: Dim = None, keepdim: bool = False) -> Value:
    """Whether an element over dimensions is not zero."""
    return ops.cast(count_nonzero(input, dim, keepdim), DType.BOOL)


@tensor_function
def count_nonzero(input: Value, dim: Dim = None, keepdim: bool = False) -> Value:
    """The number of elements over dimensions that are not zero."""
    counted = ops.cast(ops.cast(input, DType.BOOL), DType.INT64)
    return ops.sum(counted, _axes("count_nonzero", input, dim), keepdim)


@tensor_function
def cumsum(input: Value, dim: int, *, dtype: AnyDType = None) -> Value:
    """Sums of all elements up to each one along a dimension."""
    return _scan("cumsum", ops.add, 0, _counted(input, dtype), dim)


@tensor_function
def cumprod(input: Value, dim: int, *, dtype: AnyDType = None) -> Value:
    """Products of all elements up to each one along a dimension."""
    return _scan("cumprod", ops.multiply, 1, _counted(input, dtype), dim)


def _scan(
    name: str, op: Callable[[Any, Any], Value], neutral: float, value: Value, dim: int
) -> Value:
    """Each step joins in what lies twice as far back (Hillis and Steele, 1986)."""
    if value.rank == 0:
        return value
    axis = normalise_axis(name, dim, value.rank)
    size = known_size(name, value, axis)
    distance = 1
    while distance < size:
        padding = [(0, 0)] * value.rank
        padding[axis] = (distance, 0)
        (earlier, _) = ops.split(value, [size - distance, distance], axis)
        value = op(value, ops.pad(earlier, padding, neutral))
        distance *= 2
    return value
