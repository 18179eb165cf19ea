"""What a compiled model was told, and how far its optimizer is."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from numbanet.errors import FormatError
from numbanet.io.encoding import Encoder
from numbanet.ir import Variable
from numbanet.models.model import Model

STATE = "@optimizer/"
"""What the names of an optimizer's tensors begin with."""

_NOT_WRITTEN = ("self", "device")


def compile_arguments(model: Model, encode: Encoder) -> dict[str, Any]:
    """What `compile` was given, but for the device, as JSON."""
    names = inspect.signature(Model.compile).parameters
    return {
        name: encode(getattr(model._compiled, name))
        for name in names
        if name not in _NOT_WRITTEN
    }


def optimizer_state(model: Model) -> dict[str, np.ndarray]:
    """The optimizer's tensors: counters, and each parameter's slots once it has trained."""
    return {STATE + name: place.read() for name, place in _places(model).items()}


def restore(model: Model, tensors: Mapping[str, np.ndarray]) -> None:
    """Put back what `optimizer_state` gave.

    Raises
    ------
    FormatError
        If it is another optimizer's, or another model's.
    """
    given = {name[len(STATE) :]: a for name, a in tensors.items() if name.startswith(STATE)}
    if set(given) != set(_COUNTERS):
        model._current_trainer().slots  # noqa: B018 - made when first asked for
    places = _places(model)
    if set(given) != set(places):
        odd = sorted(set(given) ^ set(places))
        raise FormatError("not the state of this optimizer", got=", ".join(odd))
    for name, place in places.items():
        place.write(name, given[name])


_COUNTERS = ("iterations", "learning_rate")


class _Place:
    """A variable, or a parameter's part of a flat one."""

    def __init__(self, variable: Variable, part: slice, shape: tuple[int, ...]) -> None:
        self.variable = variable
        self.part = part
        self.shape = shape

    def read(self) -> np.ndarray:
        return self.variable.numpy().reshape(-1)[self.part].reshape(self.shape)

    def write(self, name: str, array: np.ndarray) -> None:
        if array.shape != self.shape:
            raise FormatError(
                f"optimizer state {name!r} has another shape",
                got=str(array.shape),
                expected=str(self.shape),
            )
        numbers = self.variable.numpy()
        numbers.reshape(-1)[self.part] = array.reshape(-1)
        self.variable.assign(numbers)


def _places(model: Model) -> dict[str, _Place]:
    """Where the optimizer's numbers are, by name."""
    optimizer = model.optimizer
    whole = slice(None)
    places = {
        "iterations": _Place(optimizer.iterations, whole, ()),
        "learning_rate": _Place(optimizer.rate, whole, ()),
    }
    trainer = model._trainer
    if trainer is None or "slots" not in vars(trainer):
        return places
    for slot, variable in trainer.slots.items():
        if variable.shape != (trainer.state.size,):
            places[slot] = _Place(variable, whole, variable.shape)
            continue
        for segment in trainer.state.segments.values():
            part = slice(segment.offset, segment.offset + segment.size)
            places[f"{slot}/{segment.path}"] = _Place(variable, part, segment.shape)
    return places
