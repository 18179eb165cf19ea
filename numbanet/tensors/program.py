"""Programs of traces: what was asked for at one point of the tree, compiled and loaded."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np

from numbanet.arrays.ids import Limit, check_range, id_limits
from numbanet.compile import compile_program
from numbanet.errors import GraphError
from numbanet.ir import Graph, Update, Value, Variable, topological
from numbanet.ops import transpose
from numbanet.ops.leaf import INPUT, variable_of, variable_value
from numbanet.runtime.device import Device, Executable
from numbanet.state.flat import FlatState
from numbanet.state.linking import Leaves, link
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import Record, Trace

Moves = Callable[[Sequence[Value], Leaves], tuple[list[Update], dict[str, Value]]]
"""The updates of an optimizer, out of gradients and what variables are read as; and the flat
gradients, by the names of outputs."""


class Reader(Protocol):
    """Who may still want to read an output of a program's last run."""

    def settle(self) -> None:
        """Read it now: another run overwrites it."""
        ...


@dataclass(frozen=True, eq=False)
class Reading:
    """An output of a program's last run, or a part of one, while nobody has read it."""

    program: LoadedProgram
    read: Callable[[], np.ndarray]

    def give(self, tensor: Tensor) -> None:
        """Let ``tensor`` have these numbers, too."""
        tensor.numbers = self
        self.program.readers.append(weakref.ref(tensor))


@dataclass(frozen=True, eq=False)
class Step:
    """What an optimizer adds to a program.

    Attributes
    ----------
    gradients : tuple of (int, Variable)
        Slots of the gradients, and the parameters that they are of.
    moves : Moves
    """

    gradients: tuple[tuple[int, Variable], ...]
    moves: Moves


@dataclass(eq=False)
class LoadedProgram:
    """A program, and which slots it reads and gives.

    Attributes
    ----------
    inputs : dict of int to str
        Data leaves by slot, and the inputs they are bound to.
    variables : tuple of int
        Slots of the variables that are read.
    outputs : dict of int to str
    assigned : dict of Variable to str
        Variables that take an output's numbers through the host.
    limits : dict of str to Limit
        What inputs that index into something may be.
    """

    executable: Executable
    inputs: Mapping[int, str]
    variables: tuple[int, ...]
    outputs: Mapping[int, str]
    assigned: Mapping[Variable, str]
    limits: Mapping[str, Limit]
    readers: list[weakref.ref[Reader]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._bound = tuple(
            (slot, name, self.limits.get(name)) for slot, name in self.inputs.items()
        )
        self._readings = {
            slot: Reading(self, partial(self.executable.output, name))
            for slot, name in self.outputs.items()
        }

    def run(self, trace: Trace, wanted: Sequence[tuple[int, Tensor]]) -> None:
        """Run on the leaves of ``trace``; ``wanted`` tensors can be read afterwards."""
        if trace.clock != Variable.changes:
            check_versions(trace, self.variables)
        if self.readers:
            self._save_readings()
        executable = self.executable
        for slot, name, limit in self._bound:
            array = trace.noted[slot].array()
            executable.bind(name, array)
            if limit is not None and executable.largest(name, array) >= limit.rows:
                check_range(name, array, limit)
        executable.run()
        for slot, tensor in wanted:
            self._readings[slot].give(tensor)
        for variable, name in self.assigned.items():
            variable.store(executable.output(name))

    def _save_readings(self) -> None:
        """The next run overwrites what somebody may still want to read."""
        for reference in self.readers:
            reader = reference()
            if reader is not None:
                reader.settle()
        self.readers.clear()


def check_versions(trace: Trace, slots: Sequence[int]) -> None:
    """Raise GraphError if a variable has changed since the trace read it."""
    for slot in slots:
        tensor = trace.leaves.get(slot)
        variable = None if tensor is None else tensor.variable
        if variable is not None and trace.is_past(variable, slot):
            raise GraphError(
                f"{variable.name!r} was changed after a result had been computed from it that "
                "is needed now",
                mend="Change parameters after backward() and step(), or read results before",
            )


def load(
    record: Record,
    wanted: Sequence[int],
    mutated: Mapping[Variable, int],
    device: Device,
    step: Step | None = None,
) -> LoadedProgram:
    """Compile what computes the slots ``wanted`` and the new numbers of ``mutated``."""
    values = record.values()
    outputs = {slot: f"slot{slot}" for slot in wanted}
    results = {name: values[slot] for slot, name in outputs.items()}
    updates: list[Update] = []
    assigned: dict[Variable, str] = {}
    for variable, slot in mutated.items():
        new = stored(values[slot], variable)
        if isinstance(variable.home, FlatState):
            assigned[variable] = f"variable{slot}"
            results[assigned[variable]] = new
        else:
            updates.append(Update(variable_value(variable), new))
    gradients = _gradients(values, step)
    targets = (*results.values(), *gradients.values(), *(each.new for each in updates))
    inputs, variables = _leaves(record, targets)
    named = {name: values[slot] for slot, name in inputs.items()}
    graph = Graph(tuple(named.values()), {**results, **gradients}, tuple(updates))
    linked, leaves = link(graph)
    if step is not None:
        moves, flat = step.moves([linked.outputs[name] for name in gradients], leaves)
        kept = {name: linked.outputs[name] for name in results}
        linked = Graph(linked.inputs, {**kept, **flat}, (*linked.updates, *moves))
    executable = device.load(compile_program(linked, device))
    limits = id_limits(named, targets)
    return LoadedProgram(executable, inputs, variables, outputs, assigned, limits)


def _gradients(values: Sequence[Value], step: Step | None) -> dict[str, Value]:
    pairs = () if step is None else step.gradients
    return {
        f"gradient{i}": stored(values[slot], variable)
        for i, (slot, variable) in enumerate(pairs)
    }


def stored(value: Value, variable: Variable) -> Value:
    """The value of a tensor that shows ``variable``, as that stores it."""
    return value if variable.layout is None else transpose(value, variable.layout)


def _leaves(record: Record, targets: Sequence[Value]) -> tuple[dict[int, str], tuple[int, ...]]:
    """Slots of the inputs, with their names, and of the variables behind ``targets``."""
    reached = {value for node in topological(targets) for value in node.outputs}
    inputs: dict[int, str] = {}
    variables: list[int] = []
    # Results may be leaves' values, too: of functions that return their argument.
    for each in record.path():
        for slot, value in enumerate(each.leaves, each.first):
            if value not in reached:
                continue
            if value.node.op is INPUT:
                inputs[slot] = f"slot{slot}"
            elif _shown_variable(value) is not None:
                variables.append(slot)
    return inputs, tuple(variables)


def _shown_variable(value: Value) -> Variable | None:
    """The variable that a slot shows, if it is a leaf."""
    variable = variable_of(value)
    if variable is None and value.node.op.name == "transpose":
        return variable_of(value.node.inputs[0])
    return variable
