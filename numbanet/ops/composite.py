"""Composite nodes: several ops as one node, for devices that do them in one launch.

``rows`` is a chain of ops on the rows of matrices, each row on its own: what follows a product
of few columns, for example activation, another product, softmax, a loss, and their gradients.
``pooled`` is pooling, or its gradient, with the elementwise ops before and after it.
``measured`` is a convolution, or its data gradient, and what is summed up of the result.
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
from numbanet.ops.fused import Access, broadcast, contiguous

T = TypeVar("T")


@dataclass(frozen=True)
class Member:
    """One op applied to slots: first the node's inputs, then the outputs of each step."""

    op: Op
    attrs: Attrs
    args: tuple[int, ...]


@dataclass(frozen=True)
class CompositeAttrs(Attrs):
    """
    Attributes
    ----------
    steps : tuple of Member
        In an order in which they can run.
    outputs : tuple of int
        The slots that are outputs of the node.
    has_head : bool
        Of rows: whether the first step is a product with a large matrix, which is better
        computed in tiles, before the rest.
    """

    steps: tuple[Member, ...]
    outputs: tuple[int, ...]
    has_head: bool = False

    def __str__(self) -> str:
        return " -> ".join(step.op.name for step in self.steps)

    def replay(
        self, inputs: Sequence[T], apply: Callable[[Member, tuple[T, ...]], Sequence[T]]
    ) -> list[T]:
        """All slots, if ``apply`` does a step."""
        slots = list(inputs)
        for step in self.steps:
            slots += apply(step, tuple(slots[slot] for slot in step.args))
        return slots


def members(node: Node) -> list[Node]:
    """The steps of a composite node as nodes of their own, from the node's inputs on."""
    attrs = attrs_of(node, CompositeAttrs)
    nodes: list[Node] = []

    def apply(step: Member, inputs: tuple[Value, ...]) -> Sequence[Value]:
        nodes.append(step.op.node(*inputs, attrs=step.attrs, path=node.path))
        return nodes[-1].outputs

    attrs.replay(node.inputs, apply)
    return nodes


def row_shape(value: Value) -> tuple[int, int]:
    """A value as a matrix: how many rows it has, and their length."""
    sizes = value.type.sizes
    return (math.prod(sizes[:-1]), sizes[-1]) if sizes else (1, 1)


def reading(access: Access, shape: tuple[int, ...]) -> str | None:
    """How an iteration over ``shape`` reads: ``"whole"``, in order; a ``"vector"`` along the
    last axis; a ``"number"``; None if in another way."""
    if access == contiguous(shape):
        return "whole"
    if access == broadcast((), shape):
        return "number"
    return "vector" if access == broadcast(shape[-1:], shape) else None


def _several(results: Any) -> Sequence[Any]:
    return results if isinstance(results, tuple) else (results,)


def _infer(attrs: CompositeAttrs, *inputs: TensorType) -> tuple[TensorType, ...]:
    slots = attrs.replay(inputs, lambda step, args: _several(step.op.infer(step.attrs, *args)))
    return tuple(slots[slot] for slot in attrs.outputs)


def _reference(attrs: CompositeAttrs, *arrays: np.ndarray) -> Any:
    slots = attrs.replay(
        arrays, lambda step, args: _several(step.op.reference(step.attrs, *args))
    )
    results = tuple(slots[slot] for slot in attrs.outputs)
    return results[0] if len(results) == 1 else results


def _composite(name: str) -> Op:
    return Op(
        name,
        infer=_infer,
        reference=_reference,
        flops=lambda node: sum(member.op.flops(member) for member in members(node)),
    )


ROWS = _composite("rows")
POOLED = _composite("pooled")
MEASURED = _composite("measured")
"""Not in the registry: only passes make them, where a device has kernels for them."""
