"""Leaves: inputs that a caller feeds, variables that keep state, and constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet.ir.op import Attrs, Op
from numbanet.ir.types import DType, Shape, TensorType
from numbanet.ir.value import Value
from numbanet.ir.variable import Variable


@dataclass(frozen=True)
class InputAttrs(Attrs):
    name: str
    type: TensorType

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class VariableAttrs(Attrs):
    variable: Variable

    def __str__(self) -> str:
        return self.variable.name


class Numbers:
    """A read-only array that hashes and compares by its bits, for constants' attributes."""

    __slots__ = ("_key", "array")

    def __init__(self, array: np.ndarray) -> None:
        self.array = np.array(array, order="C")
        self.array.flags.writeable = False
        self._key = (self.array.shape, self.array.dtype.str, self.array.tobytes())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Numbers) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __str__(self) -> str:
        if self.array.ndim == 0:
            return f"{self.array.item():g}"
        return f"<{self.array.size} numbers>"


@dataclass(frozen=True)
class ConstantAttrs(Attrs):
    numbers: Numbers

    def __str__(self) -> str:
        return str(self.numbers)


def _no_reference(attrs: Attrs) -> Any:
    raise TypeError("a leaf has no rule to compute it: feed it")


INPUT = Op("input", infer=lambda attrs: attrs.type, reference=_no_reference, is_leaf=True)
VARIABLE = Op(
    "variable", infer=lambda attrs: attrs.variable.type, reference=_no_reference, is_leaf=True
)
CONSTANT = Op(
    "constant",
    infer=lambda attrs: TensorType(
        attrs.numbers.array.shape, DType.of(attrs.numbers.array.dtype)
    ),
    reference=lambda attrs: attrs.numbers.array,
    is_leaf=True,
)


def input_value(name: str, shape: Shape, dtype: DType = DType.FLOAT32) -> Value:
    """A value that the caller of a step feeds under ``name``."""
    return INPUT(attrs=InputAttrs(name, TensorType(tuple(shape), dtype)))


def variable_value(variable: Variable) -> Value:
    """The numbers of ``variable`` at the start of the step."""
    return VARIABLE(attrs=VariableAttrs(variable))


def constant(array: object, dtype: DType | None = None) -> Value:
    """A constant array; ``dtype`` converts it."""
    numbers = np.asarray(array, dtype=None if dtype is None else dtype.numpy)
    return CONSTANT(attrs=ConstantAttrs(Numbers(numbers)))


def constant_number(value: Value) -> float | None:
    """The Python number of a constant with one element, else None."""
    attrs = value.node.attrs
    if isinstance(attrs, ConstantAttrs) and attrs.numbers.array.size == 1:
        return attrs.numbers.array.item()
    return None


def variable_of(value: Value) -> Variable | None:
    """The variable behind a leaf, else None."""
    attrs = value.node.attrs
    return attrs.variable if isinstance(attrs, VariableAttrs) else None
