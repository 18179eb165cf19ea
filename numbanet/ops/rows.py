"""The row node: a chain of ops on the rows of matrices, each row on its own, as one node.

A pass makes it of what follows a product of few columns: activation, another product, softmax,
a loss, their gradients. A device that has a kernel for it does all of that in one launch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from numbanet.ir.op import Attrs, Op, attrs_of
from numbanet.ir.types import TensorType
from numbanet.ir.value import Node, Value

T = TypeVar("T")


@dataclass(frozen=True)
class RowStep:
    """One op applied to slots: first the node's inputs, then the outputs of each step."""

    op: Op
    attrs: Attrs
    args: tuple[int, ...]


@dataclass(frozen=True)
class RowsAttrs(Attrs):
    """
    Attributes
    ----------
    steps : tuple of RowStep
    outputs : tuple of int
        The slots that are outputs of the node.
    has_head : bool
        Whether the first step is a product with a large matrix, which is better computed in
        tiles, before the rest.
    """

    steps: tuple[RowStep, ...]
    outputs: tuple[int, ...]
    has_head: bool = False

    def __str__(self) -> str:
        return " -> ".join(step.op.name for step in self.steps)

    def replay(
        self, inputs: Sequence[T], apply: Callable[[RowStep, tuple[T, ...]], Sequence[T]]
    ) -> list[T]:
        """All slots, if ``apply`` does a step."""
        slots = list(inputs)
        for step in self.steps:
            slots += apply(step, tuple(slots[slot] for slot in step.args))
        return slots


def members(node: Node) -> list[Node]:
    """The steps of a row node as nodes of their own, from the node's inputs on."""
    attrs = attrs_of(node, RowsAttrs)
    nodes: list[Node] = []

    def apply(step: RowStep, inputs: tuple[Value, ...]) -> Sequence[Value]:
        nodes.append(step.op.node(*inputs, attrs=step.attrs, path=node.path))
        return nodes[-1].outputs

    attrs.replay(node.inputs, apply)
    return nodes


def row_shape(value: Value) -> tuple[int, int]:
    """A value as a matrix: how many rows it has, and their length."""
    sizes = value.type.sizes
    return (math.prod(sizes[:-1]), sizes[-1]) if sizes else (1, 1)


def _several(results: Any) -> Sequence[Any]:
    return results if isinstance(results, tuple) else (results,)


def _infer(attrs: RowsAttrs, *inputs: TensorType) -> tuple[TensorType, ...]:
    slots = attrs.replay(inputs, lambda step, args: _several(step.op.infer(step.attrs, *args)))
    return tuple(slots[slot] for slot in attrs.outputs)


def _reference(attrs: RowsAttrs, *arrays: np.ndarray) -> Any:
    slots = attrs.replay(
        arrays, lambda step, args: _several(step.op.reference(step.attrs, *args))
    )
    results = tuple(slots[slot] for slot in attrs.outputs)
    return results[0] if len(results) == 1 else results


ROWS = Op(
    "rows",
    infer=_infer,
    reference=_reference,
    flops=lambda node: sum(member.op.flops(member) for member in members(node)),
)
"""Not in the registry: only a pass makes it, where a device has a kernel for it."""
