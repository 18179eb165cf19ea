"""Flat state: all trainable parameters of a model in one variable, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from numbanet.errors import DTypeError, GraphError
from numbanet.ir import DType, Value, Variable
from numbanet.ir.variable import Home
from numbanet.ops.state import segment

ALIGNMENT = 16
"""Segments start at multiples of this many elements: a cache line of float32."""


@dataclass(frozen=True)
class Segment:
    """Where a parameter lies in the flat variable, in elements."""

    path: str
    offset: int
    shape: tuple[int, ...]
    size: int


class FlatState:
    """The layout of trainable parameters in one flat variable, and their home there.

    Parameters
    ----------
    parameters : dict of str to Variable
        By path. Their numbers move into the flat variable; `Variable.numpy` and
        `Variable.assign` go there from then on.

    Attributes
    ----------
    moves : int
        Of the class: how often parameters have moved. A program that reads them as parts of
        a flat variable is stale once they live in another.
    flat : Variable
    segments : dict of Variable to Segment
        In order; offsets are multiples of `ALIGNMENT`, gaps hold zeros.

    Raises
    ------
    GraphError
        If there is nothing to train.
    DTypeError
        If parameters have several dtypes.
    """

    moves = 0

    def __init__(self, parameters: Mapping[str, Variable]) -> None:
        self.segments: dict[Variable, Segment] = {}
        end = 0
        for path, variable in parameters.items():
            size = variable.type.size
            self.segments[variable] = Segment(path, end, variable.type.sizes, size)
            end += -(-size // ALIGNMENT) * ALIGNMENT
        self.size = end
        self.dtype = _common_dtype(parameters)
        self.flat = Variable(np.zeros(end, self.dtype.numpy), "parameters")
        self.adopt()

    def adopt(self) -> None:
        """Take over the parameters that live elsewhere, with the numbers they have now.

        Another model that shares layers may have taken them in the meantime.
        """
        strangers = [variable for variable in self.segments if variable.home is not self]
        if not strangers:
            return
        FlatState.moves += 1
        numbers = self.flat.numpy()
        for variable in strangers:
            self._slice(numbers, variable)[...] = variable.move(self)
        self.flat.assign(numbers)

    def read(self, variable: Variable) -> np.ndarray:
        """A copy of a parameter's numbers."""
        return self._slice(self.flat.numpy(), variable).copy()

    def write(self, variable: Variable, array: np.ndarray) -> None:
        """Replace a parameter's numbers."""
        numbers = self.flat.numpy()
        self._slice(numbers, variable)[...] = array
        self.flat.assign(numbers)

    def value(self, flat: Value, variable: Variable) -> Value:
        """A parameter as a part of ``flat``, a value of the flat variable."""
        place = self.segments[variable]
        return segment(flat, place.offset, place.shape)

    def _slice(self, numbers: np.ndarray, variable: Variable) -> np.ndarray:
        place = self.segments[variable]
        return numbers[place.offset : place.offset + place.size].reshape(place.shape)

    def __str__(self) -> str:
        lines = [f"flat state: {self.size} x {self.dtype}, {len(self.segments)} segments"]
        lines += [
            f"  {place.offset:>10}  {place.path}  {place.shape}"
            for place in self.segments.values()
        ]
        return "\n".join(lines)


def home_of(variable: Variable) -> Home | None:
    """Where a variable's numbers are: for a part of a flat variable, where that is."""
    home = variable.home
    return home.flat.home if isinstance(home, FlatState) else home


def _common_dtype(parameters: Mapping[str, Variable]) -> DType:
    dtypes = {variable.type.dtype for variable in parameters.values()}
    if not dtypes:
        raise GraphError(
            "the model has no trainable parameters",
            mend="Set layer.trainable = True on a layer that has weights",
        )
    if len(dtypes) > 1:
        raise DTypeError(
            "trainable parameters of several dtypes",
            got=", ".join(sorted(dtype.value for dtype in dtypes)),
            expected="one",
        )
    return dtypes.pop()
