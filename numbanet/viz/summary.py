"""The summary of a model as aligned plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest


@dataclass(frozen=True)
class Row:
    """A layer, or an op outside of any.

    Attributes
    ----------
    name, kind : str
    shapes : tuple of str
        One, or one for each call where they differ.
    parameters : int
    flops : int
        Of the forward pass, for one sample.
    connected_to : tuple of str
    """

    name: str
    kind: str
    shapes: tuple[str, ...]
    parameters: int
    flops: int
    connected_to: tuple[str, ...]


@dataclass(frozen=True)
class Description:
    """What a summary shows.

    Attributes
    ----------
    name : str
    rows : tuple of Row
    trainable, frozen : int
        Numbers of parameters.
    parameter_bytes : int
    activation_bytes : int
        Of all rows' outputs, for one sample.
    plan : str, optional
        A line about the planned memory of a compiled step.
    """

    name: str
    rows: tuple[Row, ...]
    trainable: int
    frozen: int
    parameter_bytes: int
    activation_bytes: int
    plan: str | None = None


_HEADER = ("Layer (type)", "Output shape", "Param #", "FLOPs", "Connected to")
_NUMERIC = (2, 3)


def render(model: Description) -> str:
    """The table and the totals below it."""
    table = [_HEADER, *(line for row in model.rows for line in _lines(row))]
    widths = [max(len(line[column]) for line in table) for column in range(len(_HEADER))]
    lines = [_align(line, widths) for line in table]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    flops = sum(row.flops for row in model.rows)
    totals = [
        f"Parameters: {model.trainable + model.frozen:,} ({size(model.parameter_bytes)}), "
        f"trainable {model.trainable:,}, not trainable {model.frozen:,}",
        f"Forward pass of one sample: {flops:,} FLOPs, "
        f"activations {size(model.activation_bytes)}",
    ]
    if model.plan is not None:
        totals.append(model.plan)
    parts = [f"Model: {model.name}", rule, lines[0], rule, *lines[1:], rule, *totals]
    return "\n".join(parts)


def _lines(row: Row) -> list[tuple[str, ...]]:
    """As many lines as the row has shapes or connections."""
    first = (f"{row.name} ({row.kind})", f"{row.parameters:,}", f"{row.flops:,}")
    lines = []
    for shape, connection in zip_longest(row.shapes, row.connected_to, fillvalue=""):
        name, parameters, flops = ("", "", "") if lines else first
        lines.append((name, shape, parameters, flops, connection))
    return lines


def _align(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if column in _NUMERIC else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def size(nbytes: int) -> str:
    """``1536`` -> ``1.5 KB``: 1024 bytes to the KB."""
    amount = float(nbytes)
    for unit in ("B", "KB", "MB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GB"
