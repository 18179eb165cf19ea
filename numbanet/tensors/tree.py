"""The tree of records: it grows by calls that were not seen before, and is kept in bounds."""

from __future__ import annotations

from typing import Any

from numbanet.tensors.trace import ROOT, Record

LIMIT = 8192
"""Records that the tree may hold before those that were not used for longest are dropped."""


class _Size:
    now = 0
    most = LIMIT


def add(parent: Record, key: Any, record: Record) -> None:
    """Let ``record`` be found after ``parent`` by ``key``."""
    parent.following[key] = record
    _Size.now += 1
    if _Size.now > _Size.most:
        prune()


def prune() -> None:
    """Drop the half of all records that was not used for longer than the other.

    Whoever is at one of them just goes on; what comes after it is not found again.
    """
    _stamp_ways()
    stamps = sorted(record.used for record in _records())
    # Those of the last trace stay: it may be one long sequence.
    oldest = stamps[len(stamps) // 2]
    for record in [ROOT, *_records()]:
        kept = {key: each for key, each in record.following.items() if each.used >= oldest}
        if len(kept) < len(record.following):
            record.following.clear()
            record.following.update(kept)
            record.ways.clear()
    _Size.now = len(_records())
    # A trace that is longer than the tree may be shall not prune it at every call.
    _Size.most = LIMIT if _Size.now < LIMIT * 3 // 4 else _Size.now + LIMIT // 2


def _stamp_ways() -> None:
    """Let who leads to a record be used as late as that: guards pass it by."""
    for record in reversed(_records()):
        if record.parent is not None:
            record.parent.used = max(record.parent.used, record.used)


def _records() -> list[Record]:
    """All records of the tree but its root."""
    found: dict[Record, None] = {}
    stack = [ROOT]
    while stack:
        # Two keys may lead to one record.
        new = [each for each in stack.pop().following.values() if each not in found]
        found.update(dict.fromkeys(new))
        stack += new
    return list(found)
