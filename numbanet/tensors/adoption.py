"""Results of one trace that are needed in another."""

from __future__ import annotations

import weakref
from dataclasses import replace

from numbanet.errors import GraphError
from numbanet.tensors.arguments import substitute, tensors_of
from numbanet.tensors.modes import set_grad_enabled
from numbanet.tensors.recorder import call
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import Record, Trace


def adopt(tensor: Tensor, trace: Trace) -> None:
    """Record in ``trace`` the calls behind ``tensor``, which belongs to another one."""
    source = tensor.trace
    if source is None:
        return
    needed = source.needed(tensor.slot)
    if source.is_stale(tensor.slot):
        raise GraphError(
            "a tensor is needed that was computed from variables which have changed since",
            mend="Read it, for example with detach().numpy(), before they change",
        )
    known: dict[int, Tensor] = {
        slot: source.leaves[slot] for slot in needed if slot in source.leaves
    }
    for record in source.record.path():
        if record.call is not None and not needed.isdisjoint(record.result_slots):
            _repeat(record, known, source)
    tensor.trace, tensor.slot = trace, known[tensor.slot].slot
    _take_along(source, known, trace)
    trace.results.append((tensor.slot, weakref.ref(tensor)))


def _take_along(source: Trace, known: dict[int, Tensor], trace: Trace) -> None:
    """Let gradients find here what they would have found there."""
    for edge in source.edges:
        if known.keys() >= set(edge.slots):
            slots = tuple(known[slot].slot for slot in edge.slots)
            trace.edges.append(replace(edge, slots=slots))
    for slot, kept in source.retained.items():
        if slot in known:
            kept.trace, kept.slot = trace, known[slot].slot
            trace.retained[kept.slot] = kept


def _repeat(record: Record, known: dict[int, Tensor], source: Trace) -> None:
    """Make a call of another trace again, in the present one."""
    made = record.call
    assert made is not None
    assert record.parent is not None
    tensors, random = [known[slot] for slot in made.tensors], made.random
    inputs = iter(tensors)
    args = tuple(substitute(each, inputs) for each in made.args)
    kwargs = {name: substitute(each, inputs) for name, each in made.kwargs.items()}
    if random is None and record.random > record.parent.random and source.seed is not None:
        # It draws what it drew there.
        tensors.append(source.seed)
        random = record.parent.random
    with set_grad_enabled(made.grad):
        returned = call(made.function, [made.function, made], tensors, args, kwargs, random)
    known.update(zip(record.result_slots, tensors_of([returned]), strict=True))
