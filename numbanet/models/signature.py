"""The signature of a model: what goes in and what comes out, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet.arrays.inputs import as_array
from numbanet.errors import ArgumentError
from numbanet.ir import DType, TensorType, Value
from numbanet.layers.structure import flatten, map_leaves
from numbanet.arrays.ids import Limit, id_limits
from numbanet.models.names import free_name


@dataclass(frozen=True)
class Signature:
    """Types with the batch size unknown, and how outputs are handed back.

    Attributes
    ----------
    inputs, outputs : dict of str to TensorType
    structure : nested lists, tuples and dicts
        With the outputs' names as leaves.
    id_limits : dict of str to Limit
        Inputs that index tables, and how many rows those have.
    """

    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]
    structure: Any
    id_limits: Mapping[str, Limit]


def make_signature(
    inputs: Mapping[str, Value], outputs: Any, names: list[str] | None = None
) -> Signature:
    """The signature of a model that was recorded from ``inputs`` to ``outputs``."""
    named, structure = _name_outputs(outputs, names)
    return Signature(
        {name: value.type for name, value in inputs.items()},
        {name: value.type for name, value in named.items()},
        structure,
        id_limits(inputs, named.values()),
    )


def _name_outputs(outputs: Any, names: list[str] | None) -> tuple[dict[str, Value], Any]:
    """Values by name, and the structure with names for leaves.

    ``names`` are those of the leaves in order; by default a dict's keys, or ``output``,
    ``output_1``, ...
    """
    leaves = flatten(outputs)
    for leaf in leaves:
        if not isinstance(leaf, Value):
            raise ArgumentError("a model returns values", got=repr(leaf))
    if names is None and isinstance(outputs, dict) and len(leaves) == len(outputs):
        names = list(outputs)
    if names is None:
        names = []
        for _ in leaves:
            names.append(free_name("output", names))
    remaining = iter(names)
    structure = map_leaves(lambda _: next(remaining), outputs)
    return dict(zip(names, leaves, strict=True)), structure


def input_types(data: Any, *, takes_ids: bool) -> dict[str, TensorType]:
    """Types of a model's inputs as its first data shows them, the batch size left open.

    Integers are ids to a model that looks ids up, and numbers (pixels, counts) to any other.
    """
    if isinstance(data, Mapping):
        parts = dict(data)
    else:
        several = isinstance(data, list | tuple) and all(
            isinstance(x, np.ndarray) for x in data
        )
        parts = {}
        for part in data if several else [data]:
            parts[free_name("input", parts)] = part
    types = {}
    for name, part in parts.items():
        array = as_array(part, f"input {name!r}")
        are_ids = takes_ids and array.dtype.kind in "iu"
        dtype = DType.INT64 if are_ids else DType.FLOAT32
        types[name] = TensorType((None, *array.shape[1:]), dtype)
    return types
