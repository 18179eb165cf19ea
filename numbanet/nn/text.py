"""How modules print."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby


def describe(name: str, extra: str, children: Iterable[tuple[str, str]]) -> str:
    """``Name(extra)``, or over several lines where there are children.

    Parameters
    ----------
    name : str
    extra : str
        What the class says of itself; may have several lines.
    children : iterable of (str, str)
        Keys and texts.
    """
    said = extra.split("\n") if extra else []
    held = [indent(f"({key}): {text}") for key, text in children]
    if not held and len(said) <= 1:
        return f"{name}({extra})"
    return "\n".join([f"{name}(", *(f"  {line}" for line in [*said, *held]), ")"])


def indent(text: str) -> str:
    """``text`` with all lines but the first moved by two columns."""
    return text.replace("\n", "\n  ")


def fold(children: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Runs of the same text as one: ``(0-2): 3 x Linear(...)``."""
    folded = []
    numbered = enumerate(text for _, text in children)
    for text, run in groupby(numbered, key=lambda pair: pair[1]):
        positions = [position for position, _ in run]
        first, last = positions[0], positions[-1]
        if first == last:
            folded.append((str(first), text))
        else:
            folded.append((f"{first}-{last}", f"{len(positions)} x {text}"))
    return folded
