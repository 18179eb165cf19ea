"""Values made from nothing: filled tensors and counters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numbanet.errors import ShapeError
from numbanet.ir.op import Attrs, Case, Op, register
from numbanet.ir.types import DType, TensorType
from numbanet.ir.value import Value
from numbanet.ops import scalar
from numbanet.ops.axes import normalise_axis
from numbanet.ops.comparison import equal, where
from numbanet.ops.elementwise import as_values
from numbanet.ops.leaf import constant
from numbanet.ops.shapes import expand, reshape


@dataclass(frozen=True)
class IotaAttrs(Attrs):
    size: int
    dtype: DType


IOTA = register(
    Op(
        "iota",
        infer=lambda attrs: TensorType((attrs.size,), attrs.dtype),
        reference=lambda attrs: np.arange(attrs.size, dtype=attrs.dtype.numpy),
        gradient=lambda node, g: (),
        # The index is that of this op's own output: whoever broadcasts or transposes the
        # result must compute it first.
        scalar=lambda attrs: scalar.cast(scalar.index(), attrs.dtype),
        cases=(
            Case((), IotaAttrs(5, DType.INT64)),
            Case((), IotaAttrs(1, DType.FLOAT32)),
            Case((), IotaAttrs(0, DType.INT32)),
        ),
    )
)


def full(
    shape: Sequence[int | None], number: float, dtype: DType | str = DType.FLOAT32
) -> Value:
    """A tensor full of one number: a scalar constant, expanded.

    Raises
    ------
    ShapeError
        If a size is unknown.
    """
    sizes = tuple(size for size in shape if size is not None)
    if len(sizes) != len(shape):
        raise ShapeError(
            "a tensor cannot be filled while its size is unknown",
            got=str(tuple(shape)),
            mend="Use a scalar: it broadcasts to whatever it meets",
        )
    return expand(constant(number, DType.of(dtype)), sizes)


def full_like(value: Value, number: float) -> Value:
    """One number in the shape and dtype of ``value``, whose batch size may be unknown."""
    if value.type.is_known:
        return full(value.shape, number, value.dtype)
    # Nothing but the shape of the value is read: both branches are the number.
    return where(equal(value, value), *as_values(value, number, number)[1:])


def zeros_like(value: Value) -> Value:
    """Zeros of the shape and dtype of ``value``."""
    return full_like(value, 0)


def ones_like(value: Value) -> Value:
    """Ones of the shape and dtype of ``value``."""
    return full_like(value, 1)


def iota(shape: int | Sequence[int], axis: int = 0, dtype: DType | str = DType.INT64) -> Value:
    """Each element's index along ``axis``.

    Parameters
    ----------
    shape : int or sequence of int
    axis : int
    dtype : DType or str
    """
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    axis = normalise_axis("iota", axis, len(sizes))
    counted = IOTA(attrs=IotaAttrs(sizes[axis], DType.of(dtype)))
    column = reshape(counted, [size if i == axis else 1 for i, size in enumerate(sizes)])
    return expand(column, sizes)
