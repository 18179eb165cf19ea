"""What is kept of each parameter, between the partitions that step and state dicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError
from numbanet.ir import Variable
from numbanet.optimizers.rules import Rule, Slot
from numbanet.tensors.partition import Partition, filled
from numbanet.tensors.tensor import Tensor


@dataclass
class History:
    """Steps and slots of one parameter.

    Attributes
    ----------
    steps : int
    slots : dict of str to ndarray
        By the rule's names, of the parameter's shape.
    scalars : dict of str to float
        Slots of one number.
    """

    steps: int = 0
    slots: dict[str, np.ndarray] = field(default_factory=dict)
    scalars: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls, parameter: Tensor, kept: Mapping[str, Any], names: Mapping[str, str]
    ) -> History:
        """What an entry of a state dict says; ``names`` are the rule's for the entry's."""
        history = cls()
        for shown, numbers in kept.items():
            if shown == "step" or numbers is None:
                continue
            name, array = names.get(shown, shown), np.asarray(numbers)
            if array.shape == parameter.tensor_type.shape:
                history.slots[name] = array
            if array.size == 1:
                history.scalars[name] = array.item()
            elif name not in history.slots:
                raise ArgumentError(
                    f"the state {shown!r} is of another parameter",
                    got=str(array.shape),
                    expected=str(parameter.tensor_type.shape),
                )
        # Where steps are not counted, what matters is whether there was one.
        history.steps = int(np.asarray(kept.get("step", bool(history.slots))))
        return history

    def arrays(self) -> dict[str, np.ndarray]:
        """The slots, and the scalars in float32."""
        scalars = {name: np.array(each, np.float32) for name, each in self.scalars.items()}
        return {**scalars, **self.slots}


def histories(parts: Sequence[Partition]) -> Iterator[tuple[Tensor, History]]:
    """What is kept of each parameter of ``parts``: copies."""
    for part in parts:
        steps = int(part.step.numpy())
        scalars = {name: float(each.numpy()) for name, each in part.scalars.items()}
        for parameter in part.params:
            slots = {
                name: each[_variable(parameter)].numpy() for name, each in part.slots.items()
            }
            yield parameter, History(steps, slots, scalars)


def partitions(
    kept: Mapping[Tensor, History], rule: Rule, numbers: Mapping[str, float]
) -> list[Partition]:
    """Partitions of parameters with equal histories; missing slots are as at first."""
    scalar_names = [slot.name for slot in rule.slots if slot.is_scalar]
    alike: dict[object, list[Tensor]] = {}
    for parameter, history in kept.items():
        scalars = tuple(history.scalars.get(name) for name in scalar_names)
        alike.setdefault((parameter.dtype, history.steps, scalars), []).append(parameter)
    return [_partition(members, kept, rule, numbers) for members in alike.values()]


def follow(
    parts: Sequence[Partition], rule: Rule, numbers: Mapping[str, float]
) -> list[Partition]:
    """``parts`` with the slots of another rule; those that it does not have are forgotten."""
    return partitions(dict(histories(parts)), rule, numbers)


def _partition(
    members: Sequence[Tensor],
    kept: Mapping[Tensor, History],
    rule: Rule,
    numbers: Mapping[str, float],
) -> Partition:
    def variable(slot: Slot, parameter: Tensor) -> Variable:
        made = filled(_variable(parameter), slot.first(numbers), f"optimizer/{slot.name}")
        array = kept[parameter].slots.get(slot.name)
        if array is not None:
            made.assign(array)
        return made

    first = kept[members[0]]
    slots = {
        slot.name: {_variable(each): variable(slot, each) for each in members}
        for slot in rule.slots
        if not slot.is_scalar
    }
    scalars = {
        slot.name: first.scalars.get(slot.name, slot.first(numbers))
        for slot in rule.slots
        if slot.is_scalar
    }
    return Partition(members, slots, scalars, first.steps)


def _variable(parameter: Tensor) -> Variable:
    assert parameter.variable is not None
    return parameter.variable
