"""Replay: a call that comes as it came last time is found without looking it up.

Each record remembers the call that followed it last, as a `Guard`: what each argument has to be
for the call to be the same. A training loop goes the same way again and again, so most calls
cost a few comparisons. Whatever does not fit goes the long way, by `numbanet.tensors.recorder`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numbanet.ir import Variable
from numbanet.tensors.modes import MODES
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import ROOT, STATE, Record, Trace
from numbanet.tensors.traces import begin

# What an argument has to be.
_CONSTANT, _RESULT, _VARIABLE, _KNOWN_VARIABLE, _DATA, _KNOWN_DATA = range(6)

_SIMPLE = (int, float, bool, str, type(None))

Expectation = tuple[int, Any]
"""A kind; and the constant, the slot, or what is known of a leaf."""


@dataclass(frozen=True, eq=False, slots=True)
class Guard:
    """A call, and what its arguments have to be.

    Attributes
    ----------
    names : tuple of str
        Of the keyword arguments, in order.
    expected : tuple of Expectation
        For each argument.
    has_own : bool
        Whether a result of the trace is among them.
    leaves : tuple of (int, int, (Variable, bool) or None)
        Of each leaf that the call reads first: which argument, the slot, and its variable.
    """

    function: Callable[..., Any]
    names: tuple[str, ...]
    grad: bool
    expected: tuple[Expectation, ...]
    has_own: bool
    leaves: tuple[tuple[int, int, tuple[Variable, bool] | None], ...]
    record: Record

    def fits(self, trace: Trace | None, given: Sequence[Any]) -> bool:
        """Whether ``given`` are the arguments of this call again: in ``trace``, or at the
        beginning of another."""
        for (kind, what), argument in zip(self.expected, given, strict=True):
            if kind == _RESULT:
                if not (
                    isinstance(argument, Tensor)
                    and argument.trace is trace
                    and argument.slot == what
                    and argument.is_result
                    and argument.numbers is None
                ):
                    return False
            elif kind == _VARIABLE:
                if argument is not what[0] or argument.requires_grad is not what[1]:
                    return False
            elif kind == _CONSTANT:
                if argument is not what and (
                    type(argument) is not type(what) or argument != what
                ):
                    return False
            elif kind == _KNOWN_VARIABLE:
                tensor, key, slot = what
                if (
                    argument is not tensor
                    or argument.requires_grad is not key[1]
                    or trace is None
                    or trace.variables.get(key) != slot
                ):
                    return False
            elif not isinstance(argument, Tensor) or argument.is_result:
                return False
            elif kind == _KNOWN_DATA:
                if argument.trace is not trace or argument.slot != what:
                    return False
            elif (
                argument.variable is not None
                or argument.value is not None
                or argument.trace is trace
                or argument.is_spent
                or argument.requires_grad is not what[1]
                or argument.tensor_type != what[0]
            ):
                return False
        return True


def repeat(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Record, list[Tensor]] | None:
    """Record and results of a call that comes as it came last time; None if it does not."""
    trace = STATE.trace
    if trace is None or trace.mutated:
        return None
    guard, begins = trace.record.again, False
    if trace.is_executed and (guard is None or not guard.has_own):
        guard, begins = ROOT.again, True
    if guard is None or guard.function is not function or guard.grad is not MODES.grad:
        return None
    given: Sequence[Any] = args
    if kwargs:
        if tuple(kwargs) != guard.names:
            return None
        given = (*args, *kwargs.values())
    elif guard.names:
        return None
    if len(given) != len(guard.expected) or not guard.fits(None if begins else trace, given):
        return None
    if begins:
        trace = begin()
    for place, slot, variable in guard.leaves:
        tensor = given[place]
        trace.leaves[slot] = tensor
        if variable is None:
            tensor.trace, tensor.slot = trace, slot
        else:
            trace.variables[variable] = slot
            trace.versions[slot] = variable[0].version
    return guard.record, trace.advance(guard.record)


def make_guard(
    parent: Record,
    record: Record,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    trace: Trace,
) -> Guard | None:
    """What tells that the call of ``record`` comes again; None if nothing simple does."""
    made = record.call
    if made is None or record.is_view or record.brings_seed:
        return None
    expected: list[Expectation] = []
    leaves: list[tuple[int, int, tuple[Variable, bool] | None]] = []
    new = record.leaf_slots
    for place, argument in enumerate((*args, *kwargs.values())):
        if not isinstance(argument, Tensor):
            if not isinstance(argument, _SIMPLE):
                return None
            expected.append((_CONSTANT, argument))
            continue
        slot = trace.slot_of(argument)
        assert slot is not None
        if argument.is_spent:
            return None
        if argument.is_result:
            expected.append((_RESULT, slot))
            continue
        is_new = slot in new
        variable = argument.variable
        key = None if variable is None else (variable, argument.requires_grad)
        if key is not None:
            known = (argument, argument.requires_grad) if is_new else (argument, key, slot)
            expected.append((_VARIABLE if is_new else _KNOWN_VARIABLE, known))
        elif is_new:
            expected.append((_DATA, (argument.tensor_type, argument.requires_grad)))
        else:
            expected.append((_KNOWN_DATA, slot))
        if is_new:
            leaves.append((place, slot, key))
    if len({slot for _, slot, _ in leaves}) != len(new) or len(leaves) != len(new):
        return None
    has_own = any(kind == _RESULT for kind, _ in expected)
    if parent is ROOT and has_own:
        return None
    return Guard(
        made.function,
        tuple(kwargs),
        made.grad,
        tuple(expected),
        has_own,
        tuple(leaves),
        record,
    )
