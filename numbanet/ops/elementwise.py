"""How elementwise ops are declared: the shared shape rule, and operands that are numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbanet.errors import DTypeError, ShapeError
from numbanet.ir.op import NO_ATTRS, Arg, Attrs, Case, Op, register
from numbanet.ir.types import DType, Shape, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops.leaf import constant


def elementwise(
    name: str,
    *,
    scalar: Callable[..., Any],
    reference: Callable[..., Any],
    gradient: Callable[..., Any] | None,
    arity: int = 1,
    domain: tuple[float, float] = (-2.0, 2.0),
    avoid: tuple[float, ...] = (),
    attrs: Attrs = NO_ATTRS,
    commutative: bool = False,
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
    attrs : Attrs
        Attributes that the tests use.
    result : DType, optional
        Dtype of the result if it is not the operands'.
    """

    def infer(_: Attrs, *types: TensorType) -> TensorType:
        return TensorType(broadcast_shapes(name, types), result or common_dtype(name, types))

    shapes = _BROADCASTS[arity]
    cases = tuple(
        Case(
            tuple(Arg(shape, low=domain[0], high=domain[1], avoid=avoid) for shape in each),
            attrs,
        )
        for each in shapes
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


def common_dtype(name: str, types: tuple[TensorType, ...]) -> DType:
    dtypes = {type_.dtype for type_ in types}
    if len(dtypes) != 1:
        raise DTypeError(
            f"{name}() takes operands of one dtype",
            got=" and ".join(str(type_) for type_ in types),
            mend="Convert one of them with ops.cast(value, dtype)",
        )
    return dtypes.pop()


def as_values(*operands: Any) -> tuple[Value, ...]:
    """Operands as values: numbers and arrays become constants of the first value's dtype."""
    dtype = next((each.dtype for each in operands if isinstance(each, Value)), DType.FLOAT32)
    return tuple(
        each if isinstance(each, Value) else constant(each, dtype) for each in operands
    )


def out(node: Node) -> Value:
    """The node's output, for gradients that reuse it."""
    return node.outputs[0]
