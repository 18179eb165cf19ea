"""Partitions: parameters that an optimizer moves together, because they have one history.

Their numbers lie in one flat variable, and so do their gradients and each of the rule's slots:
a step is elementwise on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from numbanet import ops
from numbanet.ir import DType, Update, Value, Variable
from numbanet.ops.state import pack
from numbanet.optimizers.rules import Hyper, Rule
from numbanet.state.flat import FlatState
from numbanet.state.linking import Leaves
from numbanet.tensors.tensor import Tensor


class Group(Protocol):
    """Parameters that move by one rule, as an optimizer states them."""

    @property
    def params(self) -> Sequence[Tensor]: ...

    @property
    def rule(self) -> Rule: ...

    @property
    def numbers(self) -> Mapping[str, float]:
        """The rule's hyperparameters as they are now."""
        ...

    partitions: list[Partition]
    """Kept here from step to step; empty at first."""


@dataclass(frozen=True, eq=False)
class Settings:
    """A rule, the names of its hyperparameters, and which of these are constants.

    One object stands for the same settings each time, so that it can be a key.
    """

    rule: Rule
    names: tuple[str, ...]


class Partition:
    """Parameters with one history: where they, their gradients and their slots lie.

    Parameters
    ----------
    params : sequence of Tensor
    slots : dict of str to (dict of Variable to Variable)
        For each slot of a number an element: its numbers for each parameter's variable.
    scalars : dict of str to Variable
        Slots of one number.
    steps : int
        Steps taken so far.
    """

    def __init__(
        self,
        params: Sequence[Tensor],
        slots: Mapping[str, Mapping[Variable, Variable]],
        scalars: Mapping[str, float],
        steps: int,
    ) -> None:
        self.params = list(params)
        self.slots = {name: dict(each) for name, each in slots.items()}
        self.scalars = {
            name: Variable(np.float64(number), f"optimizer/{name}")
            for name, number in scalars.items()
        }
        self.step = Variable(np.int64(steps), "optimizer/step")
        self.hyper: dict[str, Variable] = {}
        self.constants: dict[str, float] = {}
        self.variables = [variable_of(param) for param in params]
        named = {f"{i}": variable for i, variable in enumerate(self.variables)}
        self.state = FlatState(named)
        self.slot_states = {
            name: FlatState({path: each[variable] for path, variable in named.items()})
            for name, each in self.slots.items()
        }
        self._settings: dict[object, Settings] = {}
        self._last: tuple[Rule, Mapping[str, float], Settings] | None = None
        self._moves = FlatState.moves

    @classmethod
    def fresh(
        cls, params: Sequence[Tensor], rule: Rule, numbers: Mapping[str, float]
    ) -> Partition:
        """One of parameters that have not moved yet."""

        slots = {
            slot.name: {
                variable: filled(variable, slot.first(numbers), f"optimizer/{slot.name}")
                for variable in map(variable_of, params)
            }
            for slot in rule.slots
            if not slot.is_scalar
        }
        scalars = {slot.name: slot.first(numbers) for slot in rule.slots if slot.is_scalar}
        return cls(params, slots, scalars, 0)

    def part(self, params: Sequence[Tensor]) -> Partition:
        """Some of the parameters, with the history that they have."""
        wanted = [variable_of(param) for param in params]
        slots = {
            name: {variable: each[variable] for variable in wanted}
            for name, each in self.slots.items()
        }
        scalars = {name: float(each.numpy()) for name, each in self.scalars.items()}
        return Partition(params, slots, scalars, int(self.step.numpy()))

    def note_change(self) -> None:
        """Let others see that the parameters have moved."""
        Variable.changes += 1
        for variable in self.variables:
            variable.version = Variable.changes

    def adopt(self) -> None:
        """Take over what has moved elsewhere since the last step."""
        if self._moves == FlatState.moves:
            return
        for state in (self.state, *self.slot_states.values()):
            state.adopt()
        self._moves = FlatState.moves

    def settings(self, rule: Rule, numbers: Mapping[str, float]) -> Settings:
        """Note the hyperparameters of this step; what of it a program depends on.

        The learning rate, and what changes from step to step, is state that programs read; all
        else is a constant in them. The same mapping holds the same numbers: who changes one
        passes another.
        """
        if self._last is not None and self._last[0] is rule and self._last[1] is numbers:
            return self._last[2]
        key = (rule, self._set_numbers(numbers))
        found = self._settings.setdefault(key, Settings(rule, tuple(numbers)))
        self._last = (rule, numbers, found)
        return found

    def _set_numbers(self, numbers: Mapping[str, float]) -> tuple[object, ...]:
        for name, number in numbers.items():
            if name in self.hyper:
                if self.constants[name] != number:
                    self.hyper[name].assign(number)
            elif name == "learning_rate" or self.constants.get(name, number) != number:
                self.hyper[name] = Variable(np.float64(number), f"optimizer/{name}")
            self.constants[name] = number
        return tuple(
            (name, None if name in self.hyper else number) for name, number in numbers.items()
        )

    def updates(
        self, settings: Settings, gradients: Sequence[Value], leaves: Leaves
    ) -> tuple[list[Update], Value]:
        """One step on flat values; and the flat gradient."""
        state = self.state
        offsets = [segment.offset for segment in state.segments.values()]
        gradient = pack(gradients, offsets, state.size)
        step, flat = leaves.of(self.step), leaves.of(state.flat)
        hyper = Hyper(
            state.dtype,
            ops.cast(step + 1, DType.FLOAT64),
            {
                name: leaves.of(self.hyper[name])
                if name in self.hyper
                else self.constants[name]
                for name in settings.names
            },
            tuple(state.segments.values()),
        )
        variables = {
            **{name: each.flat for name, each in self.slot_states.items()},
            **self.scalars,
        }
        old = {name: leaves.of(variable) for name, variable in variables.items()}
        moved, new = settings.rule.update(flat, gradient, old, hyper)
        updates = [
            Update(flat, moved),
            Update(step, step + 1),
            *(Update(old[name], new[name]) for name in variables),
        ]
        return updates, gradient

    def gradients(self, flat: np.ndarray) -> dict[Tensor, np.ndarray]:
        """The parts of a flat gradient, by parameter."""
        return {
            param: variable.shown(flat[at.offset : at.offset + at.size].reshape(at.shape))
            for param, (variable, at) in zip(
                self.params, self.state.segments.items(), strict=True
            )
        }


def variable_of(param: Tensor) -> Variable:
    """The variable of a parameter."""
    assert param.variable is not None
    return param.variable


def filled(like: Variable, number: float, name: str) -> Variable:
    """A variable of the type and layout of ``like``, full of one number."""
    array = np.full(like.shape, number, like.type.dtype.numpy)
    return Variable(array, name, layout=like.layout)
