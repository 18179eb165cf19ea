"""How a model's ``forward`` takes its inputs: one by one, by name, or all in one argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from numbanet.ir import Value
from numbanet.layers.structure import map_leaves

_BY_POSITION = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


def arrange(
    forward: Callable[..., Any], inputs: Mapping[str, Value], structure: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments for a bound ``forward`` out of inputs by name.

    A ``forward`` with a parameter for each input gets them so: by keyword if the parameters
    have the inputs' names, else in order. One with a single parameter for several inputs, or
    for a dict, gets them in one argument, as Keras's ``call`` does.

    Parameters
    ----------
    structure : nested lists, tuples and dicts
        With the inputs' names as leaves: how data were given.
    """
    found = inspect.signature(forward).parameters.values()
    parameters = [p for p in found if p.name not in ("training", "mask")]
    takes_any = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    required = [p.name for p in parameters if p.kind in _BY_POSITION and p.default is p.empty]
    by_position = [p.name for p in parameters if p.kind in _BY_POSITION]
    is_dict = isinstance(structure, Mapping)
    if is_dict and set(required) <= set(inputs) <= set(by_position):
        return (), dict(inputs)
    if len(required) == 1 and not takes_any and (is_dict or len(inputs) > 1):
        return (map_leaves(lambda name: inputs[name], structure),), {}
    return tuple(inputs.values()), {}
