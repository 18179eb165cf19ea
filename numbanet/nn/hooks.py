"""Hooks: functions that run before or after a module's ``forward``, or its gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numbanet.nn.watch import Watch
from numbanet.tensors import hooks as of_tensors


@dataclass(frozen=True)
class Hook:
    """A function, and whether it takes keyword arguments, too."""

    function: Callable[..., Any]
    with_kwargs: bool


class RemovableHandle(of_tensors.RemovableHandle):
    """Takes a module's hook away again: what is remembered of modules is forgotten."""

    def remove(self) -> None:
        super().remove()
        Watch.number += 1


def register(hooks: dict[int, Any], hook: Any, prepend: bool) -> RemovableHandle:
    """Put ``hook`` at the end of ``hooks``, or before all others."""
    Watch.number += 1
    handle = RemovableHandle(hooks)
    before = dict(hooks)
    if prepend:
        hooks.clear()
    hooks[handle.id] = hook
    hooks.update(before)
    return handle


def before_forward(
    module: Any, hooks: dict[int, Hook], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments that pre-hooks make of ``args`` and ``kwargs``."""
    for hook in list(hooks.values()):
        if hook.with_kwargs:
            result = hook.function(module, args, kwargs)
            if result is not None:
                args, kwargs = result
        else:
            result = hook.function(module, args)
            if result is not None:
                args = result if isinstance(result, tuple) else (result,)
    return args, kwargs


def after_forward(
    module: Any,
    hooks: dict[int, Hook],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    output: Any,
) -> Any:
    """The output that hooks make of ``output``."""
    for hook in list(hooks.values()):
        given = (args, kwargs) if hook.with_kwargs else (args,)
        result = hook.function(module, *given, output)
        if result is not None:
            output = result
    return output
