"""Which trace a call belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbanet.tensors.flush import flush
from numbanet.tensors.modes import MODES
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import STATE, Trace


def trace_for(function: Callable[..., Any], tensors: list[Tensor]) -> Trace:
    """The trace of a call: that of the results among its tensors, else the present one.

    Results of other traces are brought here. A call on leaves only begins another trace if the
    present one has run, or seems to begin again.
    """
    trace = STATE.trace
    has_own = False
    strangers: list[Tensor] = []
    for tensor in tensors:
        if tensor.is_result:
            if tensor.numbers is not None and tensor.trace is not None:
                tensor.trace.retire(tensor)
                if not tensor.is_result:
                    continue
            if tensor.trace is trace:
                has_own = True
            else:
                strangers.append(tensor)
    if strangers:
        trace = _joined(trace, has_own, strangers)
    elif trace is None or (not has_own and _is_over(trace, function, tensors)):
        return begin()
    if trace.mutated and any(
        tensor.requires_grad and tensor.variable in trace.mutated for tensor in tensors
    ):
        flush(trace)
    return trace


def begin() -> Trace:
    """Leave the present trace, and begin another."""
    last, STATE.trace = STATE.trace, None
    if last is not None and (last.mutated or last.results or last.gradients):
        leave(last)
    trace = STATE.trace = Trace()
    return trace


def return_to(trace: Trace) -> None:
    """Leave the present trace for another that was left before."""
    last, STATE.trace = STATE.trace, trace
    if last is not None and last is not trace:
        leave(last)


def leave(trace: Trace) -> None:
    """Compute what only needs numbers, so that nobody comes back for it."""
    if trace.mutated or any(trace.is_settleable(tensor) for _, tensor in trace.pending()):
        flush(trace)


def _is_over(trace: Trace, function: Callable[..., Any], tensors: list[Tensor]) -> bool:
    """Whether a call on leaves begins something new."""
    if trace.is_executed:
        return True
    if trace.mutated and any(tensor.variable in trace.mutated for tensor in tensors):
        return True
    # Without gradients nothing is lost, so each round of a loop that reads nothing is a trace.
    return not MODES.grad and function is _first_function(trace)


def _first_function(trace: Trace) -> Callable[..., Any] | None:
    for record in trace.record.path():
        if record.call is not None:
            return record.call.function
    return None


def _joined(trace: Trace | None, has_own: bool, strangers: list[Tensor]) -> Trace:
    """A trace that knows all ``strangers``: the first one's if the present one is over."""
    from numbanet.tensors.adoption import adopt

    if trace is None or (trace.is_executed and not has_own):
        home = strangers[0].trace
        assert home is not None
        return_to(home)
        trace = home
    for tensor in strangers:
        if tensor.trace is not trace:
            adopt(tensor, trace)
    return trace
