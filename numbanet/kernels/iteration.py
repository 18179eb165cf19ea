"""Iteration spaces in as few dimensions as possible, for the kernel writers of all devices."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from numbanet.ops.fused import Access, FusedAttrs, contiguous


class Step(enum.Enum):
    """How far apart in memory neighbours along a dimension are."""

    NONE = "none"
    """Zero: one number for all."""
    ONE = "one"
    ANY = "any"

    @classmethod
    def of(cls, stride: int) -> Step:
        return {0: cls.NONE, 1: cls.ONE}.get(stride, cls.ANY)

    @property
    def is_one(self) -> bool:
        return self is Step.ONE

    @property
    def is_any(self) -> bool:
        """Whether it is known only when a kernel runs."""
        return self is Step.ANY


@dataclass(frozen=True)
class Dims:
    """Some dimensions of an iteration space, outermost first.

    Attributes
    ----------
    sizes : tuple of int
        Never empty: the dimensions of a single element are one of size one.
    strides : tuple of tuple of int
        ``strides[operand][dimension]``, in elements.
    """

    sizes: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]

    @property
    def rank(self) -> int:
        return len(self.sizes)

    @property
    def size(self) -> int:
        return math.prod(self.sizes)

    def steps(self, axis: int) -> tuple[Step, ...]:
        """The kind of each operand's stride along ``axis``."""
        return tuple(Step.of(strides[axis]) for strides in self.strides)

    @property
    def inner(self) -> tuple[Step, ...]:
        """The kind of each operand's stride along the last dimension."""
        return self.steps(-1)


def collapse(shape: Sequence[int], accesses: Sequence[Access]) -> Dims:
    """The space ``shape`` in as few dimensions as walk all operands in the same order.

    Dimensions of size one are dropped, and neighbours merge where every operand steps from
    one row's end to the next row's start. Elements keep their order, so row-major outputs stay
    row-major.
    """
    return _collapse(range(len(shape)), shape, accesses)


def split(
    shape: Sequence[int], accesses: Sequence[Access], axes: Sequence[int]
) -> tuple[Dims, Dims]:
    """The dimensions that a reduction over ``axes`` keeps, and those that it folds.

    Both are collapsed, each on its own: whoever folds walks all of the one for each element of
    the other, and outputs are row-major over the kept ones.
    """
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    return _collapse(kept, shape, accesses), _collapse(axes, shape, accesses)


def with_position(attrs: FusedAttrs) -> tuple[Access, ...]:
    """The accesses of a fused node's inputs, and if its program asks for an element's position,
    one more: of an operand whose offsets are the positions.

    A fold needs it, for it does not walk the space in row-major order.
    """
    if attrs.expression.uses_index:
        return (*attrs.accesses, contiguous(attrs.shape))
    return attrs.accesses


def _collapse(axes: Iterable[int], shape: Sequence[int], accesses: Sequence[Access]) -> Dims:
    sizes: list[int] = []
    columns: list[tuple[int, ...]] = []  # of each dimension, the operands' strides
    for axis in axes:
        size = shape[axis]
        column = tuple(access.strides[axis] for access in accesses)
        if size == 1:
            continue
        if sizes and columns[-1] == tuple(stride * size for stride in column):
            sizes[-1] *= size
            columns[-1] = column
        else:
            sizes.append(size)
            columns.append(column)
    if not sizes:
        sizes, columns = [1], [(0,) * len(accesses)]
    return Dims(tuple(sizes), tuple(zip(*columns, strict=True)) if accesses else ())
