"""Hooks that see the gradients at both ends of a module.

They are hooks of ``forward`` that mark its arguments and results: see `tensors.hooks.watch`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numbanet.tensors.flow import Gradient
from numbanet.tensors.hooks import watch
from numbanet.tensors.modes import MODES
from numbanet.tensors.tensor import Tensor

Gradients = tuple[Any, ...]


class BackwardHooks:
    """A module's hooks ``before`` and ``after`` its gradients, by key."""

    def __init__(self) -> None:
        self.before: dict[int, Callable[..., Any]] = {}
        self.after: dict[int, Callable[..., Any]] = {}
        self._calls: list[_Call] = []

    def enter(self, module: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Mark the arguments of a call."""
        if not MODES.grad or not (self.before or self.after):
            return None
        call = _Call(module, self)
        self._calls.append(call)
        return call.take(args)

    def leave(self, module: Any, args: tuple[Any, ...], output: Any) -> Any:
        """Mark the results of the call that was entered last."""
        if not MODES.grad or not self._calls:
            return None
        results = self._calls.pop().give(output if isinstance(output, tuple) else (output,))
        return results if isinstance(output, tuple) else results[0]


class _Call:
    """One call of a module, and the gradients that came through."""

    def __init__(self, module: Any, hooks: BackwardHooks) -> None:
        self.module, self.hooks = module, hooks
        self.count = 0
        self.is_reached = False
        self.grad_output: Gradients = ()

    def take(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.count = len(args)
        self.is_reached = any(map(_moves, args))
        return _marked(args, self._after)

    def give(self, results: tuple[Any, ...]) -> tuple[Any, ...]:
        return _marked(results, self._before)

    def _before(self, gradients: Gradients) -> Gradients:
        for hook in list(self.hooks.before.values()):
            gradients = _chosen(hook(self.module, gradients), gradients)
        self.grad_output = gradients
        if not self.is_reached:
            self._after((None,) * self.count)
        return gradients

    def _after(self, gradients: Gradients) -> Gradients:
        for hook in list(self.hooks.after.values()):
            gradients = _chosen(hook(self.module, gradients, self.grad_output), gradients)
        return gradients


def _moves(thing: Any) -> bool:
    return isinstance(thing, Tensor) and thing.requires_grad


def _marked(
    things: tuple[Any, ...], backward: Callable[[Gradients], Gradients]
) -> tuple[Any, ...]:
    """``things``, where the gradients of tensors go through ``backward``, with None else."""
    places = [place for place, thing in enumerate(things) if _moves(thing)]
    if not places:
        return things

    def through(gradients: Sequence[Gradient]) -> list[Gradient]:
        known = dict(zip(places, gradients, strict=True))
        changed = backward(tuple(map(known.get, range(len(things)))))
        return [changed[place] for place in places]

    marked = dict(zip(places, watch([things[place] for place in places], through), strict=True))
    return tuple(marked.get(place, thing) for place, thing in enumerate(things))


def _chosen(new: Any, old: Gradients) -> Gradients:
    """What a hook returned, or what it was given if it returned None."""
    if new is None:
        return old
    return new if isinstance(new, tuple) else (new,)
