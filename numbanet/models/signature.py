"""The signature of a model: what goes in and what comes out, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet.arrays.ids import Limit, id_limits
from numbanet.arrays.inputs import as_data
from numbanet.errors import ArgumentError, DataError
from numbanet.ir import DType, TensorType, Value
from numbanet.ir.resident import Resident
from numbanet.layers.masks import mask_of
from numbanet.layers.structure import flatten, map_leaves
from numbanet.models.names import free_name, leaf_paths, name_leaves


@dataclass(frozen=True)
class Signature:
    """Types with the batch size unknown, and how outputs are handed back.

    Attributes
    ----------
    inputs, outputs : dict of str to TensorType
    structure, input_structure : nested lists, tuples and dicts
        With the names of outputs, and of inputs, as leaves.
    id_limits : dict of str to Limit
        Inputs that index tables, and how many rows those have.
    masked : frozenset of str
        Outputs that have masks.
    """

    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]
    structure: Any
    id_limits: Mapping[str, Limit]
    input_structure: Any = None
    masked: frozenset[str] = frozenset()

    def named_inputs(self, data: Any) -> Any:
        """``data`` by input name, if it is nested as the inputs are; else as it came."""
        return named(self.input_structure, data)

    def named_outputs(self, data: Any) -> Any:
        """``data`` by output name, if it is nested as the outputs are; else as it came."""
        return named(self.structure, data)


def make_signature(
    inputs: Mapping[str, Value],
    outputs: Any,
    names: list[str] | None = None,
    input_structure: Any = None,
) -> Signature:
    """The signature of a model that was recorded from ``inputs`` to ``outputs``.

    Parameters
    ----------
    names : list of str, optional
        Of the outputs in order.
    input_structure : nested lists, tuples and dicts, optional
        By default the inputs' names one after the other.
    """
    found, structure = _name_outputs(outputs, names)
    if input_structure is None:
        input_structure = list(inputs) if len(inputs) > 1 else next(iter(inputs), None)
    return Signature(
        {name: value.type for name, value in inputs.items()},
        {name: value.type for name, value in found.items()},
        structure,
        id_limits(inputs, found.values()),
        input_structure,
        frozenset(name for name, value in found.items() if mask_of(value) is not None),
    )


def with_names(structure: Any, names: Iterable[str]) -> Any:
    """``structure`` with ``names`` for its leaves, in order."""
    remaining = iter(names)
    return map_leaves(lambda _: next(remaining), structure)


def named(structure: Any, data: Any) -> Any:
    """``data``, nested as ``structure`` is, by the names that are the leaves of that.

    Data that is a leaf, a list of leaves or a mapping by name says already what is what.

    Raises
    ------
    DataError
        If it is nested in another way.
    """
    parts = structure.values() if isinstance(structure, Mapping) else structure
    if isinstance(structure, str) or all(isinstance(part, str) for part in parts):
        return data
    if isinstance(data, Mapping) and set(data) == set(flatten(structure)):
        return data
    found: dict[str, Any] = {}
    _match(structure, data, found)
    return found


def _match(structure: Any, data: Any, found: dict[str, Any]) -> None:
    if isinstance(structure, str):
        found[structure] = data
        return
    if isinstance(structure, Mapping):
        fits = isinstance(data, Mapping) and set(data) == set(structure)
        keys: Iterable[Any] = structure
    else:
        fits = isinstance(data, list | tuple) and len(data) == len(structure)
        keys = range(len(structure))
    if not fits:
        raise DataError(
            "the data are not nested as the model is",
            got=_outline(data),
            expected=repr(structure),
        )
    for key in keys:
        _match(structure[key], data[key], found)


def _outline(data: Any) -> str:
    if isinstance(data, Mapping):
        return f"a mapping of {', '.join(map(repr, data)) or 'nothing'}"
    is_list = isinstance(data, list | tuple)
    return f"a {type(data).__name__}" + (f" of {len(data)}" if is_list else "")


def _name_outputs(outputs: Any, names: list[str] | None) -> tuple[dict[str, Value], Any]:
    """Values by name, and the structure with names for leaves.

    ``names`` are those of the leaves in order; by default their places in dicts, or
    ``output``, ``output_1``, ...
    """
    leaves = flatten(outputs)
    for leaf in leaves:
        if not isinstance(leaf, Value):
            raise ArgumentError("a model returns values", got=repr(leaf))
    names = names or name_leaves(leaf_paths(outputs), "output")
    return dict(zip(names, leaves, strict=True)), with_names(outputs, names)


def input_types(data: Any, *, takes_ids: bool) -> dict[str, TensorType]:
    """Types of a model's inputs as its first data shows them, the batch size left open.

    Integers are ids to a model that looks ids up, and numbers (pixels, counts) to any other.
    """
    if isinstance(data, Mapping):
        parts = dict(data)
    else:
        several = isinstance(data, list | tuple) and all(
            isinstance(x, np.ndarray | Resident) for x in data
        )
        parts = {}
        for part in data if several else [data]:
            parts[free_name("input", parts)] = part
    types = {}
    for name, part in parts.items():
        array = as_data(part, f"input {name!r}")
        are_ids = takes_ids and array.dtype.kind in "iu"
        dtype = DType.INT64 if are_ids else DType.FLOAT32
        types[name] = TensorType((None, *array.shape[1:]), dtype)
    return types
