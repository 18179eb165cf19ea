"""Names that users give for objects: found in a table, or refused with the nearest ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from numbanet.errors import ArgumentError

T = TypeVar("T")


def find(what: str, name: object, known: Mapping[str, T], alternative: str = "") -> T:
    """The entry of ``known`` called ``name``.

    Parameters
    ----------
    what : str
        What the entries are, for the message.
    alternative : str
        What else than a name could have been given.

    Raises
    ------
    ArgumentError
        Naming the nearest of the known names.
    """
    if isinstance(name, str) and name in known:
        return known[name]
    raise ArgumentError(
        f"unknown {what}",
        got=repr(name),
        expected=", ".join([*known, alternative] if alternative else known),
        mend=nearest(name, known),
    )


def nearest(name: object, known: Iterable[str]) -> str | None:
    """What to try in the place of a name that is not known; None if nothing is like it."""
    near = difflib.get_close_matches(str(name), list(known), n=3)
    return f"Nearest: {', '.join(map(repr, near))}" if near else None
