"""Constraints with Keras's names: what a parameter is brought back to after each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from numbanet import ops
from numbanet.arrays.naming import find
from numbanet.configuration import Configured
from numbanet.errors import ArgumentError
from numbanet.ir import Value

_EPSILON = 1e-7

Axes = int | Sequence[int]


class Constraint(Configured):
    """Base of constraints: ``constraint(value)`` gives the value to take instead."""

    def __call__(self, x: Value) -> Value:
        raise NotImplementedError(f"{type(self).__name__} does not implement __call__()")


@dataclass(frozen=True)
class MaxNorm(Constraint):
    """Vectors longer than ``max_value`` are shortened to it.

    Parameters
    ----------
    max_value : float
    axis : int or sequence of int
        Along which vectors lie: 0 for the incoming weights of each unit of a `Dense`.
    """

    max_value: float = 2
    axis: Axes = 0

    def __call__(self, x: Value) -> Value:
        norms = _norms(x, self.axis)
        return x * (ops.clip(norms, 0.0, self.max_value) / (norms + _EPSILON))


class NonNeg(Constraint):
    """Negative numbers become 0."""

    def __call__(self, x: Value) -> Value:
        return ops.maximum(x, 0.0)


@dataclass(frozen=True)
class UnitNorm(Constraint):
    """Vectors get length 1.

    Parameters
    ----------
    axis : int or sequence of int
        Along which vectors lie.
    """

    axis: Axes = 0

    def __call__(self, x: Value) -> Value:
        return x / (_norms(x, self.axis) + _EPSILON)


@dataclass(frozen=True)
class MinMaxNorm(Constraint):
    """Vectors' lengths are brought between two numbers.

    Parameters
    ----------
    min_value, max_value : float
    rate : float
        How far a step goes: 1 is all the way.
    axis : int or sequence of int
        Along which vectors lie.
    """

    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: Axes = 0

    def __post_init__(self) -> None:
        if not 0 <= self.min_value <= self.max_value:
            raise ArgumentError(
                "min_value and max_value are in order, and not negative",
                got=f"{self.min_value}, {self.max_value}",
            )

    def __call__(self, x: Value) -> Value:
        norms = _norms(x, self.axis)
        wanted = ops.clip(norms, self.min_value, self.max_value)
        wanted = wanted * self.rate + norms * (1.0 - self.rate)
        return x * (wanted / (norms + _EPSILON))


def _norms(x: Value, axis: Axes) -> Value:
    return ops.sqrt(ops.sum(x * x, axes=axis, keepdims=True))


# Keras's short names.
max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

ConstraintLike = str | Constraint | Callable[[Value], Value] | None

_CLASSES: dict[str, type[Constraint]] = {
    "max_norm": MaxNorm,
    "non_neg": NonNeg,
    "unit_norm": UnitNorm,
    "min_max_norm": MinMaxNorm,
}
_NAMES = _CLASSES | {each.__name__: each for each in _CLASSES.values()}


def get(identifier: ConstraintLike) -> Callable[[Value], Value] | None:
    """The constraint of a name such as ``"non_neg"``; None and callables as they are."""
    if identifier is None or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    return find("constraint", identifier, _NAMES, "a function of a value")()
