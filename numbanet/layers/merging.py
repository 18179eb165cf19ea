"""Layers that merge several values into one: skip connections and branches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.layers.module import Module


class _Merge(Module):
    """Takes one list of values: ``Add()([a, b])``."""

    fewest = 2
    most: int | None = None

    def forward(self, values: Sequence[Value]) -> Value:
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
        return self.merge(values)

    def merge(self, values: Sequence[Value]) -> Value:
        raise NotImplementedError(f"{type(self).__name__} does not implement merge()")


def _fold(function: Callable[[Value, Value], Value], values: Sequence[Value]) -> Value:
    result = values[0]
    for value in values[1:]:
        result = function(result, value)
    return result


class Add(_Merge):
    """The sum of a list of values, with broadcasting."""

    def merge(self, values: Sequence[Value]) -> Value:
        return _fold(ops.add, values)


class Subtract(_Merge):
    """The first of two values minus the second."""

    most = 2

    def merge(self, values: Sequence[Value]) -> Value:
        return ops.subtract(values[0], values[1])


class Multiply(_Merge):
    """The product of a list of values, element by element."""

    def merge(self, values: Sequence[Value]) -> Value:
        return _fold(ops.multiply, values)


class Average(_Merge):
    """The mean of a list of values, element by element."""

    def merge(self, values: Sequence[Value]) -> Value:
        return _fold(ops.add, values) / len(values)


class Maximum(_Merge):
    """The greatest of a list of values, element by element."""

    def merge(self, values: Sequence[Value]) -> Value:
        return _fold(ops.maximum, values)


class Minimum(_Merge):
    """The least of a list of values, element by element."""

    def merge(self, values: Sequence[Value]) -> Value:
        return _fold(ops.minimum, values)


class Concatenate(_Merge):
    """A list of values, one after the other along ``axis``.

    Parameters
    ----------
    axis : int
        Not the batch axis.
    name : str, optional
    """

    fewest = 1

    def __init__(self, axis: int = -1, name: str | None = None) -> None:
        super().__init__(name)
        if axis == 0:
            raise ArgumentError("Concatenate cannot join along the batch axis", got="axis=0")
        self.axis = axis

    def merge(self, values: Sequence[Value]) -> Value:
        return ops.concatenate(list(values), axis=self.axis)
