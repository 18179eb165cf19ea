"""Arguments by position that a constructor hands on by name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)

WEIGHT_OPTIONS = (
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "kernel_constraint",
    "bias_constraint",
)
"""What layers with a kernel and a bias say of them, in Keras's order."""


def positional(*names: str) -> Callable[[Class], Class]:
    """A class whose constructor also takes these arguments by position, after its own.

    Classes of layers hand on to their bases by name what those take. Keras's constructors are
    of one piece, so all of their arguments may be given by position.
    """

    def decorate(cls: Class) -> Class:
        inner: Any = cls.__init__  # type: ignore[misc]
        kinds = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.POSITIONAL_ONLY)
        taken = [p for p in inspect.signature(inner).parameters.values() if p.kind in kinds]
        late = [_by_position(cls, name) for name in names]
        rest = Parameter("options", Parameter.VAR_KEYWORD)
        signature = inspect.Signature([*taken, *late, rest])

        @functools.wraps(inner)
        def construct(self: Any, *args: Any, **kwargs: Any) -> None:
            signature.bind(self, *args, **kwargs)
            own = len(taken) - 1
            inner(self, *args[:own], **kwargs, **dict(zip(names, args[own:], strict=False)))

        construct.__signature__ = signature  # type: ignore[attr-defined]
        cls.__init__ = construct  # type: ignore[misc]
        return cls

    return decorate


def _by_position(cls: type, name: str) -> Parameter:
    """The parameter as one of the bases declares it, but by position."""
    for base in cls.__mro__:
        if "__init__" in vars(base):
            found = inspect.signature(vars(base)["__init__"]).parameters.get(name)
            if found is not None:
                return found.replace(kind=Parameter.POSITIONAL_OR_KEYWORD)
    raise TypeError(f"{cls.__name__} has no argument {name!r}")
