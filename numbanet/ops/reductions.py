"""Sums, means and extrema over axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet.errors import ShapeError
from numbanet.ir.op import Arg, Attrs, Case, Op, attrs_of, register
from numbanet.ir.types import DType, Shape, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops.axes import normalise_axes
from numbanet.ops.casts import cast
from numbanet.ops.comparison import equal, where
from numbanet.ops.elementwise import FLOATING, NUMERIC, Operand, as_values, common_dtype, out
from numbanet.ops.shapes import expand, reshape

Axes = int | Sequence[int] | None


@dataclass(frozen=True)
class ReduceAttrs(Attrs):
    """``axes`` are sorted, not negative and not empty."""

    axes: tuple[int, ...]
    keepdims: bool


def _reduced(shape: Shape, attrs: ReduceAttrs) -> Shape:
    if attrs.keepdims:
        return tuple(1 if i in attrs.axes else size for i, size in enumerate(shape))
    return tuple(size for i, size in enumerate(shape) if i not in attrs.axes)


def _infer(
    name: str, dtypes: frozenset[DType], may_be_empty: bool
) -> Callable[..., TensorType]:
    def infer(attrs: ReduceAttrs, x: TensorType) -> TensorType:
        common_dtype(name, (x,), dtypes)
        if not may_be_empty and any(x.shape[axis] == 0 for axis in attrs.axes):
            raise ShapeError(
                f"{name}() of no elements",
                got=f"{x} over axes {attrs.axes}",
                expected="at least one element along each reduced axis",
            )
        return TensorType(_reduced(x.shape, attrs), x.dtype)

    return infer


def _reduction(
    name: str,
    reference: Callable[..., Any],
    gradient: Callable[..., Any],
    dtypes: frozenset[DType] = NUMERIC,
    may_be_empty: bool = True,
) -> Op:
    cases = [
        Case((Arg((3, 5)),), ReduceAttrs((0,), False)),
        Case((Arg((3, 5)),), ReduceAttrs((1,), True)),
        Case((Arg((2, 3, 4, 5)),), ReduceAttrs((0, 2), False)),
        Case((Arg((2, 3, 4, 5)),), ReduceAttrs((1, 3), True)),
        Case((Arg((7, 1)),), ReduceAttrs((0, 1), False)),
        Case((Arg((1,)),), ReduceAttrs((0,), True)),
        Case((Arg((0, 4)),), ReduceAttrs((1,), False)),
    ]
    if may_be_empty:
        cases.append(Case((Arg((0, 4)),), ReduceAttrs((0,), False)))
    return register(
        Op(
            name,
            infer=_infer(name, dtypes, may_be_empty),
            reference=reference,
            gradient=gradient,
            flops=lambda node: node.inputs[0].type.size,
            cases=tuple(cases),
        )
    )


def _with_dims(node: Node, value: Value) -> Value:
    """``value``, of the shape of ``node``'s output, with the reduced axes as size one."""
    axes = attrs_of(node, ReduceAttrs).axes
    return reshape(value, _reduced(node.inputs[0].type.sizes, ReduceAttrs(axes, True)))


