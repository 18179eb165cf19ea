"""Tensors among the arguments of a call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numbanet.tensors.tensor import Tensor


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
