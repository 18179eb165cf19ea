"""Watching modules for changes, so that what is remembered of them is forgotten."""

from __future__ import annotations

from typing import Any


class Watch:
    """Counts the changes of modules that are part of a shortcut; see `numbanet.nn.shortcuts`.

    Attributes
    ----------
    number : int
        Of the class: how many there were.
    """

    number = 0

    @staticmethod
    def see(attributes: dict[str, Any]) -> None:
        """Count a change of the module that has ``attributes``, if it is watched."""
        if "_is_watched" in attributes:
            Watch.number += 1
