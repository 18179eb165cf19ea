"""The step of an optimizer: gradients, and all that is recorded behind them, in one program.

Parameters that have taken the same steps form a *partition*. Their numbers lie in one flat
variable, and so do their gradients and each of the rule's slots: a step is elementwise on them.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import repeat
from operator import attrgetter, is_
from typing import Any, Protocol

import numpy as np

from numbanet import ops
from numbanet.ir import DType, Update, Value, Variable
from numbanet.ops.state import pack
from numbanet.optimizers.rules import Hyper, Rule
from numbanet.state.flat import FlatState
from numbanet.state.linking import Leaves
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.flush import device, finish
from numbanet.tensors.gradients import Gradients
from numbanet.tensors.modes import no_grad
from numbanet.tensors.program import LoadedProgram, Moves, Reading, Step, load
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import STATE

_GRADIENT = attrgetter("gradient")


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
        self.variables = [_variable(param) for param in params]
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
                for variable in map(_variable, params)
            }
            for slot in rule.slots
            if not slot.is_scalar
        }
        scalars = {slot.name: slot.first(numbers) for slot in rule.slots if slot.is_scalar}
        return cls(params, slots, scalars, 0)

    def part(self, params: Sequence[Tensor]) -> Partition:
        """Some of the parameters, with the history that they have."""
        wanted = [_variable(param) for param in params]
        slots = {
            name: {variable: each[variable] for variable in wanted}
            for name, each in self.slots.items()
        }
        scalars = {name: float(each.numpy()) for name, each in self.scalars.items()}
        return Partition(params, slots, scalars, int(self.step.numpy()))

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


class Taken:
    """The gradients that a step took: outputs of its program, read when somebody looks."""

    def __init__(self, parts: Sequence[Partition], program: LoadedProgram) -> None:
        self.parts = parts
        self.program = program

    @cached_property
    def arrays(self) -> dict[Tensor, np.ndarray]:
        """The numbers of each parameter's gradient."""
        output = self.program.executable.output
        return {
            param: array
            for number, part in enumerate(self.parts)
            for param, array in part.gradients(output(_flat_name(number))).items()
        }

    def give(self, unseen: Gradients | None) -> None:
        """Let the gradients show what the program wrote, until it runs again."""
        for part in self.parts:
            for variable in part.variables:
                variable.version += 1
        Variable.changes += 1
        if unseen is not None:
            unseen.trace, unseen.taken = None, self
            self.program.readers.append(weakref.ref(unseen))
            return
        for param in _params(self.parts):
            gradient = _gradient(param)
            gradient.trace, gradient.slot, gradient.is_result = None, -1, False
            Reading(self.program, partial(self._read, param)).give(gradient)

    def _read(self, param: Tensor) -> np.ndarray:
        return self.arrays[param]


def step(groups: Sequence[Group]) -> None:
    """Take one step: run what was recorded, the gradients of all groups, and their rules.

    Parameters without a gradient stay where they are.
    """
    unseen = _unseen([param for group in groups for param in group.params])
    what = tuple(
        (part, part.settings(group.rule, group.numbers))
        for group in groups
        for part in _partitions(group, are_live=unseen is not None)
    )
    if not what:
        return
    parts = [part for part, _ in what]
    # Where nobody looked, the trace's record and the parameters say which slots they are.
    slots = _slots(_params(parts)) if unseen is None else ()
    trace = STATE.trace
    assert trace is not None
    wanted = trace.pending(unseen)
    if slots:
        consumed = set(slots)
        wanted = [each for each in wanted if each[0] not in consumed]
    for part in parts:
        part.adopt()
    asked = tuple([slot for slot, _ in wanted])
    mutated = tuple(trace.mutated.items())
    key = ("step", what, slots, asked, mutated, FlatState.moves, device())
    program = trace.record.programs.get(key)
    if program is None:
        params = _params(parts)
        sources = slots if unseen is None else _unseen_slots(unseen, params)
        added = Step(tuple(zip(sources, map(_variable, params), strict=True)), _moves(what))
        program = load(trace.record, asked, trace.mutated, device(), added)
        trace.record.programs[key] = program
    program.run(trace, wanted)
    finish(trace, wanted)
    # What the trace goes on with reads the new numbers; everything else was just computed.
    trace.variables.clear()
    trace.results.clear()
    Taken(parts, program).give(unseen)


