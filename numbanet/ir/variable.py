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
    layout : tuple of int, optional
        The permutation by which ``array`` is stored, where kernels want another order of axes
        than people do: a convolution's ``(3, 0, 1, 2)`` stores Keras's ``[kh, kw, in, out]``
        as ``[out, kh, kw, in]``. Graphs and devices know the stored form only.

    Attributes
    ----------
    changes : int
        Of the class: the number of times that the numbers of any variable were replaced.
    type : TensorType
        Of the stored form.
    shape : tuple of int
        Of the form that `numpy` shows.
    version : int
        What ``changes`` was when the numbers were last replaced from the host. Who records
        values of the variable compares it, to see that they are still those of now.
    """

    changes = 0

    __slots__ = (
        "__weakref__",
        "_array",
        "home",
        "layout",
        "name",
        "trainable",
        "type",
        "version",
    )

    def __init__(
        self,
        array: object,
        name: str,
        *,
        trainable: bool = False,
        layout: tuple[int, ...] | None = None,
    ) -> None:
        self._array = _permuted(np.array(array, order="C"), layout)
        self.layout = layout
        self.type = TensorType(self._array.shape, DType.of(self._array.dtype))
        self.name = name
        self.trainable = trainable
        self.home: Home | None = None
        self.version = 0

    @classmethod
    def at(cls, home: Home, type_: TensorType, name: str) -> Variable:
        """A variable whose numbers are at ``home`` already, and were never on the host."""
        made = cls(np.empty(0, type_.dtype.numpy), name)
        made.type, made.home = type_, home
        return made

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `numpy`."""
        sizes = self.type.sizes
        return sizes if self.layout is None else tuple(sizes[i] for i in inverse(self.layout))

    def numpy(self) -> np.ndarray:
        """A copy of the numbers as they are now."""
        return self.shown(self.stored())

    def shown(self, stored: np.ndarray) -> np.ndarray:
        """An array of the stored form, such as a gradient, in the form of `numpy`."""
        return stored if self.layout is None else _permuted(stored, inverse(self.layout))

    def assign(self, array: object) -> None:
        """Replace the numbers; raises ShapeError and changes nothing if the shape differs."""
        new = np.asarray(array, dtype=self.type.dtype.numpy)
        if new.shape != self.shape:
            raise ShapeError(
                f"variable {self.name!r} cannot take these numbers",
                got=str(new.shape),
                expected=str(self.shape),
            )
        self.store(_permuted(new, self.layout))

    def stored(self) -> np.ndarray:
        """A copy of the numbers in the form in which graphs read them."""
        return self._array.copy() if self.home is None else self.home.read(self)

    def store(self, array: np.ndarray) -> None:
        """`assign` for an array in the stored form, of the variable's own type."""
        self.note_change()
        if self.home is None:
            self._array = np.array(array, order="C")
        else:
            self.home.write(self, array)

    def note_change(self) -> None:
        """Let others see that the numbers were replaced."""
        Variable.changes += 1
        self.version = Variable.changes

    def move(self, home: Home) -> np.ndarray:
        """Hand the numbers to ``home``, which keeps them from now on."""
        numbers = self.stored()
        self.home = home
        self._array = np.empty(0)
        return numbers

    def __repr__(self) -> str:
        return f"<Variable {self.name!r} {self.type}>"


def inverse(perm: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes ``perm``."""
    return tuple(perm.index(axis) for axis in range(len(perm)))


def _permuted(array: np.ndarray, perm: tuple[int, ...] | None) -> np.ndarray:
    return array if perm is None else np.ascontiguousarray(array.transpose(perm))
