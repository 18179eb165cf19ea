"""Results of one trace that are needed in another."""

from __future__ import annotations

import weakref

from numbanet.errors import GraphError
from numbanet.tensors.arguments import substitute, tensors_of
from numbanet.tensors.modes import set_grad_enabled
from numbanet.tensors.recorder import call
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import Record, Trace


def retire(tensor: Tensor) -> None:
    """Make a leaf of a result that has numbers and through which no gradient can go.

    That is so once it was differentiated, or once a variable that it was computed from has
    changed.
    """
    trace = tensor.trace
    if trace is None or tensor.numbers is None:
        return
    if tensor.slot in trace.freed or _is_stale(trace, _needed(trace, tensor.slot)):
        tensor.is_result = False
        tensor.is_spent = tensor.requires_grad
        tensor.trace = None


def adopt(tensor: Tensor, trace: Trace) -> None:
    """Record in ``trace`` the calls behind ``tensor``, which belongs to another one."""
    source = tensor.trace
    if source is None:
        return
    needed = _needed(source, tensor.slot)
    if _is_stale(source, needed):
        raise GraphError(
            "a tensor is needed that was computed from variables which have changed since",
            mend="Read it, for example with detach().numpy(), before they change",
        )
    known: dict[int, Tensor] = {
        slot: source.leaves[slot] for slot in needed if slot in source.leaves
    }
    for record in source.record.path():
        if record.call is not None and _results(record) & needed:
            _repeat(record, known, source)
    tensor.trace, tensor.slot = trace, known[tensor.slot].slot
    trace.results.append((tensor.slot, weakref.ref(tensor)))


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
    start = record.first + len(record.leaves)
    known.update(enumerate(tensors_of([returned]), start))


def _results(record: Record) -> set[int]:
    return set(range(record.first + len(record.leaves), record.end))


def _needed(trace: Trace, slot: int) -> set[int]:
    """Slots of everything that ``slot`` is computed from, and itself."""
    needed = {slot}
    for record in reversed(list(trace.record.path())):
        if record.call is not None and _results(record) & needed:
            needed.update(record.call.tensors)
    return needed


def _is_stale(trace: Trace, slots: set[int]) -> bool:
    """Whether a variable among ``slots`` has changed since it was read."""
    for slot in slots & trace.versions.keys():
        variable = trace.leaves[slot].variable
        if variable is not None and variable.version != trace.versions[slot]:
            return True
    return False
