"""Calls on tensors that stand for values of a model that is being built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbanet.ir import Value
from numbanet.ir.variable import inverse
from numbanet.ops import transpose
from numbanet.ops.leaf import constant, variable_value
from numbanet.tensors.arguments import substitute, tensors_of
from numbanet.tensors.tensor import Tensor


def call_symbolic(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Record ``function`` on the values behind its tensors; its results as tensors."""
    values = iter([value_of(tensor) for tensor in tensors_of([*args, *kwargs.values()])])
    return as_tensors(
        function(
            # A tuple: Python would run a generator after the keywords' expressions.
            *tuple(substitute(each, values) for each in args),
            **{name: substitute(each, values) for name, each in kwargs.items()},
        )
    )


def value_of(tensor: Tensor) -> Value:
    """What a tensor is within a model: its value, its variable's leaf, or a constant."""
    if tensor.value is not None:
        return tensor.value
    if tensor.variable is not None:
        return variable_leaf(tensor)
    return constant(tensor.array())


def variable_leaf(tensor: Tensor) -> Value:
    """The value of a tensor that shows a variable."""
    assert tensor.variable is not None
    value = variable_value(tensor.variable)
    layout = tensor.variable.layout
    return value if layout is None else transpose(value, inverse(layout))


def as_tensors(results: Any) -> Any:
    """Values as symbolic tensors, in the structure that they came in."""
    if isinstance(results, Value):
        return Tensor.symbolic(results)
    if isinstance(results, tuple) and hasattr(results, "_fields"):
        return type(results)(*(as_tensors(each) for each in results))
    if isinstance(results, list | tuple):
        return type(results)(as_tensors(each) for each in results)
    return results
