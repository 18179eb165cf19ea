"""Replay: a call that comes as it came last time is found without looking it up.

Each record remembers, by what was called next, how it went on: as a `Guard`, which is what each
argument has to be for the call to be the same. A training loop goes the same way again and
again, so most calls cost a few comparisons. Whatever does not fit goes the long way, by
`numbanet.tensors.recorder`.

What a guard relies on is that the way so far says which tensor has which slot. It does until
the trace has run or a variable has changed; from then on nothing is replayed there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from numbanet.ir import DType, TensorType, Variable
from numbanet.tensors.modes import MODES
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import ROOT, STATE, Record, Template, Trace
from numbanet.tensors.traces import begin

NOTHING = object()
"""What `repeat` returns if the call is another one."""

MOST_WAYS = 8
"""Calls that a record remembers."""

# What an argument has to be.
_RESULT, _VARIABLE, _CONSTANT, _DATA, _KNOWN_DATA = range(5)

_SIMPLE = (int, float, bool, str, type(None), tuple, DType)

Expectation = tuple[int, Any, Any, bool]
"""A kind; the tensor, slot, constant or type; the variable; whether it requires a gradient."""


@dataclass(eq=False, slots=True)
class Guard:
    """A call, and what its arguments have to be.

    Attributes
    ----------
    record : Record
        Where it leads.
    names : tuple of str
        Of the keyword arguments, in order.
    expected : tuple of Expectation
        For each argument.
    different : tuple of (int, int)
        Arguments that are not the same tensor.
    data : tuple of (int, int)
        Which arguments are data that is read for the first time, and the slots.
    leaves : dict of int to Tensor
        Variables that are read for the first time, by slot; ``variables`` belongs to them.
    reads : set of Variable
        All that are read: none of them may have changed in the trace.
    templates, restore
        What the results are, and what makes of them what the call returns; see `Record`.
    viewed : int
        The argument of which the results are views; -1 if they are not.
    seed : int
        The slot of the seed, if it is brought; else -1.
    """

    record: Record
    names: tuple[str, ...]
    grad: bool
    expected: tuple[Expectation, ...]
    different: tuple[tuple[int, int], ...]
    data: tuple[tuple[int, int], ...]
    leaves: Mapping[int, Tensor]
    variables: Mapping[tuple[Variable, bool], int]
    reads: frozenset[Variable]
    templates: tuple[Template, ...]
    restore: Callable[[list[Any]], Any] | None
    viewed: int
    seed: int

    def fits(self, trace: Any, given: Sequence[Any]) -> bool:
        """Whether ``given`` are the arguments of this call again in ``trace``; something that
        is no trace stands for one that is about to begin."""
        if len(given) != len(self.expected):
            return False
        for argument, (kind, what, variable, needs_grad) in zip(
            given, self.expected, strict=True
        ):
            if kind == _RESULT:
                if (
                    type(argument) is not Tensor
                    or argument.slot != what
                    or argument.trace is not trace
                ):
                    return False
            elif kind == _DATA:
                # Only what is, or was, a result has numbers and a gradient that goes on.
                if (
                    type(argument) is not Tensor
                    or argument.numbers is None
                    or argument.needs_grad is not needs_grad
                    or argument.trace is trace
                    or not _is_type(argument.tensor_type, what)
                    or (needs_grad and (argument.is_result or argument.is_spent))
                ):
                    return False
            elif kind == _VARIABLE:
                if (
                    argument is not what
                    or argument.needs_grad is not needs_grad
                    or argument.variable is not variable
                ):
                    return False
            elif kind == _CONSTANT:
                if argument is not what and not _is_same(argument, what):
                    return False
            elif (
                type(argument) is not Tensor
                or argument.slot != what
                or argument.trace is not trace
                or argument.is_result
            ):
                return False
        return not self.different or all(
            given[one] is not given[other] for one, other in self.different
        )

    def go(self, trace: Trace, given: Sequence[Any]) -> Any:
        """Let ``trace`` go on to the record; what the call returns."""
        for place, slot in self.data:
            trace.add_data(given[place], slot)
        trace.replay(self)
        results = trace.make(self.templates)
        if self.viewed >= 0:
            given[self.viewed].add_views(results)
        return results[0] if self.restore is None else self.restore(results)


def repeat(called: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What a function or module returns that is called as last time; else `NOTHING`."""
    trace = STATE.trace
    if trace is None:
        return NOTHING
    begins = trace.is_executed
    guard = (ROOT if begins else trace.record).ways.get(called)
    if guard is None or guard.grad is not MODES.grad:
        return NOTHING
    given: Sequence[Any] = args
    if kwargs:
        if tuple(kwargs) != guard.names:
            return NOTHING
        given = (*args, *kwargs.values())
    elif guard.names:
        return NOTHING
    if begins:
        return guard.go(begin(), given) if guard.fits(NOTHING, given) else NOTHING
    if (
        trace.clock != Variable.changes
        or not guard.fits(trace, given)
        or not guard.reads.isdisjoint(trace.mutated)
    ):
        return NOTHING
    return guard.go(trace, given)


