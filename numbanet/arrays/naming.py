"""Names that users give for objects: found in a table, or refused with the nearest ones."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
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
    near = difflib.get_close_matches(str(name), known, n=3)
    raise ArgumentError(
        f"unknown {what}",
        got=repr(name),
        expected=", ".join([*known, alternative] if alternative else known),
        mend=f"Nearest: {', '.join(map(repr, near))}" if near else None,
    )
