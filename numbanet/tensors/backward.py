"""Backward: a call whose results are the gradients of the leaves."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import numpy as np

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import GraphError, ShapeError
from numbanet.ir import Value, topological
from numbanet.tensors import tree
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.flow import gone, gradients_of, hooked, is_watched, reached, results_among
from numbanet.tensors.gradients import Descent, Gradients
from numbanet.tensors.modes import set_grad_enabled
from numbanet.tensors.program import check_versions
from numbanet.tensors.recorder import leaf_value
from numbanet.tensors.replay import remember
from numbanet.tensors.tensor import BACKWARD, Tensor
from numbanet.tensors.trace import STATE, Call, Record, Trace, leaf_type
from numbanet.tensors.traces import return_to

_IS_SPENT = attrgetter("is_spent")


def backward(
    tensor: Tensor,
    gradient: Tensor | None,
    retain_graph: bool,
    create_graph: bool = False,
    inputs: Sequence[Tensor] | None = None,
) -> None:
    """See `Tensor.backward`."""
    check(tensor, gradient)
    if tensor.trace is not None and tensor.is_result and tensor.numbers is not None:
        tensor.trace.retire(tensor)
    if not tensor.is_result or tensor.is_spent:
        _reach_leaf(tensor, gradient)
        return
    trace = tensor.trace
    assert trace is not None
    if trace is not STATE.trace:
        return_to(trace)
    if inputs is not None or create_graph or is_watched(trace):
        found = gradients_of(
            [tensor],
            [gradient],
            inputs,
            retain_graph=retain_graph or create_graph,
            create_graph=create_graph,
        )
        for holder, each in found:
            _accumulate(holder, each)
        return
    first = trace.count
    seeds = _seed_slots(trace, gradient)
    key = ("backward", tensor.slot, *_key(gradient), *seeds, *trace.retained, retain_graph)
    record = trace.record.following.get(key)
    if record is None:
        record = _record(trace, tensor.slot, seeds, first, retain_graph)
        record.place = trace.record.place.next("backward")
        tree.add(trace.record, key, record)
    leaves, retained = trace.leaves, trace.retained
    holders = [leaves[s] if s in leaves else retained[s] for s in record.targets]
    is_gone = trace.freed and record.freed & trace.freed
    if is_gone or any(map(_IS_SPENT, holders)):
        raise gone()
    check_versions(trace, record.targets)
    is_plain = gradient is None and not (retain_graph or retained or trace.freed)
    if is_plain and trace.is_replayed and all(holder.variable for holder in holders):
        again = Descent(record, tensor.slot, list(trace.passed), holders)
        remember(trace.record, BACKWARD, again)
    trace.move(record)
    if not retain_graph:
        trace.freed |= record.freed
    if all(holder.gradient is None for holder in holders):
        Gradients(trace, record, holders)
    else:
        for holder, result in zip(holders, trace.make(record.templates), strict=True):
            _accumulate(holder, result)


_sum = tensor_function(ops.add)


def check(tensor: Tensor, gradient: Tensor | None) -> None:
    """Raise GraphError or ShapeError unless ``tensor`` can be differentiated so."""
    if not tensor.requires_grad:
        raise GraphError(
            "backward() of a tensor that requires no gradient and was not computed from one "
            "that does"
        )
    if gradient is None and tensor.tensor_type.shape and tensor.tensor_type.size != 1:
        raise ShapeError(
            "backward() without a gradient takes a tensor of one element",
            got=str(tuple(tensor.tensor_type.shape)),
            mend="Pass gradient=, of the tensor's shape",
        )
    if gradient is not None and gradient.tensor_type.shape != tensor.tensor_type.shape:
        raise ShapeError(
            "the gradient has the tensor's shape",
            got=str(tuple(gradient.tensor_type.shape)),
            expected=str(tuple(tensor.tensor_type.shape)),
        )


def _reach_leaf(tensor: Tensor, gradient: Tensor | None) -> None:
    """The gradient of a leaf with respect to itself."""
    if tensor.is_spent:
        raise gone()
    if gradient is None:
        gradient = Tensor.wrap(np.ones(tensor.tensor_type.sizes, tensor.dtype.numpy))
    _accumulate(tensor, hooked(tensor, gradient))


def _accumulate(tensor: Tensor, gradient: Tensor | None) -> None:
    if gradient is None:
        return
    if tensor.grad is None:
        tensor.grad = gradient
        return
    with set_grad_enabled(gradient.requires_grad):
        tensor.grad = _sum(tensor.grad, gradient)


def _key(gradient: Tensor | None) -> tuple[object, ...]:
    return () if gradient is None else leaf_type(gradient)


def _seed_slots(trace: Trace, gradient: Tensor | None) -> tuple[int, ...]:
    """The slot of the gradient that was passed, which may be a new leaf."""
    if gradient is None:
        return ()
    slot, _ = trace.enter(gradient)
    return (slot,)


def _record(
    trace: Trace, slot: int, seeds: tuple[int, ...], first: int, retain_graph: bool
) -> Record:
    parent = trace.record
    leaves = [leaf_value(trace.leaves[each], each) for each in range(first, trace.count)]
    values = [*parent.values(), *leaves]
    loss = values[slot]
    there = reached([loss])
    wanted = {each for each, leaf in trace.leaves.items() if leaf.requires_grad}
    wanted |= trace.retained.keys()
    targets = tuple(each for each in sorted(wanted) if values[each] in there)
    gradients = differentiate(
        [loss],
        [values[each] for each in targets],
        [values[each] for each in seeds] or [ops.ones_like(loss)],
    )
    behind = {value for node in topological(gradients) for value in node.outputs}
    return Record(
        parent=parent,
        call=Call(backward, (), {}, tuple(_slots(values, behind)), False),
        first=parent.end,
        leaves=tuple(leaves),
        results=gradients,
        requires_grad=(False,) * len(gradients),
        random=parent.random,
        targets=targets,
        freed=results_among(parent, there),
    )


def _slots(values: list[Value], among: set[Value]) -> list[int]:
    return [slot for slot, value in enumerate(values) if value in among]
