"""What several shape rules ask of their operands."""

from __future__ import annotations

from numbanet.errors import DTypeError, ShapeError
from numbanet.ir.types import Shape, TensorType


def require_integers(name: str, what: str, type_: TensorType) -> None:
    if not type_.dtype.is_integer:
        raise DTypeError(
            f"{name}() takes {what} of an integer dtype",
            got=str(type_),
            expected="int32, int64 or uint8",
            mend="Convert them with ops.cast(value, 'int64')",
        )


def require_shape(
    name: str, what: str, type_: TensorType, expected: Shape, mend: str | None = None
) -> None:
    if type_.shape != expected:
        raise ShapeError(
            f"{name}() takes {what} of another shape",
            got=str(type_),
            expected=str(tuple(expected)),
            mend=mend,
        )


def require_rank(
    name: str, what: str, type_: TensorType, axes: str, mend: str | None = None
) -> None:
    """``axes`` names the axes that there must be, for example ``"N, H, W, C"``."""
    if type_.rank != axes.count(",") + 1:
        raise ShapeError(
            f"{name}() takes {what} of other axes",
            got=str(type_),
            expected=f"[{axes}]",
            mend=mend,
        )
