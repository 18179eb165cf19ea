"""Gradients that nobody has looked at: most are, for an optimizer takes them as they are."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from numbanet.ir import Variable
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import STATE, Record, Trace, Way

if TYPE_CHECKING:
    from numbanet.tensors.optimize import Taken


class Gradients:
    """What one ``backward()`` brought to several leaves; no tensors until one is looked at.

    Each of ``holders`` has it in the place of its gradient.

    Parameters
    ----------
    trace : Trace
    record : Record
        Of the backward call: its results are the gradients, in the order of ``holders``.
    holders : list of Tensor
    """

    __slots__ = ("__weakref__", "holders", "record", "taken", "trace")

    def __init__(self, trace: Trace, record: Record, holders: list[Tensor]) -> None:
        self.trace: Trace | None = trace
        self.record = record
        self.holders = holders
        self.taken: Taken | None = None
        """Where the numbers are, once a step has computed them."""
        trace.gradients.append(weakref.ref(self))
        for holder in holders:
            holder.gradient = self

    def show(self) -> None:
        """Make tensors of them."""
        if self.taken is not None:
            arrays = self.taken.arrays()
            tensors = [Tensor.wrap(arrays[holder]) for holder in self.holders]
        else:
            assert self.trace is not None
            tensors = self.trace.make(self.record.templates)
        for holder, tensor in zip(self.holders, tensors, strict=True):
            if holder.gradient is self:
                holder.gradient = tensor

    settle = show


@dataclass(frozen=True, eq=False)
class Descent:
    """A ``backward()`` of a scalar that brought gradients to variables only, and what has to
    be as it was for it to bring such again.

    Attributes
    ----------
    slot : int
        Of the scalar.
    passed : list of Way
        The way of the trace: it says which leaves there are.
    """

    record: Record
    slot: int
    passed: list[Way]
    holders: list[Tensor]
    leaves: Mapping[int, Tensor] = field(default_factory=dict)
    variables: Mapping[tuple[Variable, bool], int] = field(default_factory=dict)
    seed: int = -1

    def take(self, trace: Trace, tensor: Tensor) -> bool:
        """Bring gradients, if it is this call."""
        if (
            tensor.slot != self.slot
            or trace is not STATE.trace
            or not trace.is_replayed
            or trace.passed != self.passed
            or trace.clock != Variable.changes
            or trace.retained
            or trace.edges
            or trace.freed
        ):
            return False
        for holder in self.holders:
            if holder.gradient is not None or holder.hooks:
                return False
        trace.replay(self)
        trace.freed = self.record.freed
        Gradients(trace, self.record, self.holders)
        return True
