"""From functions of values to functions of tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def tensor_function(function: Function) -> Function:
    """Make a function of symbolic values one of tensors, too.

    ``function`` takes and returns `numbanet.ir.Value` (or tuples of them) where its callers pass
    tensors. Called with values, it runs as it is; so such functions can call each other. All
    other arguments must be hashable, or lists of such.
    """

    @functools.wraps(function)
    def recorded(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return recorded  # type: ignore[return-value]
