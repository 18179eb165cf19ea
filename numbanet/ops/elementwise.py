"""How elementwise ops are declared: the shared shape rule, and operands that are numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from numbanet.errors import DTypeError, ShapeError
from numbanet.ir.op import NO_ATTRS, Arg, Attrs, Case, Op, register
from numbanet.ir.types import DType, Shape, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ir.variable import Variable
from numbanet.ops.leaf import constant, variable_value

Operand = Value | Variable | ArrayLike
"""What public functions take: a value, a variable, a number or an array."""

FLOATING = frozenset(dtype for dtype in DType if dtype.is_floating)
NUMERIC = frozenset(dtype for dtype in DType if dtype is not DType.BOOL)
BOOLEAN = frozenset({DType.BOOL})


def elementwise(
    name: str,
    *,
    scalar: Callable[..., Any],
    reference: Callable[..., Any],
    gradient: Callable[..., Any] | None,
    arity: int = 1,
    domain: tuple[float, float] = (-2.0, 2.0),
    avoid: tuple[float, ...] = (),
    attrs: Attrs | tuple[Attrs, ...] = NO_ATTRS,
    commutative: bool = False,
    dtypes: frozenset[DType] | None = None,
    result: DType | None = None,
) -> Op:
    """Declare and register an elementwise op of ``arity`` operands of one dtype.

    Parameters
    ----------
    scalar : callable
        ``(attrs, *scalars) -> scalar``, see `numbanet.ops.scalar`.
    reference : callable
        ``(attrs, *arrays) -> array`` in NumPy.
    gradient : callable or None
        ``(node, output gradient) -> one value or None per operand``; broadcasting is undone
        by the driver. None: not differentiable (comparisons).
    domain, avoid
        Where tests draw operands from, and the kinks they keep away from.
    attrs : Attrs or tuple of Attrs
        Attributes that the tests use.
    dtypes : frozenset of DType, optional
        What the operands may be, by default anything: ``FLOATING``, ``NUMERIC``, ``BOOLEAN``.
    result : DType, optional
        Dtype of the result if it is not the operands'.
    """

    def infer(_: Attrs, *types: TensorType) -> TensorType:
        dtype = common_dtype(name, types, dtypes)
        return TensorType(broadcast_shapes(name, types), result or dtype)

    dtype = DType.BOOL if dtypes == BOOLEAN else DType.FLOAT64
    cases = tuple(
        Case(tuple(Arg(shape, dtype, *domain, avoid) for shape in shapes), each)
        for each in (attrs if isinstance(attrs, tuple) else (attrs,))
        for shapes in _BROADCASTS[arity]
    )
    return register(
        Op(
            name,
            infer=infer,
            reference=reference,
            gradient=gradient,
            scalar=scalar,
            flops=lambda node: node.outputs[0].type.size,
            cases=cases,
            commutative=commutative,
        )
    )


_BROADCASTS: dict[int, tuple[tuple[tuple[int, ...], ...], ...]] = {
    1: (((3, 5),), ((),), ((1,),), ((0, 4),), ((2, 3, 7),)),
    2: (
        ((3, 5), (3, 5)),
        ((3, 5), (5,)),
        ((3, 1), (1, 5)),
        ((2, 1, 4), (3, 1)),
        ((), (4,)),
        ((1,), (1,)),
        ((0, 3), (3,)),
    ),
    3: (((3, 5), (3, 5), (3, 5)), ((3, 1), (5,), ()), ((0,), (1,), (0,))),
}


def broadcast_shapes(name: str, types: tuple[TensorType, ...]) -> Shape:
    """NumPy's broadcasting; an unknown batch size meets itself and 1."""
    rank = max((type_.rank for type_ in types), default=0)
    shape: list[int | None] = []
    for axis in range(-rank, 0):
        sizes = {type_.shape[axis] for type_ in types if type_.rank >= -axis} - {1}
        if len(sizes) > 1:
            raise ShapeError(
                f"{name}() cannot broadcast its operands",
                got=" and ".join(str(type_) for type_ in types),
                expected="sizes that are equal or 1, from the last axis on",
                mend="Reshape one of them",
            )
        shape.append(sizes.pop() if sizes else 1)
    return tuple(shape)


def common_dtype(
    name: str, types: tuple[TensorType, ...], dtypes: frozenset[DType] | None = None
) -> DType:
    """The one dtype that all operands have; one of ``dtypes`` if those are given."""
    found = {type_.dtype for type_ in types}
    if len(found) != 1:
        raise DTypeError(
            f"{name}() takes operands of one dtype",
            got=" and ".join(str(type_) for type_ in types),
            mend="Convert one of them with ops.cast(value, dtype)",
        )
    dtype = found.pop()
    if dtypes is not None and dtype not in dtypes:
        raise DTypeError(
            f"{name}() cannot compute with this dtype",
            got=str(dtype),
            expected=" or ".join(sorted(each.value for each in dtypes)),
            mend="Convert with ops.cast(value, dtype)",
        )
    return dtype


def as_values(*operands: Any) -> tuple[Value, ...]:
    """Operands as values: variables are read, and numbers and arrays become constants of the
    first value's dtype.

    Raises
    ------
    DTypeError
        If that dtype cannot hold such numbers: fractions among integers, numbers among bools.
    """
    operands = tuple(
        variable_value(each) if isinstance(each, Variable) else each for each in operands
    )
    dtype = next((each.dtype for each in operands if isinstance(each, Value)), DType.FLOAT32)
    return tuple(
        each if isinstance(each, Value) else _constant(each, dtype) for each in operands
    )


_HOLDS = {"b": "b", "i": "biu", "u": "biu", "f": "biuf"}
"""Kinds of NumPy numbers that a constant of each kind of dtype may be made of."""


def _constant(numbers: Any, dtype: DType) -> Value:
    """A constant of ``dtype``, never of a wider kind of number than ``dtype`` is."""
    array = np.asarray(numbers)
    if array.dtype.kind not in _HOLDS[dtype.numpy.kind]:
        raise DTypeError(
            f"an operand of {array.dtype} numbers meets a value of another kind",
            got=f"{dtype}",
            mend="Convert the value with ops.cast(value, dtype)",
        )
    if dtype.is_integer and not np.array_equal(array.astype(dtype.numpy), array):
        raise DTypeError(f"an operand is out of the range of {dtype}", got=str(numbers))
    return constant(array, dtype)


def out(node: Node) -> Value:
    """The node's output, for gradients that reuse it."""
    return node.outputs[0]
