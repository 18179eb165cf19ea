"""Variables: the state that a graph reads and replaces, step after step."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from numbanet.errors import ShapeError
from numbanet.ir.types import DType, TensorType


class Home(Protocol):
    """Where a variable's numbers live once a program runs: a device's memory."""

    def read(self, variable: Variable) -> np.ndarray: ...

    def write(self, variable: Variable, array: np.ndarray) -> None: ...


class Variable:
    """A named tensor with numbers: a parameter, a running mean, an optimizer slot, a counter.

    Until a program runs, the numbers are a host array; afterwards they live at ``home``, and
    ``numpy`` and ``assign`` go there.

    Parameters
    ----------
    array : array_like
        Initial numbers. Their dtype is the variable's.
    name : str
        For messages and printed graphs.
    trainable : bool
        Whether an optimizer may change it.

    Attributes
    ----------
    version : int
        Number of times that the numbers were replaced from the host. Who records values of the
        variable compares it, to see that they are still those of now.
    """

    __slots__ = ("__weakref__", "_array", "home", "name", "trainable", "type", "version")

    def __init__(self, array: object, name: str, *, trainable: bool = False) -> None:
        self._array = np.array(array, order="C")
        self.type = TensorType(self._array.shape, DType.of(self._array.dtype))
        self.name = name
        self.trainable = trainable
        self.home: Home | None = None
        self.version = 0

    def numpy(self) -> np.ndarray:
        """A copy of the numbers as they are now."""
        return self._array.copy() if self.home is None else self.home.read(self)

    def assign(self, array: object) -> None:
        """Replace the numbers; raises ShapeError and changes nothing if the shape differs."""
        new = np.asarray(array, dtype=self.type.dtype.numpy)
        if new.shape != self.type.shape:
            raise ShapeError(
                f"variable {self.name!r} cannot take these numbers",
                got=str(new.shape),
                expected=str(self.type.shape),
            )
        self.version += 1
        if self.home is None:
            self._array = np.array(new, order="C")
        else:
            self.home.write(self, new)

    def move(self, home: Home) -> np.ndarray:
        """Hand the numbers to ``home``, which keeps them from now on."""
        numbers = self.numpy()
        self.home = home
        self._array = np.empty(0)
        return numbers

    def __repr__(self) -> str:
        return f"<Variable {self.name!r} {self.type}>"
