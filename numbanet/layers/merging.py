"""Layers that merge several values into one: skip connections and branches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from numbanet import ops
from numbanet.errors import ArgumentError, ShapeError
from numbanet.ir import Value
from numbanet.layers.layer import Layer
from numbanet.ops.axes import normalise_axis


class _Merge(Layer):
    """Takes one list of values: ``Add()([a, b])``.

    Where all of them have masks the result counts where any of them does.
    """

    supports_masking = True
    fewest: ClassVar[int] = 2
    most: ClassVar[int | None] = None
    function: ClassVar[Callable[[Value, Value], Value]]

    def forward(
        self, values: Sequence[Value], mask: Sequence[Value | None] | None = None
    ) -> Value:
        is_list = isinstance(values, list | tuple)
        count = len(values) if is_list else 1
        if not is_list or count < self.fewest or (self.most and count > self.most):
            expected = f"{self.fewest} values" if self.most else f"{self.fewest} or more values"
            raise ArgumentError(
                f"{self.label} takes one list of values",
                got=f"{count} value" + ("s" if count != 1 else ""),
                expected=expected,
                mend=f"Call it as {type(self).__name__}()([a, b])",
            )
        return self.merge(values if mask is None else self.replaced(values, mask))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Value | None:
        if previous_mask is None or any(mask is None for mask in previous_mask):
            return None
        return functools.reduce(ops.logical_or, previous_mask)

    def replaced(
        self, values: Sequence[Value], masks: Sequence[Value | None]
    ) -> Sequence[Value]:
        """``values`` with what does not change the result where masks are false."""
        return values

    def merge(self, values: Sequence[Value]) -> Value:
        """One by one, with broadcasting; axes that some lack come behind the batch."""
        rank = max(value.rank for value in values)
        alike = [ops.expand_dims(v, list(range(1, 1 + rank - v.rank))) for v in values]
        return functools.reduce(type(self).function, alike)


class Add(_Merge):
    """The sum of a list of values, with broadcasting."""

    function = ops.add


class Subtract(_Merge):
    """The first of two values minus the second."""

    most = 2
    function = ops.subtract


class Multiply(_Merge):
    """The product of a list of values, element by element; masked ones are no factors."""

    function = ops.multiply

    def replaced(
        self, values: Sequence[Value], masks: Sequence[Value | None]
    ) -> Sequence[Value]:
        kept = [
            value if mask is None else ops.where(ops.expand_dims(mask, -1), value, 1)
            for value, mask in zip(values, masks, strict=True)
        ]
        some = self.compute_mask(values, masks)
        return (
            kept
            if some is None
            else [*kept, ops.cast(ops.expand_dims(some, -1), kept[0].dtype)]
        )


class Average(_Merge):
    """The mean of a list of values, element by element."""

    function = ops.add

    def merge(self, values: Sequence[Value]) -> Value:
        return super().merge(values) / len(values)


class _Extreme(_Merge):
    """One of the values; in the place of masked ones stands what was found so far."""

    def replaced(
        self, values: Sequence[Value], masks: Sequence[Value | None]
    ) -> Sequence[Value]:
        found, seen = values[0], masks[0]
        for value, mask in zip(values[1:], masks[1:], strict=True):
            value = (
                value if mask is None else ops.where(ops.expand_dims(mask, -1), value, found)
            )
            found = (
                found if seen is None else ops.where(ops.expand_dims(seen, -1), found, value)
            )
            seen = None if mask is None or seen is None else ops.logical_or(seen, mask)
            found = type(self).function(found, value)
        return [found]


class Maximum(_Extreme):
    """The greatest of a list of values, element by element."""

    function = ops.maximum


class Minimum(_Extreme):
    """The least of a list of values, element by element."""

    function = ops.minimum


class Concatenate(_Merge):
    """A list of values, one after the other along ``axis``.

    Parameters
    ----------
    axis : int
        Not the batch axis.
    **options
        As of `Layer`.
    """

    fewest = 1

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        if axis == 0:
            raise ArgumentError("Concatenate cannot join along the batch axis", got="axis=0")
        self.axis = axis

    def merge(self, values: Sequence[Value]) -> Value:
        return ops.concatenate(list(values), axis=self.axis)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Value | None:
        if previous_mask is None or all(mask is None for mask in previous_mask):
            return None
        spread = [
            ops.ones_like(value) if mask is None else _spread(mask, value)
            for value, mask in zip(inputs, previous_mask, strict=True)
        ]
        return ops.max(self.merge(spread), -1) > 0


class Dot(_Merge):
    """Sums of products of two values along an axis of each, sample by sample.

    The result has the other axes of the first, then those of the second; of vectors it is
    ``(batch, 1)``.

    Parameters
    ----------
    axes : int or (int, int)
        Not the batch axis.
    normalize : bool
        Divide by the lengths along these axes, which gives the cosine.
    **options
        As of `Layer`.
    """

    most = 2

    def __init__(
        self, axes: int | Sequence[int], normalize: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        pair = (axes, axes) if isinstance(axes, int) else tuple(axes)
        if len(pair) != 2 or 0 in pair or not all(isinstance(axis, int) for axis in pair):
            raise ArgumentError("Dot takes an axis or two, not the batch axis", got=repr(axes))
        self.axes = pair
        self.normalize = normalize

    def merge(self, values: Sequence[Value]) -> Value:
        axes = [
            normalise_axis("Dot", axis, value.rank)
            for axis, value in zip(self.axes, values, strict=True)
        ]
        sizes = [value.shape[axis] for axis, value in zip(axes, values, strict=True)]
        if sizes[0] != sizes[1] or 0 in axes:
            raise ShapeError(
                f"{self.label} multiplies along axes of one size, not the batch",
                got=f"{sizes[0]} and {sizes[1]}, of {values[0].shape} and {values[1].shape}",
            )
        if self.normalize:
            values = [unit(v, [axis]) for v, axis in zip(values, axes, strict=True)]
        letters = iter("abcdefghijklmnopqrstuvw")
        terms = [
            ["z", *("y" if axis == summed else next(letters) for axis in range(1, value.rank))]
            for value, summed in zip(values, axes, strict=True)
        ]
        kept = [letter for term in terms for letter in term if letter not in "zy"]
        left, right = ("".join(term) for term in terms)
        y = ops.einsum(f"{left},{right}->z{''.join(kept)}", *values)
        return y if kept else ops.expand_dims(y, 1)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """None: the steps are summed."""


def _spread(mask: Value, value: Value) -> Value:
    """Ones in the form of ``value`` where ``mask`` is true, else zeros."""
    mask = ops.expand_dims(mask, -1) if mask.rank < value.rank else mask
    return ops.where(mask, ops.ones_like(value), 0)


def unit(x: Value, axes: Sequence[int]) -> Value:
    """``x`` divided by its length along ``axes``."""
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axes, keepdims=True), 1e-12))
