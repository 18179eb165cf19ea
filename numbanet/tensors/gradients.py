"""Gradients that nobody has looked at: most are, for an optimizer takes them as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import Record, Trace

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

    def show(self) -> None:
        """Make tensors of them."""
        if self.taken is not None:
            arrays = self.taken.arrays
            tensors = [Tensor.wrap(arrays[holder]) for holder in self.holders]
        else:
            assert self.trace is not None
            tensors = self.trace.make(self.record)
        for holder, tensor in zip(self.holders, tensors, strict=True):
            if holder.gradient is self:
                holder.gradient = tensor

    settle = show
