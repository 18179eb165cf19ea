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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from numbanet.initializers import draw_seed
from numbanet.ir import TensorType, Value, Variable, topological
from numbanet.tensors.numbers import Place
from numbanet.tensors.tensor import Tensor

if TYPE_CHECKING:
    from numbanet.tensors.flow import Edge
    from numbanet.tensors.gradients import Gradients
    from numbanet.tensors.program import LoadedProgram
    from numbanet.tensors.replay import Guard


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
    restore : callable
        Results as the call returns them, out of a list of tensors.
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
    again : Guard or None
        The call that came next last time.
    shortcut : Shortcut or None
        The same for the call of a module, which may be many calls; see `numbanet.nn.shortcuts`.
    ways : dict of Module to Record
        Modules that were called here, and where the call ended.
    place : Place
        Shared by records that differ only in numbers.
    used : int
        Number of the last trace that came this way.
    """

    parent: Record | None = None
    call: Call | None = None
    first: int = 0
    leaves: tuple[Value, ...] = ()
    results: tuple[Value, ...] = ()
    requires_grad: tuple[bool, ...] = ()
    restore: Callable[[list[Any]], Any] = lambda results: None
    random: int = 0
    brings_seed: bool = False
    is_view: bool = False
    is_spent: bool = False
    targets: tuple[int, ...] = ()
    freed: frozenset[int] = frozenset()
    following: dict[Any, Record] = field(default_factory=dict)
    programs: dict[Any, LoadedProgram] = field(default_factory=dict)
    again: Guard | None = None
    shortcut: Any = None
    ways: dict[Any, Record] = field(default_factory=dict)
    place: Place = field(default_factory=Place)
    used: int = 0

    @cached_property
    def templates(self) -> tuple[tuple[int, TensorType, bool, str], ...]:
        """Slot, type, whether it requires a gradient, and function of each result."""
        name = "" if self.call is None else self.call.function.__name__
        return tuple(
            (slot, value.type, requires_grad, name)
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


class Trace:
    """One walk through the tree, with the tensors of now.

    Attributes
    ----------
    record : Record
        Where the walk is.
    leaves : dict of int to Tensor
    variables : dict of (Variable, bool) to int
        The slot that holds a variable's numbers, by whether gradients are wanted.
    mutated : dict of Variable to int
        The slot of the numbers that a variable takes when the trace runs.
    versions : dict of int to int
        The version that a variable had when it became a leaf.
    edges : list of Edge
        Results whose gradients somebody else has a say in; see `numbanet.tensors.flow`.
    is_executed : bool
        Whether a program ran, or variables were changed from outside; calls on leaves only
        then start another trace.
    changes : int
        How often variables had changed when it began.
    """

    __slots__ = (
        "__weakref__",
        "changes",
        "count",
        "edges",
        "freed",
        "gradients",
        "is_executed",
        "leaves",
        "mutated",
        "number",
        "record",
        "results",
        "retained",
        "seed",
        "variables",
        "versions",
    )

    def __init__(self) -> None:
        self.record = ROOT
        self.number = next(_NUMBERS)
        self.count = 0
        self.leaves: dict[int, Tensor] = {}
        self.results: list[tuple[int, weakref.ref[Tensor]]] = []
        self.gradients: list[weakref.ref[Gradients]] = []
        self.variables: dict[tuple[Variable, bool], int] = {}
        self.mutated: dict[Variable, int] = {}
        self.versions: dict[int, int] = {}
        self.retained: dict[int, Tensor] = {}
        self.edges: list[Edge] = []
        self.freed: frozenset[int] = frozenset()
        self.seed: Tensor | None = None
        self.is_executed = False
        self.changes = Variable.changes

    def slot_of(self, tensor: Tensor) -> int | None:
        """The number of ``tensor`` here, if it has one."""
        if tensor.variable is not None:
            return self.variables.get((tensor.variable, tensor.needs_grad))
        return tensor.slot if tensor.trace is self else None

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
        self.leaves[slot] = tensor
        variable = tensor.variable
        if variable is None:
            tensor.trace, tensor.slot = self, slot
        else:
            self.variables[variable, tensor.needs_grad] = slot
            self.versions[slot] = variable.version

    def drop_leaf(self, slot: int) -> None:
        """Take back `add_leaf`: what was to read the leaf could not be recorded."""
        tensor = self.leaves.pop(slot)
        if tensor.variable is None:
            tensor.trace = None
        else:
            del self.variables[tensor.variable, tensor.needs_grad]
            del self.versions[slot]

    def advance(self, record: Record) -> list[Tensor]:
        """Go on to ``record``; its results."""
        self.move(record)
        return self.make(record)

    def move(self, record: Record) -> None:
        """Go on to ``record``, a call after those so far."""
        self.record = record
        self.count = record.end
        record.used = self.number
        if record.brings_seed and self.seed is None:
            self.draw_seed(record.leaf_slots[-1])

    def draw_seed(self, slot: int) -> None:
        """Bring the seed of this trace's random numbers, a leaf."""
        self.seed = Tensor.wrap(np.array(draw_seed(), np.int64))
        self.add_leaf(self.seed, slot)

    def make(self, record: Record) -> list[Tensor]:
        """Tensors that are the results of ``record``, a call of this trace."""
        new = Tensor.__new__
        tensors: list[Tensor] = []
        for slot, type_, requires_grad, function in record.templates:
            tensor = new(Tensor)
            # One by one: that is faster than all at once.
            tensor.trace = self
            tensor.slot = slot
            tensor.tensor_type = type_
            tensor.is_result = True
            tensor.function = function
            if requires_grad:
                tensor.needs_grad = True
                if record.is_spent:
                    tensor.is_spent = True
            self.results.append((slot, weakref.ref(tensor)))
            tensors.append(tensor)
        return tensors

    def forget(self, variable: Variable) -> None:
        """Read ``variable`` anew from now on."""
        for requires_grad in (False, True):
            self.variables.pop((variable, requires_grad), None)

    def forget_changed(self) -> None:
        """Read variables that have changed anew from now on."""
        for key, slot in list(self.variables.items()):
            if self.versions.get(slot, key[0].version) != key[0].version:
                del self.variables[key]

    def pending(self, besides: Gradients | None = None) -> list[tuple[int, Tensor]]:
        """Results that somebody holds and whose numbers are not computed, by slot.

        Gradients that nobody has looked at are among them, except for ``besides``.
        """
        for reference in self.gradients:
            gradients = reference()
            if gradients is not None and gradients is not besides:
                gradients.show()
        self.gradients.clear()
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
            for leaf, version in self.versions.items()
            if cast("Variable", self.leaves[leaf].variable).version != version
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
