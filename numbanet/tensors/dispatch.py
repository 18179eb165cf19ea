"""From functions of values to functions of tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from numbanet.tensors.arguments import HasValuesError, described
from numbanet.tensors.recorder import call
from numbanet.tensors.replay import NOTHING, repeat
from numbanet.tensors.symbolic import call_symbolic


def tensor_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of symbolic values one of tensors, too.

    ``function`` takes and returns `numbanet.ir.Value` (or tuples of them) where its callers
    pass tensors. Called with values, it runs as it is; so such functions can call each other.
    All other arguments must be hashable, or lists, tuples or slices of such.
    """

    @functools.wraps(function)
    def recorded(*args: Any, **kwargs: Any) -> Any:
        repeated = repeat(function, args, kwargs)
        if repeated is not NOTHING:
            return repeated
        try:
            key, tensors = described(function, args, kwargs)
        except HasValuesError:
            return function(*args, **kwargs)
        if not tensors:
            return function(*args, **kwargs)
        if any(tensor.value is not None for tensor in tensors):
            return call_symbolic(function, args, kwargs)
        return call(function, key, tensors, args, kwargs)

    return recorded
