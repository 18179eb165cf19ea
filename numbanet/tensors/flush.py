"""Flushing: what was recorded is compiled, if it is new, and run."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np

from numbanet.ir import Variable
from numbanet.runtime import Device, get_device
from numbanet.state.flat import FlatState
from numbanet.tensors.program import load
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import STATE, Trace


class _Chosen:
    device: Device | None = None


def device() -> Device:
    """The device that tensors are computed on: a GPU where there is one, else the CPU."""
    if _Chosen.device is None:
        _Chosen.device = get_device(None)
    return _Chosen.device


def set_default_device(name: str | Device) -> None:
    """Compute tensors on another device from now on.

    Parameters
    ----------
    name : {"cpu", "cuda"} or Device

    Raises
    ------
    DeviceError
        If the device cannot be used.
    """
    _Chosen.device = get_device(name)


def flush(trace: Trace, asked: Sequence[Tensor] = ()) -> None:
    """Compute ``asked`` results, and all others that only need numbers.

    Variables that were changed take their new numbers. What was computed from the old ones can
    not be computed later, so then everything is.
    """
    everything = bool(trace.mutated)
    asked_ids = {id(tensor) for tensor in asked}
    wanted = [
        (slot, tensor)
        for slot, tensor in trace.pending()
        if everything or id(tensor) in asked_ids or trace.is_settleable(tensor)
    ]
    run(trace, wanted)


def run(trace: Trace, wanted: Sequence[tuple[int, Tensor]]) -> None:
    """Run the program that computes ``wanted`` results and changes the mutated variables."""
    programs = trace.record.programs
    slots = tuple(slot for slot, _ in wanted)
    key = (slots, tuple(trace.mutated.items()), FlatState.moves, device())
    program = programs.get(key)
    if program is None:
        program = programs[key] = load(trace.record, slots, trace.mutated, device())
    program.run(trace, wanted)
    finish(trace, wanted)


def finish(trace: Trace, wanted: Sequence[tuple[int, Tensor]]) -> None:
    """Note that a program of ``trace`` ran and computed ``wanted``."""
    trace.is_executed = True
    for _, tensor in wanted:
        if not tensor.requires_grad or tensor.is_spent:
            tensor.is_result = False
            tensor.trace = None
    for variable in trace.mutated:
        variable.note_change()
    trace.mutated.clear()


def settle_variable(variable: Variable) -> None:
    """Give ``variable`` the numbers that it has by what was recorded."""
    trace = STATE.trace
    if trace is not None and variable in trace.mutated:
        flush(trace)


def settle_readers(variable: Variable) -> None:
    """Compute what was recorded from ``variable``, which is about to change."""
    trace = STATE.trace
    if trace is None:
        return
    if trace.reads(variable):
        wanted = trace.pending()
        if wanted or trace.mutated:
            run(trace, wanted)
        trace.is_executed = True


def assign(tensor: Tensor, array: np.ndarray) -> None:
    """Replace the numbers of a tensor by an array of its shape.

    Raises
    ------
    ShapeError
        If the shape differs; nothing has changed then.
    """
    if tensor.variable is not None:
        settle_readers(tensor.variable)
        tensor.variable.assign(array)
    else:
        replace(tensor, Tensor.wrap(np.array(array, dtype=tensor.dtype.numpy)))


def leave_trace(tensor: Tensor) -> None:
    """Make a leaf with numbers of ``tensor``, which no trace knows from now on."""
    if tensor.is_result:
        tensor.numbers = tensor.array()
        tensor.trace, tensor.is_result = None, False
    else:
        _keep_leaf(tensor)


def replace(tensor: Tensor, new: Tensor) -> None:
    """Give ``tensor`` the numbers of ``new``, in place."""
    if tensor.variable is not None:
        _replace_variable(tensor, tensor.variable, new)
        return
    _keep_leaf(tensor)
    # A leaf that gradients go to stays one, so it takes numbers and no history.
    stays_leaf = tensor.requires_grad and tensor.is_leaf
    if new.is_result and new.trace is not None and not stays_leaf:
        tensor.trace, tensor.slot = new.trace, new.slot
        tensor.numbers, tensor.is_result = None, True
        tensor.needs_grad, tensor.function = new.needs_grad, new.function
        tensor.is_spent = new.is_spent
        new.trace.results.append((new.slot, weakref.ref(tensor)))
    else:
        tensor.numbers = new.array().copy()
        tensor.trace, tensor.is_result = None, False


def _replace_variable(tensor: Tensor, variable: Variable, new: Tensor) -> None:
    trace = new.trace
    if trace is None or not new.is_result or trace is not STATE.trace:
        assign(tensor, new.array())
        return
    trace.mutate(variable, new.slot)


def _keep_leaf(tensor: Tensor) -> None:
    """Let the trace that has ``tensor`` as a leaf keep the numbers of now."""
    trace = tensor.trace
    if trace is not None and not tensor.is_result:
        kept = Tensor.wrap(tensor.array(), tensor.requires_grad)
        trace.leaves[tensor.slot] = kept
        tensor.trace = None
