"""What layers add to the loss besides what is said of their weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from numbanet.ir import Value

_PENALTIES: ContextVar[list[Value] | None] = ContextVar("numbanet_penalties", default=None)


@contextmanager
def penalties() -> Iterator[list[Value]]:
    """The list yielded takes what layers that the block records add to the loss.

    Batches have to be of known size.
    """
    found: list[Value] = []
    token = _PENALTIES.set(found)
    try:
        yield found
    finally:
        _PENALTIES.reset(token)


def current_penalties() -> list[Value] | None:
    """The list of the innermost block; None where nobody asks for a loss."""
    return _PENALTIES.get()
