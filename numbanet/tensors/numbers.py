"""Numbers that change from one iteration to the next, such as the weight of a loss.

A number among a call's arguments is a constant of its record, so that another number is another
record, and leads to another program. Where a third one comes, numbers become data instead.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import numpy as np

from numbanet.ir import DType
from numbanet.tensors.tensor import Tensor

_ENOUGH = 3
"""So many different numbers at one place are expected to go on being different."""

_Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Place:
    """Where in a loop a call comes: records that differ only in numbers share it.

    A record holds its place, and a place does not hold those that follow it, so that they go
    when records do.
    """

    __slots__ = ("__weakref__", "following", "seen")

    def __init__(self) -> None:
        self.following: weakref.WeakValueDictionary[Hashable, Place]
        self.following = weakref.WeakValueDictionary()
        self.seen: set[tuple[Any, ...]] = set()

    def next(self, key: Hashable) -> Place:
        """The place after this one of calls that have ``key`` in common."""
        place = self.following.get(key)
        if place is None:
            place = self.following[key] = Place()
        return place

    def varies(self, numbers: tuple[Any, ...]) -> bool:
        """Whether numbers here change, as far as one can tell from those that came."""
        if len(self.seen) < _ENOUGH:
            self.seen.add(numbers)
        return len(self.seen) == _ENOUGH


def takes_numbers(functions: Iterable[Callable[..., Any]]) -> None:
    """Note that ``functions`` of values take scalars in the place of Python's numbers."""
    for function in functions:
        vars(function)["takes_numbers"] = True


def may_vary(function: Callable[..., Any]) -> bool:
    """Whether ``function`` was noted by `takes_numbers`."""
    return "takes_numbers" in vars(function)


def numbers_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Python's numbers among the arguments, in order."""
    return tuple(each for each in (*args, *kwargs.values()) if _is_number(each))


def as_data(args: tuple[Any, ...], kwargs: dict[str, Any], dtype: DType) -> _Arguments:
    """The arguments with tensors of ``dtype`` in the place of numbers."""

    def convert(argument: Any) -> Any:
        if not _is_number(argument):
            return argument
        with np.errstate(over="ignore"):
            return Tensor.wrap(np.asarray(argument, dtype.numpy))

    return tuple(map(convert, args)), {name: convert(each) for name, each in kwargs.items()}


def common_dtype(tensors: Iterable[Tensor]) -> DType | None:
    """The floating-point dtype of all ``tensors`` but bools, if they have the same.

    With it numbers as tensors mean what Python's numbers mean.
    """
    dtypes = {each.tensor_type.dtype for each in tensors} - {DType.BOOL}
    dtype = dtypes.pop() if len(dtypes) == 1 else None
    return dtype if dtype is not None and dtype.is_floating else None


def _is_number(argument: Any) -> bool:
    is_number = isinstance(argument, (int, float, np.integer, np.floating))
    return is_number and not isinstance(argument, bool)