def _params(parts: Sequence[Partition]) -> list[Tensor]:
    return [param for part in parts for param in part.params]


def _unseen(params: Sequence[Tensor]) -> Gradients | None:
    """The present trace's gradients, if ``params`` hold all, and nobody has looked at any."""
    gradients = params[0].gradient if params else None
    if (
        isinstance(gradients, Gradients)
        and gradients.trace is STATE.trace
        and len(gradients.holders) == len(params)
        and all(map(is_, map(_GRADIENT, params), repeat(gradients)))
    ):
        return gradients
    return None


def _unseen_slots(unseen: Gradients, params: Sequence[Tensor]) -> tuple[int, ...]:
    found = dict(zip(unseen.holders, unseen.record.result_slots, strict=True))
    return tuple(found[param] for param in params)


def _partitions(group: Group, *, are_live: bool) -> list[Partition]:
    """The partitions of the parameters that have gradients now: all if ``are_live``."""
    params = group.params
    is_one = len(group.partitions) == 1 and len(group.partitions[0].params) == len(params)
    if is_one and (are_live or all(param.gradient is not None for param in params)):
        # All of one history, as they nearly always are.
        return list(group.partitions)
    live = {id(param): param for param in group.params if param.gradient is not None}
    kept: list[Partition] = []
    chosen: list[Partition] = []
    for partition in group.partitions:
        inside = [param for param in partition.params if id(param) in live]
        outside = [param for param in partition.params if id(param) not in live]
        pieces = (
            [partition]
            if not (inside and outside)
            else [partition.part(inside), partition.part(outside)]
        )
        kept += pieces
        chosen += pieces[:1] if inside else []
        for param in inside:
            del live[id(param)]
    for dtype in dict.fromkeys(param.dtype for param in live.values()):
        params = [param for param in live.values() if param.dtype is dtype]
        fresh = Partition.fresh(params, group.rule, group.numbers)
        kept.append(fresh)
        chosen.append(fresh)
    group.partitions[:] = kept
    return chosen


def _slots(params: Sequence[Tensor]) -> tuple[int, ...]:
    """The gradients' slots; they are brought into one trace, the present one, if need be."""
    trace = STATE.trace
    gradients = [_gradient(param) for param in params]
    if trace is None or any(g.trace is not trace or not g.is_result for g in gradients):
        with no_grad():
            for param, gradient in zip(params, _together(gradients), strict=True):
                param.grad = gradient
    return tuple(_gradient(param).slot for param in params)


@tensor_function
def _together(gradients: Any) -> Any:
    """The same values, as results of one trace."""
    return tuple(ops.stop_gradient(gradient) for gradient in gradients)


def _moves(what: Sequence[tuple[Partition, Settings]]) -> Moves:
    def moves(
        gradients: Sequence[Value], leaves: Leaves
    ) -> tuple[list[Update], dict[str, Value]]:
        rest = iter(gradients)
        updates: list[Update] = []
        flat: dict[str, Value] = {}
        for number, (part, settings) in enumerate(what):
            own = [next(rest) for _ in part.params]
            moved, flat[_flat_name(number)] = part.updates(settings, own, leaves)
            updates += moved
        return updates, flat

    return moves


def _flat_name(number: int) -> str:
    """The output that holds the gradients of so many-th of the partitions."""
    return f"gradient{number}"


def _gradient(param: Tensor) -> Tensor:
    assert param.grad is not None
    return param.grad


def _variable(param: Tensor) -> Variable:
    assert param.variable is not None
    return param.variable


def filled(like: Variable, number: float, name: str) -> Variable:
    """A variable of the type and layout of ``like``, full of one number."""
    array = np.full(like.shape, number, like.type.dtype.numpy)
    return Variable(array, name, layout=like.layout)
