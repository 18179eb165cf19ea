"""Regularizers with Keras's names: what is added to the loss for a parameter's numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet import ops
from numbanet.arrays.naming import find
from numbanet.configuration import Configured
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value


class Regularizer(Configured):
    """Base of regularizers: ``regularizer(value)`` gives a scalar value."""

    def __call__(self, x: Value) -> Value:
        raise NotImplementedError(f"{type(self).__name__} does not implement __call__()")


@dataclass(frozen=True)
class L1L2(Regularizer):
    """``l1 * sum(|x|) + l2 * sum(x ** 2)``.

    Parameters
    ----------
    l1, l2 : float
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        _check_factors(l1=self.l1, l2=self.l2)

    def __call__(self, x: Value) -> Value:
        terms = []
        if self.l1:
            terms.append(ops.sum(abs(x)) * self.l1)
        if self.l2:
            terms.append(ops.sum(x * x) * self.l2)
        if not terms:
            return ops.constant(0.0, x.dtype)
        return terms[0] if len(terms) == 1 else terms[0] + terms[1]


class L1(L1L2):
    """``l1 * sum(|x|)``.

    Parameters
    ----------
    l1 : float
    """

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)


class L2(L1L2):
    """``l2 * sum(x ** 2)``.

    Parameters
    ----------
    l2 : float
    """

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)


@dataclass(frozen=True)
class OrthogonalRegularizer(Regularizer):
    """Pulls the rows or the columns of a matrix towards being orthogonal to each other: the
    mean absolute cosine of all pairs, times ``factor``.

    Parameters
    ----------
    factor : float
    mode : {"rows", "columns"}
    """

    factor: float = 0.01
    mode: str = "rows"

    def __post_init__(self) -> None:
        _check_factors(factor=self.factor)
        if self.mode not in ("rows", "columns"):
            raise ArgumentError(
                "unknown mode", got=repr(self.mode), expected="'rows', 'columns'"
            )

    def __call__(self, x: Value) -> Value:
        if x.rank != 2:
            raise ShapeError("OrthogonalRegularizer takes a matrix", got=str(x.shape))
        axis = 1 if self.mode == "rows" else 0
        squares = ops.sum(x * x, axes=axis, keepdims=True)
        unit = x * ops.rsqrt(ops.maximum(squares, 1e-14))
        is_rows = self.mode == "rows"
        cosines = ops.matmul(unit, unit, transpose_a=not is_rows, transpose_b=is_rows)
        size = x.type.sizes[1 - axis]
        others = ops.constant(1.0 - np.eye(size), x.dtype)
        pairs = max(size * (size - 1) / 2, 1)
        return ops.sum(abs(cosines) * others) * (0.5 * self.factor / pairs)


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """`L1L2`, with the factors that Keras gives it by this name."""
    return L1L2(l1, l2)


# Keras's short names.
l1, l2 = L1, L2
orthogonal_regularizer = OrthogonalRegularizer


def _check_factors(**factors: Any) -> None:
    for name, factor in factors.items():
        if not isinstance(factor, int | float) or not 0 <= factor < math.inf:
            raise ArgumentError(f"{name} is a number that is not negative", got=repr(factor))


RegularizerLike = str | Regularizer | Callable[[Value], Value] | None

_CLASSES: dict[str, Callable[[], Regularizer]] = {
    "l1": L1,
    "l2": L2,
    "l1_l2": l1_l2,
    "orthogonal_regularizer": OrthogonalRegularizer,
}
_NAMES = _CLASSES | {
    "L1": L1,
    "L2": L2,
    "l1l2": l1_l2,
    "L1L2": l1_l2,
    "OrthogonalRegularizer": OrthogonalRegularizer,
}


def get(identifier: RegularizerLike) -> Callable[[Value], Value] | None:
    """The regularizer of a name such as ``"l2"``; None and callables as they are."""
    if identifier is None or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    return find("regularizer", identifier, _NAMES, "a function of a value")()
