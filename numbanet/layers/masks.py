"""Masks: bools beside a value that say which of its steps count.

A mask is a value, attached to another one while a graph is recorded. The graph itself knows of
no masks: it holds what layers made of them. A layer that keeps steps where they are hands the
mask of its input on to its output; one that has use for it takes it as an argument.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from numbanet.ir import Value
from numbanet.layers.structure import flatten, map_leaves

if TYPE_CHECKING:
    from numbanet.layers.module import Module

# A mask is computed from what its value is computed from, so no entry holds its own key.
_MASKS: WeakKeyDictionary[Value, Value] = WeakKeyDictionary()
_ENDS: WeakKeyDictionary[Value, str] = WeakKeyDictionary()
_IS_TAKEN: ContextVar[bool] = ContextVar("numbanet_mask_is_taken", default=False)
_TIMES: ContextVar[int] = ContextVar("numbanet_masks_taken", default=0)


def times_taken() -> int:
    """How often a layer has taken a mask so far: has one since?"""
    return _TIMES.get()


def mask_of(value: Any) -> Value | None:
    """The mask of a value: bools of its leading axes. None if all of it counts."""
    return _MASKS.get(value) if isinstance(value, Value) else None


def with_mask(value: Value, mask: Value | None) -> Value:
    """``value``, which nobody has seen yet, with a mask if there is one."""
    if mask is not None:
        _MASKS[value] = mask
    return value


def end_of_mask(value: Value) -> str | None:
    """The layer that returned ``value`` and took no notice of its input's mask, if one did."""
    return _ENDS.get(value)


def has_mask(structure: Any) -> bool:
    """Whether a value in nested lists, tuples and dicts has a mask."""
    return any(mask_of(leaf) is not None for leaf in flatten(structure))


def fill(
    forward: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> inspect.BoundArguments:
    """The arguments of ``forward``, with masks for the parameters that take them.

    As Keras 3 has it: the mask of the only argument that holds values goes to ``mask``, nested
    as the values are. Of several arguments, that of ``query`` goes to ``query_mask``, and so
    on. A mask that was given stays.
    """
    signature = inspect.signature(forward)
    bound = signature.bind(*args, **kwargs)
    holding = [
        name
        for name, given in bound.arguments.items()
        if any(isinstance(leaf, Value) for leaf in flatten(given))
    ]
    for name in holding:
        target = "mask" if len(holding) == 1 else f"{name}_mask"
        if target in signature.parameters and bound.arguments.get(target) is None:
            bound.arguments[target] = map_leaves(mask_of, bound.arguments[name])
    return bound


@contextmanager
def taken(names: Iterable[str]) -> Iterator[None]:
    """While a layer that was given arguments of these names records what it makes of them.

    If a mask is among them, layers within it need take no notice of masks, nor those around it.
    """
    holds = _holds_mask(names)
    if holds:
        _TIMES.set(_TIMES.get() + 1)
    token = _IS_TAKEN.set(_IS_TAKEN.get() or holds)
    try:
        yield
    finally:
        _IS_TAKEN.reset(token)


def _holds_mask(names: Iterable[str]) -> bool:
    return any(name.endswith("mask") for name in names)


def hand_on(
    layer: Module, args: Sequence[Any], kwargs: Mapping[str, Any], outputs: Any, was_taken: bool
) -> None:
    """Attach to what a layer returned the masks that it computes of its arguments.

    ``was_taken``: by it, or within it.
    """
    previous, is_taken = None, was_taken or _IS_TAKEN.get()
    first = next(iter((*args, *kwargs.values())), None)
    if has_mask([args, kwargs]):
        given = fill(layer.forward, args, kwargs).arguments
        previous = given.get("mask")
        previous = map_leaves(mask_of, first) if previous is None else previous
    returned = [leaf for leaf in flatten(outputs) if isinstance(leaf, Value)]
    if not layer.supports_masking:
        if not is_taken and any(mask is not None for mask in flatten(previous)):
            ends = (value for value in returned if mask_of(value) is None)
            _ENDS.update(dict.fromkeys(ends, layer.label))
        return
    masks = layer.compute_mask(first, previous)
    for value, mask in zip(returned, flatten(masks), strict=False):
        if mask is not None and mask_of(value) is None:
            _MASKS[value] = mask
