"""Calls: which module made a value, out of what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from numbanet.errors import CallError
from numbanet.ir import Value
from numbanet.layers.structure import flatten, map_leaves
from numbanet.ops.shapes import RESHAPE, ReshapeAttrs

if TYPE_CHECKING:
    from numbanet.layers.module import Module


@dataclass(frozen=True, eq=False)
class Call:
    """One application of a module to values."""

    module: Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def inputs(self) -> tuple[Value, ...]:
        leaves = flatten([self.args, self.kwargs])
        return tuple(leaf for leaf in leaves if isinstance(leaf, Value))


@dataclass(frozen=True, eq=False)
class Origin:
    """Which output of which call a value is."""

    call: Call
    position: int


# A model is found by walking back from its outputs, call by call. An entry refers to values
# upstream of its key only, so it goes when its value goes.
_ORIGINS: WeakKeyDictionary[Value, Origin] = WeakKeyDictionary()


def origin_of(value: Value) -> Origin | None:
    """The outermost call that returned ``value``; None for inputs and for lone ops."""
    return _ORIGINS.get(value)


def with_origins(call: Call, outputs: Any) -> Any:
    """What ``call`` returned, which is known from now on as that."""
    given = set(call.inputs)

    def own(leaf: Any) -> Any:
        # A module that returns its input still is a step of the model.
        return _again(leaf) if leaf in given else leaf

    outputs = map_leaves(own, outputs)
    for position, leaf in enumerate(flatten(outputs)):
        if isinstance(leaf, Value):
            _ORIGINS[leaf] = Origin(call, position)
    return outputs


def _again(value: Value) -> Value:
    """The same numbers as another value, at no cost: a reshape is a view."""
    sizes = value.shape[1:]
    target = tuple(size for size in ((-1, *sizes) if value.rank else ()) if size is not None)
    return RESHAPE(value, attrs=ReshapeAttrs(target))


@dataclass(frozen=True)
class Noted:
    """A call that lies inside of no other: its outputs, which it keeps no longer than others
    do, and the model that made it, if a model did."""

    outputs: tuple[ref[Value], ...]
    maker: ref[Module] | None


_CALLS: WeakKeyDictionary[Module, list[Noted]] = WeakKeyDictionary()
_IS_INSIDE: ContextVar[bool] = ContextVar("numbanet_is_inside", default=False)


@contextmanager
def inside() -> Iterator[None]:
    """While a module records what it is made of: the calls of others are its own affair."""
    token = _IS_INSIDE.set(True)
    try:
        yield
    finally:
        _IS_INSIDE.reset(token)


def note(call: Call, outputs: Any) -> None:
    """Remember a call, if it lies inside of no other."""
    if not _IS_INSIDE.get():
        _CALLS.setdefault(call.module, []).append(_noted(outputs, None))


def note_only(maker: Module, call: Call, outputs: Any) -> None:
    """Remember the call by which ``maker`` holds a module, unless others have called it."""
    calls = _CALLS.setdefault(call.module, [])
    if all(each.maker is not None and each.maker() in (None, maker) for each in calls):
        calls[:] = [_noted(outputs, ref(maker))]


def _noted(outputs: Any, maker: ref[Module] | None) -> Noted:
    values = (leaf for leaf in flatten(outputs) if isinstance(leaf, Value))
    return Noted(tuple(map(ref, values)), maker)


def only_outputs(module: Module) -> list[Value]:
    """What the one call of ``module`` returned.

    Raises
    ------
    CallError
        If it was not called, or more than once, or nobody has kept what it returned.
    """
    calls = _CALLS.get(module, [])
    if len(calls) != 1:
        raise CallError(
            f"{module.label} has one input and one output when it is called once",
            got=f"{len(calls)} calls",
            mend="Take the values that its calls were given and returned",
        )
    found = [each() for each in calls[0].outputs]
    values = [value for value in found if value is not None]
    if len(values) < len(found):
        raise CallError(
            f"nobody has kept what {module.label} returned",
            mend="Keep the model, or the values",
        )
    return values


def only_inputs(module: Module) -> list[Value]:
    """What the one call of ``module`` was given; raises as `only_outputs` does."""
    origin = origin_of(only_outputs(module)[0])
    assert origin is not None
    return list(origin.call.inputs)
