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

from collections.abc import Callable, Sequence
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
    """

    changes: int
    aims: int
    forwards: list[tuple[type[Module], Callable[..., Any]]]
    members: list[Tensor]
    keys: list[tuple[Variable | None, bool]]

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
        return True


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
        or trace.mutated
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
    is_plain = (
        records
        and not trace.record.is_view
        and [result.slot] == list(trace.record.result_slots)
        and all(map(_is_plain, module.modules()))
    )
    if not is_plain:
        return None
    members = [*module.parameters(), *module.buffers()]
    if any(each.variable is None for each in members):
        return None
    known = {id(each) for each in members}
    read = [(slot, trace.leaves[slot]) for each in records for slot in each.leaf_slots]
    leaves = {slot: leaf for slot, leaf in read if id(leaf) in known}
    parts = guard_parts(records, args, {}, trace, leaves)
    if parts is None:
        return None
    modules = list(module.modules())
    for each in modules:
        vars(each)["_is_watched"] = True
    kinds = dict.fromkeys(map(type, modules))
    return Shortcut(
        *parts,
        changes=Watch.number,
        aims=Tensor.aims,
        forwards=[(kind, kind.forward) for kind in kinds],
        members=members,
        keys=[key_of(each) for each in members],
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
