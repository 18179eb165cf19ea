"""Tensors among the arguments of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.tensors.tensor import Tensor

_PLAIN = frozenset({int, float, bool, str, type(None)})
_TENSOR = object()
_END = object()


class Placeholder:
    """Stands where a tensor was, so that keeping arguments does not keep tensors."""


PLACEHOLDER = Placeholder()


def tensors_of(argument: Any) -> Iterator[Tensor]:
    """All tensors in an argument, in order."""
    if isinstance(argument, Tensor):
        yield argument
    elif isinstance(argument, list | tuple):
        for element in argument:
            yield from tensors_of(element)
    elif isinstance(argument, slice):
        for element in (argument.start, argument.stop, argument.step):
            yield from tensors_of(element)


def substitute(argument: Any, values: Iterator[Any]) -> Any:
    """``argument`` with the next of ``values`` for each tensor, or place of one, in it."""
    if isinstance(argument, Tensor | Placeholder):
        return next(values)
    if isinstance(argument, list | tuple):
        parts = [substitute(element, values) for element in argument]
        return parts if isinstance(argument, list) else tuple(parts)
    if isinstance(argument, slice):
        ends = (argument.start, argument.stop, argument.step)
        return slice(*(substitute(element, values) for element in ends))
    return argument


def described(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[Any], list[Tensor]]:
    """What makes a call another than others, apart from its tensors; and these, in order."""
    tensors: list[Tensor] = []
    key: list[Any] = [function]
    for argument in args:
        _describe(argument, tensors, key)
    for name, argument in kwargs.items():
        key.append(name)
        _describe(argument, tensors, key)
    return key, tensors


class HasValuesError(Exception):
    """An argument is a symbolic value already."""


def _describe(argument: Any, tensors: list[Tensor], key: list[Any]) -> None:
    """Collect the tensors of an argument, and add to ``key`` all else that matters of it."""
    kind = type(argument)
    if kind in _PLAIN:
        # 1, 1.0 and True are equal, and mean different things.
        key.append(kind)
        key.append(argument)
    elif isinstance(argument, Tensor):
        tensors.append(argument)
        key.append(_TENSOR)
    elif isinstance(argument, Value):
        raise HasValuesError
    elif isinstance(argument, list | tuple):
        key.append(list)
        for element in argument:
            _describe(element, tensors, key)
        key.append(_END)
    elif kind is slice:
        key.append(slice)
        for element in (argument.start, argument.stop, argument.step):
            _describe(element, tensors, key)
    elif isinstance(argument, np.generic):
        key.append(argument.dtype.str)
        key.append(argument.item())
    elif isinstance(argument, np.ndarray):
        raise ArgumentError(
            "a NumPy array where a tensor goes", mend="Make it one with numbanet.tensor(array)"
        )
    else:
        key.append(argument)
