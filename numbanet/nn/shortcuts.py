"""Shortcuts: a module that computes as it did last time is passed without running its Python.

What a built-in module does depends on its class, its attributes, those of the modules below it,
and its arguments. Where all of these are as they were, its calls lead from one record of the
tree to another as before, so the trace goes there at once. No shortcut is taken

- past a module that somebody else wrote: its ``forward`` may do anything, so it runs;
- past hooks, and results that are views;
- where something has changed: whoever sets an attribute of a module that is part of a shortcut,
  or registers a hook anywhere, ends all shortcuts (`Watch`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numbanet.ir import Variable
from numbanet.nn.watch import Watch
from numbanet.tensors.replay import Guard, guard_parts, key_of, remember
from numbanet.tensors.tensor import Tensor
from numbanet.tensors.trace import ROOT, STATE, Record, Trace

if TYPE_CHECKING:
    from numbanet.nn.module import Module


@dataclass(eq=False, slots=True)
class Shortcut(Guard):
    """The way that a module's call went, and what has to be the same for it to go so again.

    Attributes
    ----------
    changes, aims : int
        Of `Watch` and of `Tensor`, when it was found to hold.
    forwards : list of (class, function)
        The modules' classes, and ``forward`` of each.
    members : list of Tensor
        Parameters and buffers.
    keys : list of (Variable, bool)
        The variable of each member, and whether it requires a gradient.
    moved : list of Tensor
        Members that change in place, as running statistics do.
    mutated : dict of Variable to int
        The slots of what their variables take.
    """

    changes: int
    aims: int
    forwards: list[tuple[type[Module], Callable[..., Any]]]
    members: list[Tensor]
    keys: list[tuple[Variable | None, bool]]
    moved: list[Tensor]
    mutated: dict[Variable, int]

    def fits(self, trace: Any, given: Sequence[Any]) -> bool:
        """Whether the arguments are the same again, and the module is what it was."""
        if self.changes != Watch.number or not Guard.fits(self, trace, given):
            return False
        for kind, forward in self.forwards:
            if kind.forward is not forward:
                return False
        if self.aims != Tensor.aims:
            if self.keys != [(each.variable, each.needs_grad) for each in self.members]:
                return False
            self.aims = Tensor.aims
        return not self.moved or not any(each.has_views for each in self.moved)

    def go(self, trace: Trace, given: Sequence[Any]) -> Any:
        """Let ``trace`` go this way; the result."""
        if self.mutated:
            trace.mutated.update(self.mutated)
        return Guard.go(self, trace, given)


def here() -> Record:
    """The record that a call on leaves, or on results of now, comes after."""
    trace = STATE.trace
    return ROOT if trace is None or trace.is_executed else trace.record


def note(module: Module, start: Record, args: tuple[Any, ...], result: Any) -> None:
    """Remember how the call of ``module`` went from ``start`` on, the second time it does."""
    trace = STATE.trace
    if (
        trace is None
        or type(result) is not Tensor
        or result.trace is not trace
        or trace.is_executed
        or trace.record.made == trace.number
    ):
        return
    shortcut = _made(module, trace, start, args, result)
    if shortcut is not None:
        remember(start, module, shortcut)


def _made(
    module: Module, trace: Trace, start: Record, args: tuple[Any, ...], result: Tensor
) -> Shortcut | None:
    """The shortcut from ``start`` to where ``trace`` is; None if the way cannot be left out."""
    records = _between(start, trace.record)
    modules = list(module.modules()) if records else []
    found = [
        (each, template)
        for each in records
        for template in each.templates
        if template[0] == result.slot
    ]
    if not found or found[0][0].is_view or not all(map(_is_plain, modules)):
        return None
    members = [*module.parameters(), *module.buffers()]
    if any(each.variable is None for each in members):
        return None
    parts = guard_parts(records, args, {}, trace, members)
    mutated = {variable: slot for variable, slot in trace.mutated.items() if slot >= start.end}
    if parts is None or not _is_own(parts, mutated, trace):
        return None
    for each in modules:
        vars(each)["_is_watched"] = True
    kinds = dict.fromkeys(map(type, modules))
    now = {(variable, False): slot for variable, slot in mutated.items()}
    parts["variables"] = {
        key: slot for key, slot in parts["variables"].items() if key[0] not in mutated
    } | now
    parts.update(templates=(found[0][1],), restore=None, viewed=-1)
    return Shortcut(
        **parts,
        changes=Watch.number,
        aims=Tensor.aims,
        forwards=[(kind, kind.forward) for kind in kinds],
        members=members,
        keys=[key_of(each) for each in members],
        moved=[each for each in members if each.variable in mutated],
        mutated=mutated,
    )


def _is_own(parts: dict[str, Any], mutated: Mapping[Variable, int], trace: Trace) -> bool:
    """Whether what changed in place was first read on this way, and nothing else that is read
    here had changed before."""
    first_read = {leaf.variable for leaf in parts["leaves"].values()}
    before = trace.mutated.keys() - mutated.keys()
    return first_read.issuperset(mutated) and parts["reads"].isdisjoint(before)


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
