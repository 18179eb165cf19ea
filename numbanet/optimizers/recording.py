"""A rule's slots on a flat state, and one step of it recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from numbanet import ops
from numbanet.ir import DType, Update, Value, Variable
from numbanet.optimizers.rules.rule import Slot
from numbanet.state.flat import FlatState
from numbanet.state.linking import Leaves


def create_slots(
    slots: Iterable[Slot], state: FlatState, numbers: Mapping[str, float]
) -> dict[str, Variable]:
    """A variable for each slot with its initial numbers: flat like ``state``, or a scalar."""

    def create(slot: Slot) -> Variable:
        first = slot.first(numbers)
        if slot.is_scalar:
            array = np.float64(first)
        else:
            array = np.full(state.size, first, state.dtype.numpy)
        return Variable(array, f"optimizer/{slot.name}")

    return {slot.name: create(slot) for slot in slots}


def number_value(variable: Variable, leaves: Leaves) -> Value:
    """A scalar variable as rules take it: in float64."""
    return ops.cast(leaves.of(variable), DType.FLOAT64)


def slot_updates(
    slots: Mapping[str, Variable], new: Mapping[str, Value], leaves: Leaves
) -> list[Update]:
    """The updates that give each slot its new value."""
    return [Update(leaves.of(variable), new[name]) for name, variable in slots.items()]
