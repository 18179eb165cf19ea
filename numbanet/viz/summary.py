"""The summary of a model as aligned plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from numbanet.arrays.naming import nearest
from numbanet.errors import ArgumentError
from numbanet.viz.outline import Outline, Part, outline

if TYPE_CHECKING:
    from numbanet.models.model import Model

_HEADER = ("Layer (type)", "Output Shape", "Param #", "Memory", "FLOPs", "Connected to")
_TRAINABLE = "Trainable"
_NUMERIC = ("Param #", "Memory", "FLOPs")

Line = tuple[str, ...]


def summary(
    model: Model,
    plan: str | None = None,
    *,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: tuple[str, str] | None = None,
) -> str:
    """A table of layers: shapes, parameters, costs and connections.

    Memory is that of a layer's outputs for one sample, FLOPs are those of its forward pass.

    Parameters
    ----------
    model : Model
        Whose inputs are known.
    plan : str, optional
        A line to add about the planned memory of a compiled step.
    expand_nested : bool
        Whether models within the model show their layers, too.
    show_trainable : bool
        Whether to add a column that says ``Y`` or ``N``; ``-`` without parameters.
    layer_range : (str, str), optional
        Names of the first and the last layer that are shown. The totals are the model's.

    Raises
    ------
    ArgumentError
        If the model does not know its inputs yet, or a name is not that of a layer.
    NotImplementedError
        For ``line_length`` and ``positions``: columns are as wide as what they hold.
    """
    for name, value in (("line_length", line_length), ("positions", positions)):
        if value is not None:
            raise NotImplementedError(f"summary(): {name} is not supported")
    whole = outline(model)
    shown = _in_range(whole, layer_range)
    lines = _input_lines(whole) if shown == whole.parts else []
    lines += [line for part in shown for line in _lines(part, whole, expand_nested, ())]
    text = _table(model.name, lines, show_trainable)
    return "\n".join([text, *_totals(model, whole), *([plan] if plan else [])])


def size(nbytes: int) -> str:
    """``1536`` -> ``1.5 KB``: 1024 bytes to the KB."""
    amount = float(nbytes)
    for unit in ("B", "KB", "MB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GB"


def _in_range(whole: Outline, names: tuple[str, str] | None) -> tuple[Part, ...]:
    if names is None:
        return whole.parts
    known = [part.name for part in whole.parts]
    for name in names:
        if name not in known:
            raise ArgumentError(
                f"no layer {name!r}", expected=", ".join(known), mend=nearest(name, known)
            )
    first, last = (known.index(name) for name in names)
    return whole.parts[first : last + 1]


# Lines are label, shape, parameters, memory, FLOPs, connection, trainable.


def _input_lines(whole: Outline, indent: str = "") -> list[Line]:
    return [
        (f"{indent}{name} (Input)", str(value.shape), "0", "", "0", "", "-")
        for name, value in whole.inputs.items()
    ]


def _lines(part: Part, holder: Outline, expand: bool, last: tuple[bool, ...]) -> Iterator[Line]:
    """As many lines as the part has shapes or connections; then those of what it holds."""
    first = (
        f"{part.parameters:,}",
        size(part.activation_bytes),
        "?" if part.flops is None else f"{part.flops:,}",
    )
    label = f"{_branch(last)}{part.name} ({part.kind})"
    connections = [
        holder.sources[value].label
        for call in part.calls
        for value in call.inputs
        if value in holder.sources
    ]
    for number, (shape, connection) in enumerate(
        zip_longest(part.shapes, connections, fillvalue="")
    ):
        if number:
            yield ("", shape, "", "", "", connection, "")
        else:
            yield (label, shape, *first, connection, _trainable(part))
    if expand and part.inner is not None:
        inner = part.inner
        yield from _input_lines(inner, _branch((*last, False)))
        for each in inner.parts:
            is_last = each is inner.parts[-1]
            yield from _lines(each, inner, expand, (*last, is_last))


def _branch(last: tuple[bool, ...]) -> str:
    """The lines of a tree in front of what lies ``len(last)`` levels deep."""
    if not last:
        return ""
    above = "".join("   " if is_last else "│  " for is_last in last[:-1])
    return above + ("└─ " if last[-1] else "├─ ")


def _trainable(part: Part) -> str:
    if part.module is None or not part.parameters:
        return "-"
    return "Y" if part.module.trainable else "N"


def _table(name: str, lines: list[Line], show_trainable: bool) -> str:
    header = (*_HEADER, _TRAINABLE)
    columns = [0, 1, 2, *([6] if show_trainable else []), 3, 4, 5]
    table = [tuple(line[column] for column in columns) for line in (header, *lines)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    rows = [_align(line, widths, table[0]) for line in table]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([f"Model: {name}", rule, rows[0], rule, *rows[1:], rule])


def _align(line: Line, widths: Sequence[int], header: Line) -> str:
    cells = [
        cell.rjust(width) if title in _NUMERIC else cell.ljust(width)
        for cell, width, title in zip(line, widths, header, strict=True)
    ]
    return "  ".join(cells).rstrip()


def _totals(model: Model, whole: Outline) -> list[str]:
    variables = model.variables().values()
    total = sum(variable.type.size for variable in variables)
    moving = sum(variable.type.size for variable in model.trainable_variables().values())
    nbytes = sum(variable.type.nbytes for variable in variables)
    costs = [part.flops for part in whole.parts]
    flops = "unknown" if None in costs else f"{sum(cost or 0 for cost in costs):,}"
    activations = sum(part.activation_bytes for part in whole.parts)
    return [
        f"Parameters: {total:,} ({size(nbytes)}), trainable {moving:,}, "
        f"not trainable {total - moving:,}",
        f"Forward pass of one sample: {flops} FLOPs, activations {size(activations)}",
    ]
