"""Ids: inputs that index into something are checked on the host, before a device uses them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from numbanet.arrays.inputs import extremes
from numbanet.errors import DataError
from numbanet.ir import Node, Value, topological
from numbanet.ir.resident import Array, Resident
from numbanet.ops.leaf import constant_number
from numbanet.runtime.host import largest

_KEEPERS = frozenset(
    {"reshape", "transpose", "cast", "slice", "split", "expand", "concatenate"}
)
"""Ops that hand integers on as they are."""


@dataclass(frozen=True)
class Limit:
    """What ids may be: ``0 .. rows - 1``, or the number that means "none"."""

    rows: int
    ignored: int | None = None


def id_limits(inputs: Mapping[str, Value], outputs: Iterable[Value]) -> dict[str, Limit]:
    """The limit of each input whose numbers name rows or classes; the smallest of several."""
    names = {value: name for name, value in inputs.items()}
    limits: dict[str, Limit] = {}
    for node in topological(outputs):
        use = _use(node)
        if use is None:
            continue
        ids, rows = use
        for name, ignored in _sources(ids, names):
            limit = limits.get(name, Limit(rows, ignored))
            limits[name] = Limit(min(rows, limit.rows), limit.ignored)
    return limits


def _use(node: Node) -> tuple[Value, int] | None:
    """Ids that ``node`` takes, and how many rows or classes there are."""
    if node.op.name == "take":
        return node.inputs[1], node.inputs[0].type.sizes[0]
    if node.op.name == "cross_entropy":
        return node.inputs[1], node.inputs[0].type.sizes[-1]
    # The comparison of labels with all classes, which a one-hot code and a likelihood make.
    if node.op.name == "equal" and node.inputs[1].node.op.name == "iota":
        return node.inputs[0], node.outputs[0].type.sizes[-1]
    return None


def _sources(ids: Value, names: Mapping[Value, str]) -> list[tuple[str, int | None]]:
    """Inputs that ``ids`` are, with the number that is put out of the way first."""
    found: list[tuple[str, int | None]] = []
    stack: list[tuple[Value, int | None]] = [(ids, None)]
    while stack:
        value, ignored = stack.pop()
        node = value.node
        if value in names:
            found.append((names[value], ignored))
        elif node.op.name in _KEEPERS:
            stack.extend((each, ignored) for each in node.inputs)
        elif node.op.name == "where" and node.inputs[0].node.op.name == "not_equal":
            compared, number = node.inputs[0].node.inputs
            exception = constant_number(number)
            if compared is node.inputs[1] and exception is not None:
                stack.append((compared, int(exception)))
    return found


def check_ids(arrays: Mapping[str, Array], limits: Mapping[str, Limit]) -> None:
    """Raise DataError if an id of an input is out of its range."""
    for name, limit in limits.items():
        check_range(name, arrays[name], limit)


def check_range(name: str, ids: Array, limit: Limit) -> None:
    """Raise DataError if one of the ids of input ``name`` is out of its range."""
    wrong = _wrong(ids, limit)
    if wrong is not None:
        raise DataError(
            f"input {name!r}: ids out of range",
            got=f"{wrong[0]} .. {wrong[1]}",
            expected=f"0 .. {limit.rows - 1}, the rows or classes there are",
        )


def _wrong(ids: Array, limit: Limit) -> tuple[int, int] | None:
    """The smallest and the largest id that is out of range; on a device, of all."""
    if isinstance(ids, Resident):
        found = extremes(ids, limit.ignored)
        is_fit = found is None or (found[0] >= 0 and found[1] < limit.rows)
        return None if is_fit else found
    if largest(ids) < limit.rows:
        return None
    return extremes(ids[((ids < 0) | (ids >= limit.rows)) & (ids != limit.ignored)])
