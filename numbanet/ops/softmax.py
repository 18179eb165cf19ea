"""Softmax and its logarithm over one axis."""

from __future__ import annotations

import numpy as np

from numbanet.errors import ShapeError
from numbanet.ir.op import Arg, Attrs, Case, Op, register
from numbanet.ir.types import TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops import reductions
from numbanet.ops.axes import normalise_axis
from numbanet.ops.elementwise import FLOATING, common_dtype, out
from numbanet.ops.shapes import transpose
from numbanet.ops.transcendental import exp, log


def softmax(x: Value, axis: int = -1) -> Value:
    """``exp(x) / sum(exp(x))`` over one axis, computed from ``x - max(x)``.

    Parameters
    ----------
    x : Value
        Floating-point, with at least one axis, and known size along ``axis``.
    axis : int

    Returns
    -------
    Value
        Of ``x``'s type; positive, with sum one along ``axis``.

    Raises
    ------
    ArgumentError
        If ``x`` has no such axis.
    ShapeError
        If nothing lies along it.
    """
    return _over_axis(SOFTMAX, x, axis)


def log_softmax(x: Value, axis: int = -1) -> Value:
    """``x - log(sum(exp(x)))`` over one axis, computed from ``x - max(x)``.

    Parameters
    ----------
    x : Value
        Floating-point, with at least one axis, and known size along ``axis``.
    axis : int

    Returns
    -------
    Value
        Of ``x``'s type.

    Raises
    ------
    ArgumentError
        If ``x`` has no such axis.
    ShapeError
        If nothing lies along it.
    """
    return _over_axis(LOG_SOFTMAX, x, axis)


def _over_axis(op: Op, x: Value, axis: int) -> Value:
    """The ops know the last axis only; another is exchanged with it, there and back."""
    axis = normalise_axis(op.name, axis, x.rank)
    if axis == x.rank - 1:
        return op(x)
    order = list(range(x.rank))
    order[axis], order[-1] = order[-1], order[axis]
    return transpose(op(transpose(x, order)), order)


def require_classes(name: str, x: TensorType) -> TensorType:
    """``x`` itself, if it is floating-point and has something along its last axis."""
    common_dtype(name, (x,), FLOATING)
    if x.rank == 0 or not x.shape[-1]:
        raise ShapeError(
            f"{name}() needs elements along the last axis",
            got=str(x),
            expected="at least one axis, the last of known size and not empty",
        )
    return x


def _log_softmax_reference(_: Attrs, x: np.ndarray) -> np.ndarray:
    shifted = x - np.max(x, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def _softmax_reference(_: Attrs, x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return powers / np.sum(powers, axis=-1, keepdims=True)


def _softmax_gradient(node: Node, g: Value) -> tuple[Value]:
    y = out(node)
    return (y * (g - _row_sum(g * y)),)


def _log_softmax_gradient(node: Node, g: Value) -> tuple[Value]:
    return (g - exp(out(node)) * _row_sum(g),)


def _row_sum(x: Value) -> Value:
    return reductions.sum(x, -1, keepdims=True)


def _softmax_decompose(node: Node) -> tuple[Value]:
    x = node.inputs[0]
    powers = exp(x - reductions.max(x, -1, keepdims=True))
    return (powers / _row_sum(powers),)


def _log_softmax_decompose(node: Node) -> tuple[Value]:
    x = node.inputs[0]
    shifted = x - reductions.max(x, -1, keepdims=True)
    return (shifted - log(_row_sum(exp(shifted))),)


def _flops(node: Node) -> int:
    """For each element: compare, subtract, exponential, add, divide."""
    return 5 * node.outputs[0].type.size


_CASES = tuple(Case((Arg(shape),)) for shape in ((3, 5), (7,), (2, 3, 1), (1, 1), (0, 4)))

SOFTMAX = register(
    Op(
        "softmax",
        infer=lambda _, x: require_classes("softmax", x),
        reference=_softmax_reference,
        gradient=_softmax_gradient,
        decompose=_softmax_decompose,
        flops=_flops,
        cases=_CASES,
    )
)
"""Over the last axis."""

LOG_SOFTMAX = register(
    Op(
        "log_softmax",
        infer=lambda _, x: require_classes("log_softmax", x),
        reference=_log_softmax_reference,
        gradient=_log_softmax_gradient,
        decompose=_log_softmax_decompose,
        flops=_flops,
        cases=_CASES,
    )
)
"""Over the last axis."""
