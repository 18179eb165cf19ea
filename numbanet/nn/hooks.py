"""Hooks: functions that run before or after a module's ``forward``."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from numbanet.nn.watch import Watch

_KEYS = itertools.count()


@dataclass(frozen=True)
class Hook:
    """A function, and whether it takes keyword arguments, too."""

    function: Callable[..., Any]
    with_kwargs: bool


class RemovableHandle:
    """Takes a hook away again: by ``remove()``, or at the end of a ``with`` block."""

    def __init__(self, hooks: dict[int, Hook]) -> None:
        self._hooks = hooks
        self.id = next(_KEYS)

    def remove(self) -> None:
        """Take the hook away; nothing happens if it is gone."""
        self._hooks.pop(self.id, None)
        Watch.number += 1

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()


def register(hooks: dict[int, Hook], hook: Hook, prepend: bool) -> RemovableHandle:
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
