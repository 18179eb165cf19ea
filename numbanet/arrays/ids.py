"""Ids: which inputs index into tables, so that the host can check them before a device does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from numbanet.errors import DataError
from numbanet.ir import Value, topological

_KEEPERS = frozenset(
    {"reshape", "transpose", "cast", "slice", "split", "expand", "concatenate"}
)
"""Ops that hand integers on as they are."""


def id_limits(inputs: Mapping[str, Value], outputs: Iterable[Value]) -> dict[str, int]:
    """Rows of the smallest table that each input's numbers index."""
    names = {value: name for name, value in inputs.items()}
    limits: dict[str, int] = {}
    for node in topological(outputs):
        if node.op.name != "take":
            continue
        table, ids = node.inputs
        for name in _sources(ids, names):
            limits[name] = min(table.type.sizes[0], limits.get(name, table.type.sizes[0]))
    return limits


def _sources(ids: Value, names: Mapping[Value, str]) -> list[str]:
    found, stack = [], [ids]
    while stack:
        value = stack.pop()
        if value in names:
            found.append(names[value])
        elif value.node.op.name in _KEEPERS:
            stack.extend(value.node.inputs)
    return found


def check_ids(arrays: Mapping[str, np.ndarray], limits: Mapping[str, int]) -> None:
    """Raise DataError if an id is outside of its table."""
    for name, rows in limits.items():
        array = arrays[name]
        if array.size and not (array.min() >= 0 and array.max() < rows):
            raise DataError(
                f"input {name!r}: ids out of range",
                got=f"{array.min()} .. {array.max()}",
                expected=f"0 .. {rows - 1}, the rows of the embedding",
            )
