"""Traces: sequences of calls on tensors, each call recorded once and found again ever after.

All sequences that were ever seen form a tree. A `Record` is a node of it: one call, with the
symbolic values that it added. A `Trace` is a walk from the root: an iteration of a loop goes
the way of the one before it, so a call costs a look-up, and at the end of the way lies
the compiled program. A loop that branches takes another way, and gets another program.

Tensors of a trace are numbered: each record adds a *slot* for each leaf that it reads for the
first time, then for each of its results.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from numbanet.initializers import draw_seed
from numbanet.ir import TensorType, Value, Variable, topological
from numbanet.tensors.numbers import Place
from numbanet.tensors.tensor import Tensor

if TYPE_CHECKING:
    from numbanet.tensors.flow import Edge
    from numbanet.tensors.gradients import Gradients
    from numbanet.tensors.program import LoadedProgram


@dataclass(frozen=True, eq=False)
class Call:
    """What a record repeats where its results are needed in another trace.

    ``tensors`` are the slots of the tensors among the arguments, in order; where ``random`` is
    not None, the last is the seed of random states, of which so many had been taken before.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    tensors: tuple[int, ...]
    grad: bool
    random: int | None = None


Template = tuple[int, TensorType, bool, bool, str]
"""Of a result: slot, type, whether it requires a gradient, whether it is spent, function."""


@dataclass(eq=False)
class Record:
    """A call, found by the calls before it and by its own arguments.

    Attributes
    ----------
    parent : Record or None
    first : int
        Number of slots before it.
    leaves, results : tuple of Value
        The values of its slots, in order.
    requires_grad : tuple of bool
        Of each result.
    restore : callable or None
        Results as the call returns them, out of a list of tensors; None if it returns the only
        one.
    random : int
        Number of random states taken so far; the first brings the trace's seed, a last leaf.
    is_spent : bool
        Whether the gradients of its results could only go to leaves that are spent.
    targets : tuple of int
        Of a backward call: the slots whose gradients its results are.
    freed : frozenset of int
        Of a backward call: results that cannot be differentiated again.
    following : dict
        The records that were seen to come next, by key.
    programs : dict
        What was compiled at this point, by what was asked for.
    ways : dict of object to Way
        How it went on last time, by what was called: a function, a module (which may be many
        calls), backward, or an optimizer's step.
    place : Place
        Shared by records that differ only in numbers.
    made, used : int
        Number of the trace that recorded it, and of the last that came this way.
    """

    parent: Record | None = None
    call: Call | None = None
    first: int = 0
    leaves: tuple[Value, ...] = ()
    results: tuple[Value, ...] = ()
    requires_grad: tuple[bool, ...] = ()
    restore: Callable[[list[Any]], Any] | None = None
    random: int = 0
    brings_seed: bool = False
    is_view: bool = False
    is_spent: bool = False
    targets: tuple[int, ...] = ()
    freed: frozenset[int] = frozenset()
    following: dict[Any, Record] = field(default_factory=dict)
    programs: dict[Any, LoadedProgram] = field(default_factory=dict)
    ways: dict[Any, Any] = field(default_factory=dict)
    place: Place = field(default_factory=Place)
    made: int = 0
    used: int = 0

    @cached_property
    def templates(self) -> tuple[Template, ...]:
        """What each result is."""
        name = "" if self.call is None else self.call.function.__name__
        return tuple(
            (slot, value.type, requires_grad, requires_grad and self.is_spent, name)
            for slot, value, requires_grad in zip(
                self.result_slots, self.results, self.requires_grad, strict=True
            )
        )

    @cached_property
    def end(self) -> int:
        """Number of slots with its own."""
        return self.first + len(self.leaves) + len(self.results)

    @property
    def leaf_slots(self) -> range:
        """The slots of the leaves that it reads first."""
        return range(self.first, self.first + len(self.leaves))

    @property
    def result_slots(self) -> range:
        """The slots of its results."""
        return range(self.first + len(self.leaves), self.end)

    def path(self) -> Iterator[Record]:
        """This record and those before it, from the root on."""
        records: list[Record] = []
        record: Record | None = self
        while record is not None:
            records.append(record)
            record = record.parent
        return reversed(records)

    def values(self) -> list[Value]:
        """The value of each slot."""
        return [value for each in self.path() for value in (*each.leaves, *each.results)]


ROOT = Record()
_NUMBERS = itertools.count(1)


class Way(Protocol):
    """Calls that come as they came last time, passed at once."""

    @property
    def record(self) -> Record:
        """Where they lead."""
        ...

    @property
    def leaves(self) -> Mapping[int, Tensor]:
        """Variables that they read first, by slot."""
        ...

    @property
    def variables(self) -> Mapping[tuple[Variable, bool], int]:
        """The slots of these, as `Trace` knows them."""
        ...

    @property
    def seed(self) -> int:
        """The slot of the seed, if they bring it; else -1."""
        ...


