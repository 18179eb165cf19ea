"""Names of layers, unique within a model: they depend on the model alone, not on its past."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from numbanet.errors import ArgumentError
from numbanet.layers.module import Module


def unique_names(layers: Iterable[Module], known: Mapping[str, Module]) -> dict[Module, str]:
    """A name for each layer: the known one, its own, else ``dense``, ``dense_1``, ... in order.

    Raises
    ------
    ArgumentError
        If two layers were given the same name.
    """
    given = dict(known)
    names = {layer: name for name, layer in known.items()}
    layers = [layer for layer in layers if layer not in names]
    for layer in layers:
        if layer.has_own_name and given.setdefault(layer.name, layer) is not layer:
            raise ArgumentError(
                f"two layers are named {layer.name!r}", mend="Rename one, or leave the name out"
            )
    taken = set(given)
    for layer in layers:
        names[layer] = _name(layer, taken)
        taken.add(names[layer])
        layer.find_name(names[layer])
    return names


def _name(layer: Module, taken: Container[str]) -> str:
    return layer.name if layer.has_own_name else free_name(layer.class_name, taken)


def free_name(base: str, taken: Container[str]) -> str:
    """``base``, or ``base_1``, ``base_2``, ... if it is taken."""
    name, number = base, 0
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def leaf_paths(structure: Any, path: str = "") -> list[str]:
    """Where each leaf lies below a dict: ``{"box": [a, b], "class": c}`` gives ``box_0``,
    ``box_1`` and ``class``; ``""`` of leaves in no dict."""
    if isinstance(structure, Mapping):
        parts = [
            (f"{path}_{key}" if path else str(key), part) for key, part in structure.items()
        ]
    elif isinstance(structure, list | tuple):
        parts = [(f"{path}_{i}" if path else "", part) for i, part in enumerate(structure)]
    else:
        return [path]
    return [found for below, part in parts for found in leaf_paths(part, below)]


def name_leaves(wanted: Sequence[str], base: str) -> list[str]:
    """The wanted names made unique; ``base`` for those that are empty.

    Wanted names are kept free for who wants them first.
    """
    names: list[str] = []
    for name in wanted:
        names.append(free_name(name or base, {*names, *([] if name else wanted)}))
    return names
