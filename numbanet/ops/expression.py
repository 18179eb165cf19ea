"""Elementwise programs: what fusion makes out of a group of elementwise nodes.

An expression is a list of steps in static single assignment. Slots are numbered through:
first the inputs, then one for each step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet.ir.op import Attrs, Op
from numbanet.ir.types import DType, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops import scalar
from numbanet.ops.leaf import constant_number
from numbanet.ops.scalar import Scalar


@dataclass(frozen=True)
class Step:
    """One op applied to slots."""

    op: Op
    attrs: Attrs
    args: tuple[int, ...]
    dtype: DType

    def __str__(self) -> str:
        arguments = [f"%{slot}" for slot in self.args]
        attributes = str(self.attrs)
        if attributes:
            arguments.append(attributes)
        return f"{self.op.name}({', '.join(arguments)})"


@dataclass(frozen=True)
class Expression:
    """An elementwise program.

    Attributes
    ----------
    inputs : tuple of DType
        Element types of slots ``0 .. len(inputs) - 1``.
    steps : tuple of Step
        Step ``i`` defines slot ``len(inputs) + i``.
    outputs : tuple of int
        The slots that are results.
    """

    inputs: tuple[DType, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    @property
    def output_dtypes(self) -> tuple[DType, ...]:
        dtypes = (*self.inputs, *(step.dtype for step in self.steps))
        return tuple(dtypes[slot] for slot in self.outputs)

    def __str__(self) -> str:
        first = len(self.inputs)
        steps = [f"%{first + i}={step}" for i, step in enumerate(self.steps)]
        returned = ", ".join(f"%{slot}" for slot in self.outputs)
        return "{" + "; ".join([*steps, returned]) + "}"

    def scalars(self) -> tuple[Scalar, ...]:
        """The results as trees over inputs ``0 ..``: what kernel writers render."""
        slots = [scalar.input_(i, dtype) for i, dtype in enumerate(self.inputs)]
        for step in self.steps:
            rule = step.op.scalar
            if rule is None:
                raise TypeError(f"{step.op.name} is not elementwise")
            slots.append(rule(step.attrs, *(slots[i] for i in step.args)))
        return tuple(slots[i] for i in self.outputs)

    @property
    def uses_index(self) -> bool:
        """Whether an element's result depends on its position (random numbers, iota)."""
        stack = list(self.scalars())
        seen: set[Scalar] = set()  # shared nodes make walks without it exponential
        while stack:
            node = stack.pop()
            if node.kind == "index":
                return True
            if node not in seen:
                seen.add(node)
                stack.extend(node.args)
        return False

    def dependences(self) -> tuple[frozenset[int], ...]:
        """The inputs that each output depends on."""
        slots = [frozenset({i}) for i in range(len(self.inputs))]
        for step in self.steps:
            slots.append(frozenset().union(*(slots[i] for i in step.args)))
        return tuple(slots[i] for i in self.outputs)

    def reference(self, arrays: tuple[np.ndarray, ...]) -> tuple[Any, ...]:
        """The results for NumPy arrays that broadcast, by the ops' own references."""
        slots: list[Any] = list(arrays)
        for step in self.steps:
            slots.append(step.op.reference(step.attrs, *(slots[i] for i in step.args)))
        return tuple(slots[i] for i in self.outputs)


def is_positional(node: Node) -> bool:
    """Whether an elementwise node's result depends on where its elements stand."""
    dtypes = tuple(value.dtype for value in node.inputs)
    slots = tuple(range(len(dtypes)))
    step = Step(node.op, node.attrs, slots, node.outputs[0].dtype)
    return Expression(dtypes, (step,), (len(dtypes),)).uses_index


def identity(dtype: DType) -> Expression:
    """The program that returns its only input: with accesses, a strided copy."""
    return Expression((dtype,), (), (0,))


@dataclass(frozen=True)
class NumberAttrs(Attrs):
    number: float
    dtype: DType

    def __str__(self) -> str:
        return f"{self.number:g}"


NUMBER = Op(
    "number",
    infer=lambda attrs: TensorType((), attrs.dtype),
    reference=lambda attrs: np.asarray(attrs.number, dtype=attrs.dtype.numpy),
    scalar=lambda attrs: scalar.constant(attrs.number, attrs.dtype),
)
"""A constant inside of an expression. Not in the registry: in graphs it is a ``constant``."""


STRUCTURAL = frozenset((-2, -1, -0.5, 0, 0.5, 1, 2, 3, 4))
"""Numbers that say what is computed rather than on how much: they are written into kernels.

Others (one over the batch size, a decay) are read from memory, so that programs which differ in
them alone share their kernels.
"""


def number_step(value: Value) -> Step | None:
    """The step that makes the constant ``value`` if it is one structural number, else None."""
    number = constant_number(value)
    if number is None or number not in STRUCTURAL:
        return None
    return Step(NUMBER, NumberAttrs(number, value.dtype), (), value.dtype)
