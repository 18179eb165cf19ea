"""Ops that pass numbers on: to another dtype, or out of the reach of gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numbanet.ir.op import Arg, Attrs, Case, Op, attrs_of, register
from numbanet.ir.types import DType, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops import scalar
from numbanet.ops.elementwise import Operand, as_values, elementwise


@dataclass(frozen=True)
class CastAttrs(Attrs):
    dtype: DType


def _cast_gradient(node: Node, g: Value) -> tuple[Value | None]:
    source = node.inputs[0].dtype
    is_smooth = source.is_floating and attrs_of(node, CastAttrs).dtype.is_floating
    return (cast(g, source) if is_smooth else None,)


CAST = register(
    Op(
        "cast",
        infer=lambda attrs, x: TensorType(x.shape, attrs.dtype),
        reference=lambda attrs, x: np.asarray(x).astype(attrs.dtype.numpy),
        gradient=_cast_gradient,
        scalar=lambda attrs, x: scalar.cast(x, attrs.dtype),
        flops=lambda node: node.outputs[0].type.size,
        cases=(
            Case((Arg((3, 5)),), CastAttrs(DType.FLOAT64)),
            Case((Arg((), DType.INT32),), CastAttrs(DType.FLOAT64)),
            Case((Arg((0, 3), DType.BOOL),), CastAttrs(DType.FLOAT32)),
            Case((Arg((1, 7), low=-9.0, high=9.0),), CastAttrs(DType.INT64)),
            Case((Arg((7,), DType.INT64),), CastAttrs(DType.BOOL)),
        ),
    )
)

STOP_GRADIENT = elementwise(
    "stop_gradient",
    scalar=lambda _, x: x,
    reference=lambda _, x: x,
    gradient=lambda node, g: (None,),
)


def cast(x: Operand, dtype: DType | str) -> Value:
    """``x`` as another dtype; a value of that dtype is returned as it is.

    Parameters
    ----------
    x : Value, number or array
    dtype : DType or str
        Floating-point numbers become integers by dropping the fraction, and bools by asking
        whether they differ from zero.
    """
    (value,) = as_values(x)
    dtype = DType.of(dtype)
    return value if value.dtype is dtype else CAST(value, attrs=CastAttrs(dtype))


def stop_gradient(x: Operand) -> Value:
    """``x``, through which no gradient flows."""
    return STOP_GRADIENT(*as_values(x))
