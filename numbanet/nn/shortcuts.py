"""Shortcuts: a module that computes as it did last time is passed without running its Python.

What a built-in module does depends on its class, its attributes, those of the modules below it,
and its arguments. Where all of these are as they were, its calls lead from one record of the
tree to another as before, so the trace goes there at once. No shortcut is taken

- past a module that somebody else wrote: its ``forward`` may do anything, so it runs;
- past hooks, in-place changes, and results that are views;
- where something has changed: whoever sets an attribute of a module that is part of a shortcut,
  or registers a hook anywhere, ends all shortcuts (`Watch`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from numbanet.ir import Variable
from numbanet.nn.watch import Watch
from numbanet.tensors.modes import MODES
from numbanet.tensors.replay import NOTHING, Guard, guard_of
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import ROOT, STATE, Record, Trace
from numbanet.tensors.traces import begin

if TYPE_CHECKING:
    from numbanet.nn.module import Module

_MOST_WAYS = 8
"""Calls of modules that a record remembers."""

_KEY = attrgetter("variable", "needs_grad")


@dataclass(frozen=True, eq=False, slots=True)
class Shortcut:
    """The way that a module's call went, and what has to be the same for it to go so again.

    Attributes
    ----------
    guard : Guard
        What the arguments have to be; and the last record of the way.
    number : int
        Of `Watch`, when it was made.
    kinds, forwards : list
        Classes of the modules, and their ``forward``.
    tensors, keys : list
        Parameters and buffers; the variable of each, and whether it requires a gradient.
    leaves : dict of int to Tensor
        Those that are read first on this way; ``variables`` and ``versions`` belong to them.
    seed : int
        The slot of the seed, if it is brought on this way; else -1.
    """

    module: Module
    guard: Guard
    number: int
    kinds: list[type[Module]]
    forwards: list[Callable[..., Any]]
    tensors: list[Tensor]
    keys: list[tuple[Variable, bool]]
    leaves: dict[int, Tensor]
    variables: dict[tuple[Variable, bool], int]
    seed: int

    def holds(self) -> bool:
        """Whether the module is what it was."""
        if self.number != Watch.number or list(map(_KEY, self.tensors)) != self.keys:
            return False
        return [kind.forward for kind in self.kinds] == self.forwards

    def go(self, trace: Trace, args: tuple[Any, ...]) -> Tensor:
        """Let ``trace`` go this way; the result."""
        self.guard.enter(trace, args)
        if self.leaves:
            trace.leaves.update(self.leaves)
            trace.variables.update(self.variables)
            versions = [variable.version for variable, _ in self.variables]
            trace.versions.update(zip(self.leaves, versions, strict=True))
        if self.seed >= 0:
            trace.draw_seed(self.seed)
        trace.move(self.guard.record)
        return trace.make(self.guard.record)[0]


def here() -> Record:
    """The record that a call on leaves, or on results of now, comes after."""
    trace = STATE.trace
    return ROOT if trace is None or trace.is_executed else trace.record


def take(module: Module, args: tuple[Any, ...]) -> Any:
    """What ``module`` returns for ``args``, by a shortcut; `NOTHING` if there is none."""
    trace = STATE.trace
    if trace is None or trace.mutated:
        return NOTHING
    begins = trace.is_executed
    shortcut = (ROOT if begins else trace.record).shortcut
    if shortcut is None or shortcut.module is not module:
        return NOTHING
    guard = shortcut.guard
    if (
        guard.grad is not MODES.grad
        or len(args) != len(guard.expected)
        or not guard.fits(None if begins else trace, args)
        or not shortcut.holds()
    ):
        return NOTHING
    return shortcut.go(begin() if begins else trace, args)


def note(module: Module, start: Record, args: tuple[Any, ...], result: Any) -> None:
    """Remember how the call of ``module`` went from ``start`` on, the second time it does."""
    trace = STATE.trace
    if trace is None or type(result) is not Tensor or result.trace is not trace:
        return
    ways = start.ways
    if ways.get(module) is not trace.record:
        if len(ways) >= _MOST_WAYS:
            ways.clear()
        ways[module] = trace.record
    else:
        # It replaces those of the modules within, which were called from here, too.
        start.shortcut = _made(module, trace, start, args, result)


def _made(
    module: Module, trace: Trace, start: Record, args: tuple[Any, ...], result: Tensor
) -> Shortcut | None:
    """The shortcut from ``start`` to where ``trace`` is; None if the way cannot be left out."""
    records = _between(start, trace.record)
    modules = list(module.modules())
    is_plain = (
        not trace.is_executed
        and not trace.mutated
        and not trace.record.is_view
        and [result.slot] == list(trace.record.result_slots)
        and all(map(_is_plain, modules))
    )
    if not records or not is_plain:
        return None
    seeds = [each.leaf_slots[-1] for each in records if each.brings_seed]
    new = [slot for each in records for slot in each.leaf_slots if slot not in seeds]
    tensors = [*module.parameters(), *module.buffers()]
    members = {id(each) for each in tensors}
    leaves = {slot: trace.leaves[slot] for slot in new if id(trace.leaves[slot]) in members}
    variables = {_KEY(leaf): slot for slot, leaf in leaves.items()}
    others = [slot for slot in new if slot not in leaves]
    guard = guard_of(module, trace.record, args, {}, trace, others, start.end)
    if guard is None or any(each.variable is None for each in tensors):
        return None
    for each in modules:
        vars(each)["_is_watched"] = True
    kinds = list(dict.fromkeys(map(type, modules)))
    return Shortcut(
        module,
        guard,
        Watch.number,
        kinds,
        [kind.forward for kind in kinds],
        tensors,
        list(map(_KEY, tensors)),
        leaves,
        variables,
        seeds[0] if seeds else -1,
    )


def _between(start: Record, end: Record) -> list[Record]:
    """The records after ``start`` up to ``end``; empty if these are not on one way."""
    found: list[Record] = []
    record: Record | None = end
    while record is not None and record is not start:
        found.append(record)
        record = record.parent
    return [] if record is None else found[::-1]


def _is_plain(module: Module) -> bool:
    """Whether nobody else has a say in what ``module`` computes."""
    return (
        module._is_built_in
        and "forward" not in vars(module)
        and not module._forward_hooks
        and not module._forward_pre_hooks
    )
