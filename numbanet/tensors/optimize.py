"""The step of an optimizer: gradients, and all that is recorded behind them, in one program."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from numbanet import ops
from numbanet.ir import Update, Value, Variable
from numbanet.runtime import Device
from numbanet.state.flat import FlatState
from numbanet.state.linking import Leaves
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.flush import device, finish
from numbanet.tensors.gradients import Gradients
from numbanet.tensors.modes import no_grad
from numbanet.tensors.partition import Group, Partition, Settings, variable_of
from numbanet.tensors.program import LoadedProgram, Moves, Reading, Step, load
from numbanet.tensors.replay import remember
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import STATE, Trace, Way


class Taken:
    """The gradients that a step took: outputs of its program, read when somebody looks."""

    def __init__(self, parts: Sequence[Partition], program: LoadedProgram) -> None:
        self.parts = parts
        self.program = program

    def arrays(self) -> dict[Tensor, np.ndarray]:
        """The numbers of each parameter's gradient, while the program does not run again."""
        output = self.program.executable.output
        return {
            param: array
            for number, part in enumerate(self.parts)
            for param, array in part.gradients(output(_flat_name(number))).items()
        }

    def give(self, unseen: Gradients | None) -> None:
        """Let the gradients show what the program wrote, until it runs again."""
        if unseen is not None:
            unseen.trace, unseen.taken = None, self
            self.program.readers.append(weakref.ref(unseen))
            return
        arrays = cache(self.arrays)
        for param in _params(self.parts):
            gradient = _gradient(param)
            gradient.trace, gradient.slot, gradient.is_result = None, -1, False
            Reading(self.program, partial(_read, arrays, param)).give(gradient)


def _read(arrays: Callable[[], Mapping[Tensor, np.ndarray]], param: Tensor) -> np.ndarray:
    return arrays()[param]


@dataclass(eq=False, slots=True)
class Chosen:
    """The partitions of a group that move, and what their hyperparameters were."""

    parts: list[Partition]
    settings: list[Settings]
    numbers: Mapping[str, float]

    @classmethod
    def of(cls, group: Group, *, are_live: bool) -> Chosen:
        """What moves now."""
        parts = _partitions(group, are_live=are_live)
        settings = [part.settings(group.rule, group.numbers) for part in parts]
        return cls(parts, settings, group.numbers)

    def is_set_by(self, group: Group) -> bool:
        """Set the hyperparameters of now; whether the same program can read them."""
        if self.numbers is not group.numbers:
            now = [part.settings(group.rule, group.numbers) for part in self.parts]
            if now != self.settings:
                return False
            self.numbers = group.numbers
        return True


@dataclass(frozen=True, eq=False, slots=True)
class Again:
    """A step, and what has to be as it was for it to be the same again.

    Attributes
    ----------
    passed : list of Way
        The way of the trace: it says where the gradients are.
    chosen : list of Chosen
        What moves of each group.
    asked : list of int
        Slots of the results that were held.
    """

    passed: list[Way]
    mutated: dict[Variable, int]
    chosen: list[Chosen]
    asked: list[int]
    moves: int
    device: Device
    taken: Taken

    def take(self, trace: Trace, groups: Sequence[Group]) -> bool:
        """Take the step, if it is this one."""
        gradients = trace.gradients[0]() if len(trace.gradients) == 1 else None
        if (
            gradients is None
            or not trace.is_replayed
            or trace.passed != self.passed
            or trace.mutated != self.mutated
            or self.moves != FlatState.moves
            or self.device is not device()
            or not self._moves_the_same(groups, gradients)
        ):
            return False
        held = trace.held()
        if [slot for slot, _ in held] != self.asked:
            return False
        trace.gradients.clear()
        _take(self.taken, trace, held, gradients)
        return True

    def _moves_the_same(self, groups: Sequence[Group], gradients: Gradients) -> bool:
        if len(groups) != len(self.chosen):
            return False
        count = 0
        for group, chosen in zip(groups, self.chosen, strict=True):
            for param in group.params:
                if param.gradient is not gradients:
                    return False
            count += len(group.params)
            if group.partitions != chosen.parts or not chosen.is_set_by(group):
                return False
        return count == len(gradients.holders)


def step(optimizer: object, groups: Sequence[Group]) -> None:
    """Take one step: run what was recorded, the gradients of all groups, and their rules.

    Parameters without a gradient stay where they are.

    Parameters
    ----------
    optimizer : object
        Whose step it is, to find it again.
    groups : sequence of Group
    """
    trace = STATE.trace
    again = None if trace is None else trace.record.ways.get(optimizer)
    if again is None or not again.take(trace, groups):
        _step(optimizer, groups)


def _step(optimizer: object, groups: Sequence[Group]) -> None:
    unseen = _unseen([param for group in groups for param in group.params])
    chosen = [Chosen.of(group, are_live=unseen is not None) for group in groups]
    what = [pair for each in chosen for pair in zip(each.parts, each.settings, strict=True)]
    if not what:
        return
    parts = [part for part, _ in what]
    # Where nobody looked, the trace's record and the parameters say which slots they are.
    slots = _slots(_params(parts)) if unseen is None else ()
    trace = STATE.trace
    assert trace is not None
    consumed = set(slots)
    held = [each for each in trace.pending(unseen) if each[0] not in consumed]
    for part in parts:
        part.adopt()
    asked = [slot for slot, _ in held]
    mutated = dict(trace.mutated)
    key = ("step", *what, slots, *asked, *mutated.items(), FlatState.moves, device())
    program = trace.record.programs.get(key)
    if program is None:
        params = _params(parts)
        sources = slots if unseen is None else _unseen_slots(unseen, params)
        added = Step(tuple(zip(sources, map(variable_of, params), strict=True)), _moves(what))
        program = load(trace.record, asked, mutated, device(), added)
        trace.record.programs[key] = program
    taken = Taken(parts, program)
    if unseen is not None and trace.is_replayed:
        passed, moves = list(trace.passed), FlatState.moves
        again = Again(passed, mutated, chosen, asked, moves, device(), taken)
        remember(trace.record, optimizer, again)
    _take(taken, trace, held, unseen)


def _take(
    taken: Taken,
    trace: Trace,
    held: Sequence[tuple[int, Tensor]],
    unseen: Gradients | None,
) -> None:
    taken.program.run(trace, held)
    finish(trace, held)
    # Everything that somebody holds was just computed, and all that goes on reads new numbers.
    trace.results.clear()
    for part in taken.parts:
        part.note_change()
    taken.give(unseen)


def _params(parts: Sequence[Partition]) -> list[Tensor]:
    return [param for part in parts for param in part.params]


def _unseen(params: Sequence[Tensor]) -> Gradients | None:
    """The present trace's gradients, if ``params`` hold all, and nobody has looked at any."""
    gradients = params[0].gradient if params else None
    if (
        isinstance(gradients, Gradients)
        and gradients.trace is STATE.trace
        and len(gradients.holders) == len(params)
        and all(param.gradient is gradients for param in params)
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
