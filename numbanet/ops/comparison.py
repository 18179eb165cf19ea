"""Comparisons, logic on their results, and choosing by them. None of them has a slope."""

from __future__ import annotations

import numpy as np

from numbanet.errors import DTypeError
from numbanet.ir.op import Arg, Attrs, Case, Op, register
from numbanet.ir.types import DType, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops import scalar
from numbanet.ops.elementwise import (
    BOOLEAN,
    Operand,
    as_values,
    broadcast_shapes,
    common_dtype,
    elementwise,
)

LESS = elementwise(
    "less",
    scalar=lambda _, a, b: a < b,
    reference=lambda _, a, b: np.less(a, b),
    gradient=None,
    arity=2,
    result=DType.BOOL,
)

LESS_EQUAL = elementwise(
    "less_equal",
    scalar=lambda _, a, b: a <= b,
    reference=lambda _, a, b: np.less_equal(a, b),
    gradient=None,
    arity=2,
    result=DType.BOOL,
)

GREATER = elementwise(
    "greater",
    scalar=lambda _, a, b: a > b,
    reference=lambda _, a, b: np.greater(a, b),
    gradient=None,
    arity=2,
    result=DType.BOOL,
)

GREATER_EQUAL = elementwise(
    "greater_equal",
    scalar=lambda _, a, b: a >= b,
    reference=lambda _, a, b: np.greater_equal(a, b),
    gradient=None,
    arity=2,
    result=DType.BOOL,
)

EQUAL = elementwise(
    "equal",
    scalar=lambda _, a, b: scalar.equal(a, b),
    reference=lambda _, a, b: np.equal(a, b),
    gradient=None,
    arity=2,
    commutative=True,
    result=DType.BOOL,
)

NOT_EQUAL = elementwise(
    "not_equal",
    scalar=lambda _, a, b: scalar.not_equal(a, b),
    reference=lambda _, a, b: np.not_equal(a, b),
    gradient=None,
    arity=2,
    commutative=True,
    result=DType.BOOL,
)

LOGICAL_AND = elementwise(
    "logical_and",
    scalar=lambda _, a, b: scalar.both(a, b),
    reference=lambda _, a, b: np.logical_and(a, b),
    gradient=None,
    arity=2,
    dtypes=BOOLEAN,
    commutative=True,
)

LOGICAL_OR = elementwise(
    "logical_or",
    scalar=lambda _, a, b: scalar.either(a, b),
    reference=lambda _, a, b: np.logical_or(a, b),
    gradient=None,
    arity=2,
    dtypes=BOOLEAN,
    commutative=True,
)

LOGICAL_NOT = elementwise(
    "logical_not",
    scalar=lambda _, a: scalar.negate(a),
    reference=lambda _, a: np.logical_not(a),
    gradient=None,
    dtypes=BOOLEAN,
)


def _where_infer(_: Attrs, condition: TensorType, a: TensorType, b: TensorType) -> TensorType:
    if condition.dtype is not DType.BOOL:
        raise DTypeError(
            "where() chooses by a bool",
            got=str(condition),
            mend="Compare it first, for example value > 0",
        )
    return TensorType(
        broadcast_shapes("where", (condition, a, b)), common_dtype("where", (a, b))
    )


def _where_gradient(node: Node, g: Value) -> tuple[None, Value, Value]:
    condition = node.inputs[0]
    return None, where(condition, g, 0), where(condition, 0, g)


WHERE = register(
    Op(
        "where",
        infer=_where_infer,
        reference=lambda _, condition, a, b: np.where(condition, a, b),
        gradient=_where_gradient,
        scalar=lambda _, condition, a, b: scalar.where(condition, a, b),
        flops=lambda node: node.outputs[0].type.size,
        cases=(
            Case((Arg((3, 5), DType.BOOL), Arg((3, 5)), Arg((3, 5)))),
            Case((Arg((3, 1), DType.BOOL), Arg((5,)), Arg(()))),
            Case((Arg((), DType.BOOL), Arg((1,)), Arg((2, 1)))),
            Case((Arg((0, 4), DType.BOOL), Arg((4,)), Arg((1, 1)))),
        ),
    )
)


def less(a: Operand, b: Operand) -> Value:
    """``a < b``, a bool for each element."""
    return LESS(*as_values(a, b))


def less_equal(a: Operand, b: Operand) -> Value:
    """``a <= b``, a bool for each element."""
    return LESS_EQUAL(*as_values(a, b))


def greater(a: Operand, b: Operand) -> Value:
    """``a > b``, a bool for each element."""
    return GREATER(*as_values(a, b))


def greater_equal(a: Operand, b: Operand) -> Value:
    """``a >= b``, a bool for each element."""
    return GREATER_EQUAL(*as_values(a, b))


def equal(a: Operand, b: Operand) -> Value:
    """``a == b``, a bool for each element. (``==`` itself compares values by identity.)"""
    return EQUAL(*as_values(a, b))


def not_equal(a: Operand, b: Operand) -> Value:
    """``a != b``, a bool for each element; true where one is NaN."""
    return NOT_EQUAL(*as_values(a, b))


def logical_and(a: Operand, b: Operand) -> Value:
    """Whether both bools are true."""
    return LOGICAL_AND(*as_values(a, b))


def logical_or(a: Operand, b: Operand) -> Value:
    """Whether one of the bools is true."""
    return LOGICAL_OR(*as_values(a, b))


def logical_not(a: Operand) -> Value:
    """Whether the bool is false."""
    return LOGICAL_NOT(*as_values(a))


def where(condition: Value, a: Operand, b: Operand) -> Value:
    """Elements of ``a`` where ``condition`` is true, of ``b`` elsewhere.

    Parameters
    ----------
    condition : Value
        Bools.
    a, b : Value, number or array
        Of one dtype. All three broadcast.

    Returns
    -------
    Value
        Of the dtype of ``a`` and ``b``. The gradient flows to the chosen elements only.
    """
    return WHERE(condition, *as_values(a, b))
