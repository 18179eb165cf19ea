"""Element types, shapes, and their pair: the type of a value."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from numbanet.errors import DTypeError

Shape = tuple[int | None, ...]
"""Sizes of a value; ``None`` is the batch size that is unknown while a model is built."""


class DType(enum.Enum):
    """An element type. Its value is NumPy's name for it."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    BOOL = "bool"

    @cached_property
    def numpy(self) -> np.dtype:
        return np.dtype(self.value)

    @property
    def itemsize(self) -> int:
        return self.numpy.itemsize

    @property
    def is_floating(self) -> bool:
        return self in (DType.FLOAT32, DType.FLOAT64)

    @property
    def is_integer(self) -> bool:
        return self in (DType.INT32, DType.INT64, DType.UINT8)

    @property
    def short(self) -> str:
        """The name used in printed graphs: ``f32``, ``i64``, ``bool``."""
        return _SHORT[self]

    def __str__(self) -> str:
        return self.value

    @classmethod
    def of(cls, dtype: object) -> DType:
        """The DType of a name, NumPy dtype or DType; raises DTypeError for any other."""
        if isinstance(dtype, DType):
            return dtype
        # NumPy takes microseconds to find the name of a dtype.
        if isinstance(dtype, np.dtype) and dtype in _OF_NUMPY:
            return _OF_NUMPY[dtype]
        try:
            return cls(np.dtype(dtype).name)  # type: ignore[call-overload]
        except (TypeError, ValueError):
            names = ", ".join(member.value for member in cls)
            raise DTypeError("unknown element type", got=repr(dtype), expected=names) from None


_SHORT = {
    DType.FLOAT32: "f32",
    DType.FLOAT64: "f64",
    DType.INT32: "i32",
    DType.INT64: "i64",
    DType.UINT8: "u8",
    DType.BOOL: "bool",
}

_OF_NUMPY = {member.numpy: member for member in DType}


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape and element type of a value."""

    shape: Shape
    dtype: DType

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def is_known(self) -> bool:
        """Whether every size is known, as it is once the graph is bound to a batch size."""
        return None not in self.shape

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape, all of it known."""
        known = tuple(size for size in self.shape if size is not None)
        if len(known) != len(self.shape):
            raise ValueError(
                f"{self} has an unknown size: bind the graph to a batch size first"
            )
        return known

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.sizes)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype.short}[{', '.join(str(size) for size in self.shape)}]"
