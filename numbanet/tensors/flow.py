"""Gradients where Python has a say in how they flow.

They are asked for one by one, gradients of gradients among them, or pass hooks and functions
with a backward of their own. Each stretch from one such place to the next is a recorded call,
`differentiate` of what is above it; and what Python does there is recorded between those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import ArgumentError, GraphError
from numbanet.ir import Value
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.modes import set_grad_enabled
from numbanet.tensors.program import check_versions
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import STATE, Record, Trace
from numbanet.tensors.traces import return_to

Gradient = Tensor | None
"""None where nothing flows."""


@dataclass(frozen=True, eq=False)
class Edge:
    """Results of one call whose gradients are not passed on as they are.

    Attributes
    ----------
    slots : tuple of int
    backward : callable
        From the gradients of the results to those of ``inputs``, or, if there are none, to what
        flows on in their place.
    inputs : sequence of Tensor, optional
        What the results were computed from, in a way that is not recorded.
    """

    slots: tuple[int, ...]
    backward: Callable[[list[Gradient]], Sequence[Gradient]]
    inputs: Sequence[Tensor] | None = None


class _Leaves:
    are_hooked = False


def hook_leaf(leaf: Tensor, hooks: dict[int, Callable[[Tensor], Any]]) -> None:
    """Let ``hooks`` change the gradients that come to a leaf."""
    _Leaves.are_hooked = True
    leaf.hooks = hooks


def is_watched(trace: Trace) -> bool:
    """Whether somebody has a say in gradients of ``trace``."""
    return bool(trace.edges) or (
        _Leaves.are_hooked and any(leaf.hooks for leaf in trace.leaves.values())
    )


def gradients_of(
    outputs: Sequence[Tensor],
    seeds: Sequence[Gradient],
    inputs: Sequence[Tensor] | None,
    *,
    retain_graph: bool,
    create_graph: bool,
) -> list[tuple[Tensor, Gradient]]:
    """Each of ``inputs``, by default all leaves behind ``outputs``, with its gradient."""
    flow = _Flow(list(outputs), list(seeds))
    with set_grad_enabled(create_graph):
        flow.pass_edges()
        wanted = flow.leaves() if inputs is None else list(inputs)
        if any(tensor.is_spent for tensor in wanted):
            raise gone()
        flow.free(retain_graph)
        found = flow.to(wanted)
        return [
            (tensor, hooked(tensor, gradient))
            for tensor, gradient in zip(wanted, found, strict=True)
        ]


def hooked(tensor: Tensor, gradient: Gradient) -> Gradient:
    """What the hooks of a leaf make of its gradient."""
    if gradient is None or not tensor.hooks:
        return gradient
    return passed(tensor.hooks.values(), gradient)


def passed(hooks: Iterable[Callable[[Tensor], Any]], gradient: Tensor) -> Tensor:
    """What ``hooks`` make of a gradient, one after the other."""
    for hook in list(hooks):
        new = hook(gradient)
        if new is None:
            continue
        if new.tensor_type != gradient.tensor_type:
            raise ArgumentError(
                "a hook returns a gradient of the same type, or None",
                got=str(new.tensor_type),
                expected=str(gradient.tensor_type),
            )
        gradient = new
    return gradient


def gone() -> GraphError:
    """The error of a tensor whose operations cannot be differentiated any more."""
    return GraphError(
        "this tensor's graph was differentiated before, and is gone",
        mend="Call backward(retain_graph=True) the first time",
    )


def reached(outputs: Iterable[Value]) -> set[Value]:
    """What gradients of ``outputs`` flow to, or through."""
    found = set(outputs)
    stack = [value.node for value in found]
    while stack:
        node = stack.pop()
        if node.op.name == "stop_gradient":
            continue
        for value in node.inputs:
            if value.dtype.is_floating and value not in found:
                found.add(value)
                stack.append(value.node)
    return found


def results_among(record: Record, values: set[Value]) -> frozenset[int]:
    """Slots of the results with a gradient, up to ``record``, that are among ``values``."""
    return frozenset(
        slot
        for each in record.path()
        for slot, value, needs in zip(
            each.result_slots, each.results, each.requires_grad, strict=True
        )
        if needs and value in values
    )


@tensor_function
def _differentiate(
    sources: Sequence[Value],
    seeds: Sequence[Value | None],
    passed: Sequence[Value],
    given: Sequence[Value],
    inputs: Sequence[Value],
) -> tuple[Value | None, ...]:
    """Gradients of ``inputs``; None for what no gradient reaches.

    ``given`` are those of ``passed``, whatever flows there.
    """
    filled = [
        ops.ones_like(source) if seed is None else seed
        for source, seed in zip(sources, seeds, strict=True)
    ]
    replaced = dict(zip(passed, given, strict=True))
    found = differentiate(sources, inputs, filled, replaced)
    there = reached(sources)
    return tuple(
        gradient if value in there else None
        for value, gradient in zip(inputs, found, strict=True)
    )


class _Flow:
    """Gradients on their way from ``sources`` down the present trace."""

    def __init__(self, sources: list[Tensor], seeds: list[Gradient]) -> None:
        self.sources, self.seeds = sources, seeds
        self.passed: list[Tensor] = []
        self.given: list[Tensor] = []
        trace = sources[0].trace or STATE.trace
        self.trace = Trace() if trace is None else trace
        self._come_back()
        self.record = self.trace.record
        self.values = self.record.values()
        self.reached = reached(self._values_of(sources))

    def _come_back(self) -> None:
        """Go on in the trace that gradients flow in, wherever Python has been."""
        if STATE.trace is not self.trace:
            return_to(self.trace)
        for slot, leaf in self.trace.leaves.items():
            if leaf.variable is None and leaf.trace is not self.trace:
                leaf.trace, leaf.slot = self.trace, slot

    def _values_of(self, tensors: Sequence[Tensor]) -> list[Value]:
        slots = [self.trace.slot_of(tensor) for tensor in tensors]
        return [self.values[slot] for slot in slots if slot is not None]

    def to(self, inputs: Sequence[Tensor]) -> list[Gradient]:
        """The gradients of ``inputs``."""
        if not inputs:
            return []
        given = self.sources, self.seeds, self.passed, self.given
        return list(_differentiate(*map(list, given), list(inputs)))

    def pass_edges(self) -> None:
        """Let everybody have a say who has one, those nearest to the sources first."""
        for edge in sorted(self.trace.edges, key=lambda edge: edge.slots[0], reverse=True):
            if not any(self.values[slot] in self.reached for slot in edge.slots):
                continue
            tensors = [self._at(slot) for slot in edge.slots]
            new = edge.backward(self.to(tensors))
            self._come_back()
            into = tensors if edge.inputs is None else edge.inputs
            flowing = [
                (tensor, gradient)
                for tensor, gradient in zip(into, new, strict=True)
                if gradient is not None
            ]
            if edge.inputs is None:
                self.passed += [tensor for tensor, _ in flowing]
                self.given += [gradient for _, gradient in flowing]
            else:
                self.sources += [tensor for tensor, _ in flowing]
                self.seeds += [gradient for _, gradient in flowing]
                self.reached |= reached(self._values_of([tensor for tensor, _ in flowing]))

    def _at(self, slot: int) -> Tensor:
        """A tensor that is the result with this number."""
        tensor = Tensor.__new__(Tensor)
        tensor.trace, tensor.slot = self.trace, slot
        tensor.tensor_type = self.values[slot].type
        tensor.is_result = tensor.needs_grad = True
        return tensor

    def leaves(self) -> list[Tensor]:
        """The leaves that gradients come to, and results that keep theirs."""
        leaves = {slot: leaf for slot, leaf in self.trace.leaves.items() if leaf.needs_grad}
        wanted = {**leaves, **self.trace.retained}
        slots = [slot for slot in sorted(wanted) if slot < len(self.values)]
        slots = [slot for slot in slots if self.values[slot] in self.reached]
        check_versions(self.trace, slots)
        return [wanted[slot] for slot in slots]

    def free(self, retain_graph: bool) -> None:
        """Note that gradients came this way.

        Raises
        ------
        GraphError
            If they did before, and the graph was not retained.
        """
        freed = results_among(self.record, self.reached)
        if freed & self.trace.freed:
            raise gone()
        if not retain_graph:
            self.trace.freed |= freed