class Trace:
    """One walk through the tree, with the tensors of now.

    Most calls come as they came last time, and then a `Way` knows which variables they read.
    These are only noted here if somebody asks.

    Attributes
    ----------
    record : Record
        Where the walk is.
    passed : list of Way
        What came as it came last time.
    is_replayed : bool
        Whether that is all of it, so that ``passed`` says which tensor has which slot.
    noted : dict of int to Tensor
        Of ``leaves`` all that show no variable, and others if somebody asked.
    leaves : dict of int to Tensor
    variables : dict of (Variable, bool) to int
        The slot that holds a variable's numbers, by whether gradients are wanted.
    mutated : dict of Variable to int
        The slot of the numbers that a variable takes when the trace runs.
    edges : list of Edge
        Results whose gradients somebody else has a say in; see `numbanet.tensors.flow`.
    clock : int
        How often variables had changed when it began.
    clocks : dict of int to int
        The same of the slots that were read when they had changed since then.
    is_executed : bool
        Whether a program ran, or variables were changed from outside; calls on leaves only
        then start another trace.
    """

    __slots__ = (
        "__weakref__",
        "_noted_up_to",
        "_variables",
        "clock",
        "clocks",
        "count",
        "edges",
        "freed",
        "gradients",
        "is_executed",
        "is_replayed",
        "mutated",
        "noted",
        "number",
        "passed",
        "record",
        "results",
        "retained",
        "seed",
    )

    def __init__(self) -> None:
        self.record = ROOT
        self.number = next(_NUMBERS)
        self.count = 0
        self.passed: list[Way] = []
        self._noted_up_to = 0
        self.is_replayed = True
        self.noted: dict[int, Tensor] = {}
        self._variables: dict[tuple[Variable, bool], int] = {}
        self.clock = Variable.changes
        self.clocks: dict[int, int] = {}
        self.results: list[tuple[int, weakref.ref[Tensor]]] = []
        self.gradients: list[weakref.ref[Gradients]] = []
        self.mutated: dict[Variable, int] = {}
        self.retained: dict[int, Tensor] = {}
        self.edges: list[Edge] = []
        self.freed: frozenset[int] = frozenset()
        self.seed: Tensor | None = None
        self.is_executed = False

    @property
    def leaves(self) -> dict[int, Tensor]:
        self._note()
        return self.noted

    @property
    def variables(self) -> dict[tuple[Variable, bool], int]:
        self._note()
        return self._variables

    def _note(self) -> None:
        """Note what was read on the ways that were passed."""
        for way in self.passed[self._noted_up_to :]:
            self.noted.update(way.leaves)
            self._variables.update(way.variables)
        self._noted_up_to = len(self.passed)

    def slot_of(self, tensor: Tensor) -> int | None:
        """The number of ``tensor`` here, if it has one."""
        if tensor.variable is not None:
            return self.slot_of_variable(tensor.variable, tensor.needs_grad)
        return tensor.slot if tensor.trace is self else None

    def slot_of_variable(self, variable: Variable, needs_grad: bool) -> int | None:
        """The number of what a variable holds now, if it has one here."""
        slot = self.variables.get((variable, needs_grad))
        return None if slot is None or self.is_past(variable, slot) else slot

    def is_past(self, variable: Variable, slot: int) -> bool:
        """Whether ``variable`` has changed since it was read into ``slot``."""
        return variable.version > self.clocks.get(slot, self.clock)

    def reads(self, variable: Variable) -> bool:
        """Whether what ``variable`` holds now was read."""
        return any(
            self.slot_of_variable(variable, needs_grad) is not None
            for needs_grad in (False, True)
        )

    def mutate(self, variable: Variable, slot: int) -> None:
        """Let ``variable`` take the numbers of ``slot`` when the trace runs."""
        self.mutated[variable] = slot
        self._read(variable, False, slot)
        # As a leaf with a gradient it is read anew, once the trace has run.
        self.variables.pop((variable, True), None)

    def enter(self, tensor: Tensor) -> tuple[int, bool]:
        """The number of ``tensor``, and whether it is a leaf that is new here."""
        slot = self.slot_of(tensor)
        if slot is not None:
            return slot, False
        slot = self.count
        self.count += 1
        self.add_leaf(tensor, slot)
        return slot, True

    def add_leaf(self, tensor: Tensor, slot: int) -> None:
        """Number a leaf."""
        if tensor.variable is None:
            self.add_data(tensor, slot)
        else:
            self.noted[slot] = tensor
            self._read(tensor.variable, tensor.needs_grad, slot)

    def add_data(self, tensor: Tensor, slot: int) -> None:
        """Number a leaf that shows no variable."""
        self.noted[slot] = tensor
        tensor.trace, tensor.slot = self, slot

    def _read(self, variable: Variable, needs_grad: bool, slot: int) -> None:
        self.variables[variable, needs_grad] = slot
        if self.clock != Variable.changes:
            self.clocks[slot] = Variable.changes

    def drop_leaf(self, slot: int) -> None:
        """Take back `add_leaf`: what was to read the leaf could not be recorded."""
        tensor = self.noted.pop(slot)
        if tensor.variable is None:
            tensor.trace = None
        else:
            del self.variables[tensor.variable, tensor.needs_grad]

    def replay(self, way: Way) -> None:
        """Go on to where ``way`` leads."""
        self.passed.append(way)
        self.record = record = way.record
        self.count = record.end
        record.used = self.number
        if way.seed >= 0 and self.seed is None:
            self.draw_seed(way.seed)

    def move(self, record: Record) -> None:
        """Go on to ``record``, a call after those so far that was looked up."""
        self.is_replayed = False
        self.record = record
        self.count = record.end
        record.used = self.number
        if record.brings_seed and self.seed is None:
            self.draw_seed(record.leaf_slots[-1])

    def draw_seed(self, slot: int) -> None:
        """Bring the seed of this trace's random numbers, a leaf."""
        self.seed = Tensor.wrap(np.array(draw_seed(), np.int64))
        self.add_leaf(self.seed, slot)

    def make(self, templates: tuple[Template, ...]) -> list[Tensor]:
        """Tensors that are results of this trace."""
        new = Tensor.__new__
        tensors: list[Tensor] = []
        for slot, type_, requires_grad, is_spent, function in templates:
            tensor = new(Tensor)
            # One by one: that is faster than all at once.
            tensor.trace = self
            tensor.slot = slot
            tensor.tensor_type = type_
            tensor.is_result = True
            tensor.function = function
            if requires_grad:
                tensor.needs_grad = True
                if is_spent:
                    tensor.is_spent = True
            self.results.append((slot, weakref.ref(tensor)))
            tensors.append(tensor)
        return tensors

    def pending(self, besides: Gradients | None = None) -> list[tuple[int, Tensor]]:
        """`held`, with gradients that nobody has looked at, except for ``besides``."""
        for reference in self.gradients:
            gradients = reference()
            if gradients is not None and gradients is not besides:
                gradients.show()
        self.gradients.clear()
        return self.held()

    def held(self) -> list[tuple[int, Tensor]]:
        """Results that somebody holds and whose numbers are not computed, by slot."""
        found = []
        for slot, reference in self.results:
            tensor = reference()
            # A tensor that was changed in place stands for a later slot.
            if tensor is not None and tensor.numbers is None and tensor.slot == slot:
                found.append((slot, tensor))
        return found

    def is_settleable(self, tensor: Tensor) -> bool:
        """Whether numbers are all that a result is good for: no gradient goes through it."""
        return not tensor.needs_grad or tensor.is_spent or tensor.slot in self.freed

    def retire(self, tensor: Tensor) -> None:
        """Make a leaf of a result with numbers, if no gradient can go through it.

        None can once it was differentiated, or once a variable that it was computed from has
        changed.
        """
        if tensor.slot in self.freed or self.is_stale(tensor.slot):
            tensor.is_result = False
            tensor.is_spent = tensor.needs_grad
            tensor.trace = None

    def needed(self, slot: int) -> set[int]:
        """Slots of everything that ``slot`` is computed from, and itself."""
        needed = {slot}
        for record in reversed(list(self.record.path())):
            if record.call is not None and not needed.isdisjoint(record.result_slots):
                needed.update(record.call.tensors)
        return needed

    def is_stale(self, slot: int) -> bool:
        """Whether a variable that ``slot`` is computed from has changed since it was read."""
        changed = {
            leaf
            for leaf, tensor in self.leaves.items()
            if tensor.variable is not None and self.is_past(tensor.variable, leaf)
        }
        if not changed or changed.isdisjoint(self.needed(slot)):
            return False
        # The calls behind it read such a variable. Not each of their results depends on it.
        values = self.record.values()
        behind = {value for node in topological([values[slot]]) for value in node.outputs}
        return any(values[leaf] in behind for leaf in changed)


class _State(threading.local):
    trace: Trace | None = None


STATE = _State()
"""``STATE.trace``: the trace that calls on this thread belong to."""


def leaf_type(tensor: Tensor) -> tuple[object, ...]:
    """What of a leaf decides how a call goes on."""
    if tensor.variable is not None:
        return (tensor.variable, tensor.needs_grad)
    type_: TensorType = tensor.tensor_type
    return (type_.shape, type_.dtype.value, tensor.needs_grad, tensor.is_spent)
