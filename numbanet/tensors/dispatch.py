"""From functions of values to functions of tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.tensors.recorder import call
from numbanet.tensors.replay import repeat
from numbanet.tensors.symbolic import call_symbolic
from numbanet.tensors.tensor import Tensor

_PLAIN = frozenset({int, float, bool, str, type(None)})
_TENSOR = object()
_END = object()


def tensor_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of symbolic values one of tensors, too.

    ``function`` takes and returns `numbanet.ir.Value` (or tuples of them) where its callers
    pass tensors. Called with values, it runs as it is; so such functions can call each other.
    All other arguments must be hashable, or lists, tuples or slices of such.
    """

    @functools.wraps(function)
    def recorded(*args: Any, **kwargs: Any) -> Any:
        repeated = repeat(function, args, kwargs)
        if repeated is not None:
            record, results = repeated
            return record.restore(results)
        tensors: list[Tensor] = []
        key: list[Any] = [function]
        try:
            for argument in args:
                _describe(argument, tensors, key)
            for name, argument in kwargs.items():
                key.append(name)
                _describe(argument, tensors, key)
        except _HasValuesError:
            return function(*args, **kwargs)
        if not tensors:
            return function(*args, **kwargs)
        if any(tensor.value is not None for tensor in tensors):
            return call_symbolic(function, args, kwargs)
        return call(function, key, tensors, args, kwargs)

    return recorded


class _HasValuesError(Exception):
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
        raise _HasValuesError
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
