"""Functions that may put their result in the place of their input."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from numbanet.ir import Value
from numbanet.tensors.dispatch import tensor_function


def in_place_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """A `tensor_function` that minds its parameter ``inplace``.

    ``function`` itself ignores it. Where it is true, the first argument, a tensor, takes the
    result and is returned.
    """
    recorded = tensor_function(function)
    names = list(inspect.signature(function).parameters)
    position = names.index("inplace")

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        result = recorded(*args, **kwargs)
        given = args[position] if len(args) > position else kwargs.get("inplace", False)
        return put(args[0] if args else kwargs[names[0]], result) if given else result

    return called


def put(old: Any, new: Any) -> Any:
    """Let tensor ``old`` take the numbers of ``new``; returns ``old``.

    Raises
    ------
    NotImplementedError
        If it is a view, or a value: those cannot change.
    """
    if isinstance(old, Value):
        raise NotImplementedError("inplace=True on a symbolic value")
    if old.value is None:
        return old._replace(new)
    old.value = new.value
    return old


def in_place(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """``function`` under PyTorch's name for what happens in place: ``relu_``."""

    def called(*args: Any, **kwargs: Any) -> Any:
        return function(*args, inplace=True, **kwargs)

    called.__name__ = called.__qualname__ = name
    called.__doc__ = f"`{name[:-1]}` in place: its input takes the result and is returned."
    return called