def remember(start: Record, called: object, way: Any) -> None:
    """Let ``way`` be how it goes on after ``start`` if this is called."""
    if len(start.ways) >= MOST_WAYS:
        start.ways.clear()
    start.ways[called] = way


def make_guard(
    record: Record, args: tuple[Any, ...], kwargs: dict[str, Any], trace: Trace
) -> Guard | None:
    """What tells that the call of ``record`` comes again; None if nothing simple does."""
    if record.call is None or trace.is_executed:
        return None
    parts = guard_parts([record], args, kwargs, trace)
    return None if parts is None else Guard(**parts)


def guard_parts(
    records: Sequence[Record],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    trace: Trace,
    members: Sequence[Tensor] = (),
) -> dict[str, Any] | None:
    """The fields of a guard of the calls that led by ``records`` to the last of them.

    ``members`` are variables that they may read and that are no arguments.
    """
    first, record = records[0].first, records[-1]
    seeds = [each.leaf_slots[-1] for each in records if each.brings_seed]
    known = {id(each) for each in members}
    new = {slot for each in records for slot in each.leaf_slots}.difference(seeds)
    leaves = {slot: trace.leaves[slot] for slot in new if id(trace.leaves[slot]) in known}
    given = (*args, *kwargs.values())
    expected: list[Expectation] = []
    data: dict[int, int] = {}
    for place, argument in enumerate(given):
        if not isinstance(argument, Tensor):
            if not isinstance(argument, _SIMPLE) or _holds_more(argument):
                return None
            expected.append((_CONSTANT, argument, None, False))
            continue
        slot = trace.slot_of(argument)
        is_new = slot in new
        if slot is None or not (slot < first or is_new):
            return None
        if argument.is_spent or argument.variable in trace.mutated:
            return None
        expected.append(_expectation(argument, slot, is_new))
        if is_new and (slot in data.values() or slot in leaves):
            return None
        if is_new and argument.variable is None:
            data[place] = slot
        elif is_new:
            leaves[slot] = argument
    if {*data.values(), *leaves} != new:
        return None
    tensors = [place for place, argument in enumerate(given) if isinstance(argument, Tensor)]
    return {
        "record": record,
        "names": tuple(kwargs),
        "grad": MODES.grad,
        "expected": tuple(expected),
        "different": tuple(combinations(data, 2)),
        "data": tuple(data.items()),
        "leaves": leaves,
        "variables": {key_of(leaf): slot for slot, leaf in leaves.items()},
        "reads": frozenset(
            each.variable
            for each in (*members, *given)
            if isinstance(each, Tensor) and each.variable is not None
        ),
        "templates": record.templates,
        "restore": record.restore,
        "viewed": tensors[0] if record.is_view else -1,
        "seed": seeds[0] if seeds else -1,
    }


def key_of(tensor: Tensor) -> tuple[Variable, bool]:
    """What `Trace.variables` knows a tensor of a variable by."""
    assert tensor.variable is not None
    return tensor.variable, tensor.needs_grad


def _expectation(argument: Tensor, slot: int, is_new: bool) -> Expectation:
    if argument.is_result:
        return (_RESULT, slot, None, False)
    if argument.variable is not None:
        return (_VARIABLE, argument, argument.variable, argument.needs_grad)
    if is_new:
        return (_DATA, argument.tensor_type, None, argument.needs_grad)
    return (_KNOWN_DATA, slot, None, False)


def _is_type(type_: TensorType, what: TensorType) -> bool:
    return type_ is what or (type_.shape == what.shape and type_.dtype is what.dtype)


def _is_same(one: Any, other: Any) -> bool:
    """Whether constants mean the same: 1, 1.0 and True are equal, and do not."""
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return one == other


def _holds_more(argument: Any) -> bool:
    """Whether there are other things than simple ones in a tuple."""
    return isinstance(argument, tuple) and any(
        not isinstance(each, _SIMPLE) or _holds_more(each) for each in argument
    )
