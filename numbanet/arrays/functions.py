"""Losses and metrics as functions of targets and predictions, made of their classes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

Judge = Callable[..., Any]
"""``(y_true, y_pred, ...)``: values with nothing reduced, of symbolic values or of arrays."""

_KINDS: dict[Any, type] = {}
_NOT_TAKEN = ("reduction", "name")
_BY_POSITION = inspect.Parameter.POSITIONAL_OR_KEYWORD


def as_function(kind: type, name: str, values: Callable[[Any, Any, Any], Any]) -> Judge:
    """``values(instance, y_true, y_pred)`` of instances of ``kind``, made of further arguments.

    Its signature is Keras's: that of the class, without what reduces and names.
    """
    both = (inspect.Parameter(each, _BY_POSITION) for each in ("y_true", "y_pred"))
    own = (p for p in inspect.signature(kind).parameters.values() if p.name not in _NOT_TAKEN)
    signature = inspect.Signature([*both, *own])

    def function(y_true: Any, y_pred: Any, *args: Any, **kwargs: Any) -> Any:
        given = signature.bind(y_true, y_pred, *args, **kwargs).arguments
        y_true, y_pred = given.pop("y_true"), given.pop("y_pred")
        return values(kind(**given), y_true, y_pred)

    function.__signature__ = signature  # type: ignore[attr-defined]
    function.__name__ = function.__qualname__ = name
    function.__module__ = ".".join(kind.__module__.split(".")[:2])
    function.__doc__ = f"The values of `{kind.__name__}`, which has the arguments."
    _KINDS[function] = kind
    return function


def kind_of(function: Any) -> Any:
    """The class that a function was made of; None for other things."""
    return _KINDS.get(function) if inspect.isfunction(function) else None
