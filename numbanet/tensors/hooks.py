"""Hooks of tensors: functions that see a gradient, and may put another in its place."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.flow import Edge, Gradient, hook_leaf, passed
from numbanet.tensors.tensor import Tensor

_KEYS = itertools.count()


class RemovableHandle:
    """Takes a hook away again: by ``remove()``, or at the end of a ``with`` block."""

    def __init__(self, hooks: dict[int, Any]) -> None:
        self._hooks = hooks
        self.id = next(_KEYS)

    def remove(self) -> None:
        """Take the hook away; nothing happens if it is gone."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()


def register_hook(self: Tensor, hook: Callable[[Tensor], Any]) -> RemovableHandle:
    """Call ``hook(gradient)`` when the gradient of this tensor is known.

    Parameters
    ----------
    hook : callable
        May return another gradient, of the same type, which then takes its place.

    Returns
    -------
    RemovableHandle

    Raises
    ------
    ArgumentError
        If the tensor requires no gradient.
    NotImplementedError
        If it is the argument of the function that it is a result of, as that of ``clone()`` is:
        gradients cannot tell them apart.
    """
    if not self.requires_grad or self.value is not None:
        raise ArgumentError("register_hook() of a tensor that requires no gradient")
    if self.is_leaf or self.trace is None:
        hooks = self.hooks or {}
        hook_leaf(self, hooks)
    else:
        hooks = {}
        _check_distinct(self)
        self.trace.edges.append(
            Edge((self.slot,), lambda found: [_passed(hooks, gradient) for gradient in found])
        )
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def watch(
    tensors: Sequence[Tensor], backward: Callable[[list[Gradient]], Sequence[Gradient]]
) -> list[Tensor]:
    """The same tensors, whose gradients go through ``backward`` together."""
    results = list(_apart(list(tensors)))
    trace = results[0].trace
    assert trace is not None
    trace.edges.append(Edge(tuple(each.slot for each in results), backward))
    return results


@tensor_function
def _apart(tensors: Sequence[Value]) -> tuple[Value, ...]:
    """Values of their own, so that gradients can tell them from what they are equal to."""
    return tuple(ops.multiply(tensor, 1) for tensor in tensors)


def _passed(hooks: dict[int, Callable[[Tensor], Any]], gradient: Gradient) -> Gradient:
    return None if gradient is None else passed(hooks.values(), gradient)


def _check_distinct(tensor: Tensor) -> None:
    assert tensor.trace is not None
    values = tensor.trace.record.values()
    if sum(value is values[tensor.slot] for value in values) > 1:
        raise NotImplementedError(
            "register_hook() of a result that is an argument of its function: hook that, or "
            "the tensor times one"
        )
