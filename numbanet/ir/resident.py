"""Numbers that lie on a device, and what is asked of them where data are checked and cut."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import numpy as np

from numbanet.ir.types import TensorType


class Typed:
    """Memory that holds numbers of a type, told as NumPy's arrays tell it.

    Attributes
    ----------
    type : TensorType
    """

    type: TensorType

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.sizes

    @property
    def dtype(self) -> np.dtype:
        return self.type.dtype.numpy

    @property
    def nbytes(self) -> int:
        return self.type.nbytes


class Resident(Typed, ABC):
    """An array on a device.

    What it shares with NumPy's arrays has their names and meanings. Results lie on the device,
    too; only `extremes` brings numbers to the host.
    """

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def __getitem__(self, rows: slice | np.ndarray) -> Resident:
        """Some samples: those from one to another, or those with these numbers."""

    @abstractmethod
    def reshape(self, shape: tuple[int, ...]) -> Resident:
        """The same memory in another shape."""

    @abstractmethod
    def astype(self, dtype: np.dtype) -> Resident:
        """The numbers in another dtype."""

    @abstractmethod
    def extremes(self, ignored: int | None = None) -> tuple[Any, Any]:
        """The smallest and the largest number, where ``ignored`` counts as 0."""


Array: TypeAlias = "np.ndarray | Resident"


def is_foreign(array: object) -> bool:
    """Whether another library says that ``array`` is not in the host's memory."""
    device = getattr(array, "__dlpack_device__", None)
    if device is not None:
        return next(iter(device())) not in _HOST
    return hasattr(array, "__cuda_array_interface__")


_HOST = (1, 3)
"""DLPack's names of the host's memory, pageable and pinned."""
