"""The dtype in which operands of several dtypes meet, as PyTorch has it.

Operands fall into three classes: tensors with axes, tensors without, Python's numbers. A lower
class changes the dtype only if its numbers are of a wider kind (bool, integer, floating-point).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet import ops
from numbanet.errors import DTypeError
from numbanet.ir import DType, Value

Number = bool | int | float

_ORDER = (
    DType.BOOL,
    DType.UINT8,
    DType.INT32,
    DType.INT64,
    DType.FLOAT32,
    DType.FLOAT64,
)
_KINDS = (0, 1, 1, 1, 2, 2)


def promote(*operands: Any) -> DType:
    """The dtype of a result of ``operands``: values and Python's numbers."""
    found = -1
    for ranks in _by_class(operands):
        if ranks:
            highest = max(ranks)
            if found < 0 or _KINDS[highest] > _KINDS[found]:
                found = highest
    return _ORDER[found]


def _by_class(operands: tuple[Any, ...]) -> tuple[list[int], list[int], list[int]]:
    with_axes: list[int] = []
    without: list[int] = []
    numbers: list[int] = []
    for each in operands:
        if isinstance(each, Value):
            (with_axes if each.rank else without).append(_ORDER.index(each.dtype))
        else:
            numbers.append(_ORDER.index(_dtype_of_number(each)))
    return with_axes, without, numbers


def _dtype_of_number(number: Any) -> DType:
    if isinstance(number, (bool, np.bool_)):
        return DType.BOOL
    if isinstance(number, (int, np.integer)):
        return DType.INT64
    if isinstance(number, (float, np.floating)):
        return DType.FLOAT32
    raise DTypeError(
        "an operand that is neither a tensor nor a number", got=type(number).__name__
    )


def as_value(operand: Any, dtype: DType) -> Value:
    """A value of ``dtype``: cast, or a constant."""
    if isinstance(operand, Value):
        return ops.cast(operand, dtype)
    return ops.constant(operand, dtype)


def together(*operands: Any) -> tuple[Value, ...]:
    """Operands as values of the dtype in which they meet."""
    dtype = promote(*operands)
    return tuple(as_value(each, dtype) for each in operands)


def floating(*operands: Any) -> tuple[Value, ...]:
    """`together`, where integers and bools become float32."""
    dtype = promote(*operands)
    if not dtype.is_floating:
        dtype = DType.FLOAT32
    return tuple(as_value(each, dtype) for each in operands)


def as_integers(input: Value) -> Value:
    """Bools as uint8; all else as it is. For ops that take numbers only."""
    return ops.cast(input, DType.UINT8) if input.dtype is DType.BOOL else input


def axes_of(dim: int | tuple[int, ...] | list[int] | None) -> tuple[int, ...] | None:
    """``dim`` as a tuple of axes; None, or no axes, is all of them."""
    if dim is None:
        return None
    if isinstance(dim, (tuple, list)):
        return tuple(dim) or None
    return (dim,)


def known_size(name: str, input: Value, dim: int) -> int:
    """The size of ``input`` along an axis; ``dim`` may be negative."""
    size = input.shape[dim]
    if size is None:
        raise NotImplementedError(f"{name}() along the batch axis, whose size is unknown")
    return size


def check_dtype(name: str, input: Value, is_fine: bool, expected: str) -> None:
    """Raise DTypeError unless ``is_fine``."""
    if not is_fine:
        raise DTypeError(
            f"{name}() cannot compute with this dtype", got=str(input.dtype), expected=expected
        )
