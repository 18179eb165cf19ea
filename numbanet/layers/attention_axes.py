"""Attention over some axes of values with more of them: the others join the batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.ops.shapes import inverse


@dataclass(frozen=True)
class Folding:
    """How ``[N, ..., F]`` of a rank becomes ``[M, L, F]``.

    Attributes
    ----------
    rank : int
    axes : tuple of int
        Those that are attended over, in order; by default all between batch and features.
    """

    rank: int
    axes: tuple[int, ...]

    @classmethod
    def of(cls, rank: int, axes: Sequence[int] | None, label: str) -> Folding:
        """Raise ArgumentError for axes that are not between batch and features."""
        inner = range(1, rank - 1)
        found = tuple(inner) if axes is None else tuple(sorted(axis % rank for axis in axes))
        if not found or len(set(found)) < len(found) or not set(found) <= set(inner):
            raise ArgumentError(
                f"{label} attends over axes between the batch and the features",
                got=f"attention_axes={axes} of {rank} axes",
            )
        return cls(rank, found)

    @property
    def others(self) -> tuple[int, ...]:
        """The axes that are attended over one by one."""
        return tuple(axis for axis in range(1, self.rank - 1) if axis not in self.axes)

    @property
    def _order(self) -> tuple[int, ...]:
        return (0, *self.others, *self.axes, self.rank - 1)

    def sizes(self, x: Value, axes: Sequence[int]) -> tuple[int, ...]:
        return tuple(x.type.shape[axis] or 0 for axis in axes)

    def fold(self, x: Value) -> Value:
        """``[M, L, F]``"""
        length = math.prod(self.sizes(x, self.axes))
        return ops.reshape(ops.transpose(x, self._order), (-1, length, x.shape[-1]))

    def unfold(self, y: Value, query: Value) -> Value:
        """``[N, ..., O...]`` of ``[M, L, O...]``, with the axes where ``query`` has them."""
        made = y.shape[2:]
        sizes = (*self.sizes(query, self.others), *self.sizes(query, self.axes))
        order = (*self._order[:-1], *range(self.rank - 1, self.rank - 1 + len(made)))
        return ops.transpose(ops.reshape(y, (-1, *sizes, *made)), inverse(order))

    def unfold_weights(self, weights: Value, query: Value, key: Value) -> Value:
        """``[N, others..., H, queries..., keys...]`` of ``[M, H, L, S]``."""
        places = (*self.sizes(query, self.axes), *self.sizes(key, self.axes))
        sizes = (*self.sizes(query, self.others), weights.shape[1], *places)
        return ops.reshape(weights, (-1, *sizes))

    def fold_mask(self, mask: Value, query: Value, key: Value) -> Value:
        """``[M, L, S]`` of ``[N, queries..., keys...]``."""
        lengths = [math.prod(self.sizes(each, self.axes)) for each in (query, key)]
        others = self.sizes(query, self.others)
        mask = ops.reshape(mask, (-1, *(1 for _ in others), *lengths))
        mask = ops.expand(mask, (-1, *others, *lengths))
        return ops.reshape(mask, (-1, *lengths))
