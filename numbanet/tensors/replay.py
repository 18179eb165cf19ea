"""Replay: a call that comes as it came last time is found without looking it up.

Each record remembers the call that followed it last, as a `Guard`: what each argument has to be
for the call to be the same. A training loop goes the same way again and again, so most calls
cost a few comparisons. Whatever does not fit goes the long way, by `numbanet.tensors.recorder`.

What a guard relies on is that the way so far says which tensor has which slot. It does until
the trace has run or a variable was changed in it; from then on nothing is replayed there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from numbanet.ir import DType, Variable
from numbanet.tensors.modes import MODES
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import ROOT, STATE, Record, Trace
from numbanet.tensors.traces import begin

NOTHING = object()
"""What `repeat` returns if the call is another one."""

# What an argument has to be.
_RESULT, _VARIABLE, _CONSTANT, _DATA, _KNOWN_DATA = range(5)

_SIMPLE = (int, float, bool, str, type(None), tuple, DType)

Expectation = tuple[int, Any, Any, bool]
"""A kind; the tensor, slot, constant or type; the variable; whether it requires a gradient."""


@dataclass(frozen=True, eq=False, slots=True)
class Guard:
    """A call, and what its arguments have to be.

    Attributes
    ----------
    names : tuple of str
        Of the keyword arguments, in order.
    expected : tuple of Expectation
        For each argument.
    different : tuple of (int, int)
        Arguments that are not the same tensor.
    leaves : tuple of (int, int, (Variable, bool) or None)
        Of each leaf that the call reads first: which argument, the slot, and its variable.
    viewed : int
        The argument of which the results are views; -1 if they are not.
    """

    function: Callable[..., Any]
    names: tuple[str, ...]
    grad: bool
    expected: tuple[Expectation, ...]
    different: tuple[tuple[int, int], ...]
    leaves: tuple[tuple[int, int, tuple[Variable, bool] | None], ...]
    viewed: int
    record: Record

    def fits(self, trace: Trace | None, given: Sequence[Any]) -> bool:
        """Whether ``given`` are the arguments of this call again: in ``trace``, or at the
        beginning of another."""
        for argument, (kind, what, variable, requires_grad) in zip(
            given, self.expected, strict=True
        ):
            if kind == _RESULT:
                if (
                    type(argument) is not Tensor
                    or argument.slot != what
                    or argument.trace is not trace
                ):
                    return False
            elif kind == _VARIABLE:
                if (
                    argument is not what
                    or argument.needs_grad is not requires_grad
                    or argument.variable is not variable
                ):
                    return False
            elif kind == _CONSTANT:
                if argument is not what and not _is_same(argument, what):
                    return False
            elif not isinstance(argument, Tensor) or argument.is_result:
                return False
            elif kind == _KNOWN_DATA:
                if argument.trace is not trace or argument.slot != what:
                    return False
            elif (
                argument.variable is not None
                or argument.value is not None
                or (trace is not None and argument.trace is trace)
                or argument.is_spent
                or argument.needs_grad is not requires_grad
                or argument.tensor_type.shape != what.shape
                or argument.tensor_type.dtype is not what.dtype
            ):
                return False
        return not any(given[one] is given[other] for one, other in self.different)

    def enter(self, trace: Trace, given: Sequence[Any]) -> None:
        """Number the leaves that the call reads first."""
        for place, slot, variable in self.leaves:
            tensor = given[place]
            trace.leaves[slot] = tensor
            if variable is None:
                tensor.trace, tensor.slot = trace, slot
            else:
                trace.variables[variable] = slot
                trace.versions[slot] = variable[0].version


def repeat(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a call returns that comes as it came last time; `NOTHING` if it does not."""
    trace = STATE.trace
    if trace is None:
        return NOTHING
    begins = trace.is_executed
    guard = ROOT.again if begins else trace.record.again
    if (
        guard is None
        or guard.function is not function
        or guard.grad is not MODES.grad
        or trace.mutated
    ):
        return NOTHING
    given: Sequence[Any] = args
    if kwargs:
        if tuple(kwargs) != guard.names:
            return NOTHING
        given = (*args, *kwargs.values())
    elif guard.names:
        return NOTHING
    if len(given) != len(guard.expected) or not guard.fits(None if begins else trace, given):
        return NOTHING
    if begins:
        trace = begin()
    guard.enter(trace, given)
    record = guard.record
    results = trace.advance(record)
    if guard.viewed >= 0:
        given[guard.viewed].add_views(results)
    return record.restore(results)


def make_guard(
    record: Record, args: tuple[Any, ...], kwargs: dict[str, Any], trace: Trace
) -> Guard | None:
    """What tells that the call of ``record`` comes again; None if nothing simple does."""
    made = record.call
    if made is None or trace.is_executed or trace.mutated:
        return None
    # The seed is the trace's own.
    new = record.leaf_slots[:-1] if record.brings_seed else record.leaf_slots
    return guard_of(made.function, record, args, kwargs, trace, new, record.first)


def guard_of(
    function: Callable[..., Any],
    record: Record,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    trace: Trace,
    new: Sequence[int],
    first: int,
) -> Guard | None:
    """What tells that calls from slot ``first`` on come again, which lead to ``record``.

    ``new`` are the slots of the leaves that they read first: all of them arguments.
    """
    given = (*args, *kwargs.values())
    expected: list[Expectation] = []
    leaves: list[tuple[int, int, tuple[Variable, bool] | None]] = []
    for place, argument in enumerate(given):
        if not isinstance(argument, Tensor):
            if not isinstance(argument, _SIMPLE) or _holds_more(argument):
                return None
            expected.append((_CONSTANT, argument, None, False))
            continue
        slot = trace.slot_of(argument)
        if slot is None or argument.is_spent or not (slot < first or slot in new):
            return None
        variable, requires_grad = argument.variable, argument.needs_grad
        if argument.is_result:
            expected.append((_RESULT, slot, None, False))
        elif variable is not None:
            expected.append((_VARIABLE, argument, variable, requires_grad))
        elif slot in new:
            expected.append((_DATA, argument.tensor_type, None, requires_grad))
        else:
            expected.append((_KNOWN_DATA, slot, None, False))
        if slot in new:
            key = None if variable is None else (variable, requires_grad)
            leaves.append((place, slot, key))
    if {slot for _, slot, _ in leaves} != set(new) or len(leaves) != len(new):
        return None
    data = [place for place, _, variable in leaves if variable is None]
    tensors = [place for place, argument in enumerate(given) if isinstance(argument, Tensor)]
    return Guard(
        function,
        tuple(kwargs),
        MODES.grad,
        tuple(expected),
        tuple(combinations(data, 2)),
        tuple(leaves),
        tensors[0] if record.is_view else -1,
        record,
    )


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