def _count(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    return math.prod(shape[axis] for axis in axes)


def _sum_reference(attrs: ReduceAttrs, x: np.ndarray) -> np.ndarray:
    # NumPy would widen integers.
    return np.sum(x, axis=attrs.axes, keepdims=attrs.keepdims, dtype=x.dtype)


def _sum_gradient(node: Node, g: Value) -> tuple[Value]:
    return (expand(_with_dims(node, g), node.inputs[0].type.sizes),)


SUM = _reduction("sum", _sum_reference, _sum_gradient)


def _mean_reference(attrs: ReduceAttrs, x: np.ndarray) -> np.ndarray:
    # Not np.mean: that warns of an empty slice, whose mean is NaN here too.
    return _sum_reference(attrs, x) / np.asarray(_count(x.shape, attrs.axes), dtype=x.dtype)


def _mean_gradient(node: Node, g: Value) -> tuple[Value]:
    sizes = node.inputs[0].type.sizes
    share = _with_dims(node, g) / (_count(sizes, attrs_of(node, ReduceAttrs).axes) or 1)
    return (expand(share, sizes),)


MEAN = _reduction("mean", _mean_reference, _mean_gradient, FLOATING)


def _extremum_gradient(node: Node, g: Value) -> tuple[Value]:
    """The gradient goes to the elements that are the extremum, in equal shares."""
    x = node.inputs[0]
    is_extremum = equal(x, _with_dims(node, out(node)))
    ties = sum(cast(is_extremum, x.dtype), attrs_of(node, ReduceAttrs).axes, keepdims=True)
    return (where(is_extremum, _with_dims(node, g) / ties, 0),)


MAX = _reduction(
    "max",
    lambda attrs, x: np.max(x, axis=attrs.axes, keepdims=attrs.keepdims),
    _extremum_gradient,
    may_be_empty=False,
)

MIN = _reduction(
    "min",
    lambda attrs, x: np.min(x, axis=attrs.axes, keepdims=attrs.keepdims),
    _extremum_gradient,
    may_be_empty=False,
)


def _reduce(op: Op, x: Operand, axes: Axes, keepdims: bool) -> Value:
    (value,) = as_values(x)
    which = normalise_axes(op.name, axes, value.rank)
    return op(value, attrs=ReduceAttrs(which, bool(keepdims))) if which else value


def sum(x: Operand, axes: Axes = None, keepdims: bool = False) -> Value:
    """The sum over axes.

    Parameters
    ----------
    x : Value, number or array
        Integers stay the integers that they are.
    axes : int, sequence of int or None
        Negative ones count from the end; None means all.
    keepdims : bool
        Whether reduced axes stay, with size one.

    Returns
    -------
    Value
        Zero where nothing is summed.
    """
    return _reduce(SUM, x, axes, keepdims)


def mean(x: Operand, axes: Axes = None, keepdims: bool = False) -> Value:
    """The arithmetic mean over axes; parameters as in `sum`. NaN where nothing is averaged."""
    return _reduce(MEAN, x, axes, keepdims)


def max(x: Operand, axes: Axes = None, keepdims: bool = False) -> Value:
    """The largest element over axes; parameters as in `sum`.

    NaN if there is one. Elements that tie share the gradient evenly.

    Raises
    ------
    ShapeError
        If there is nothing to choose from.
    """
    return _reduce(MAX, x, axes, keepdims)


def min(x: Operand, axes: Axes = None, keepdims: bool = False) -> Value:
    """The smallest element over axes; as `max` otherwise."""
    return _reduce(MIN, x, axes, keepdims)


def variance(x: Operand, axes: Axes = None, keepdims: bool = False) -> Value:
    """The mean squared deviation from the mean over axes; parameters as in `sum`.

    Two passes over the numbers: the difference of mean square and squared mean would cancel.
    """
    (value,) = as_values(x)
    deviation = value - mean(value, axes, keepdims=True)
    return mean(deviation * deviation, axes, keepdims)


def sum_to(value: Value, shape: Shape) -> Value:
    """Undo broadcasting: sum ``value`` over the axes along which ``shape`` was repeated.

    Parameters
    ----------
    value : Value
    shape : tuple of int or None
        A shape that broadcasts to the value's.
    """
    if value.shape == shape:
        return value
    lead = value.rank - len(shape)
    if lead < 0:
        raise ShapeError("sum_to() takes a shape of no higher rank", got=str(shape))
    repeated = tuple(
        axis
        for axis, size in enumerate(value.shape)
        if axis < lead or (shape[axis - lead] == 1 and size != 1)
    )
    summed = sum(value, repeated)
    return reshape(summed, tuple(-1 if size is None else size for size in shape))
