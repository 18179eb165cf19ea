"""Values nested in lists, tuples and dicts: what layers and models are called with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def flatten(structure: Any) -> list[Any]:
    """The leaves of ``structure``, left to right; a dict's in its own order."""
    if isinstance(structure, dict):
        return [leaf for part in structure.values() for leaf in flatten(part)]
    if isinstance(structure, list | tuple):
        return [leaf for part in structure for leaf in flatten(part)]
    return [structure]


def map_leaves(function: Callable[[Any], Any], structure: Any) -> Any:
    """``structure`` with ``function`` of each leaf in the leaf's place."""
    if isinstance(structure, dict):
        return {key: map_leaves(function, part) for key, part in structure.items()}
    if isinstance(structure, list | tuple):
        return type(structure)([map_leaves(function, part) for part in structure])
    return function(structure)
