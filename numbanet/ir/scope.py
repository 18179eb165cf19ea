"""The path of the layer that is recording, so that every node can name it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_PATH: ContextVar[str] = ContextVar("numbanet_layer_path", default="")


def current_path() -> str:
    """Path of the innermost open scope, ``""`` outside of any."""
    return _PATH.get()


@contextmanager
def scope(name: str) -> Iterator[str]:
    """Record nodes under ``name``, below the scopes that are already open."""
    outer = _PATH.get()
    token = _PATH.set(f"{outer}/{name}" if outer else name)
    try:
        yield _PATH.get()
    finally:
        _PATH.reset(token)


@contextmanager
def at_path(path: str) -> Iterator[str]:
    """Record nodes under exactly ``path``: rewrites keep the path of the node they replace."""
    token = _PATH.set(path)
    try:
        yield path
    finally:
        _PATH.reset(token)


def common_path(paths: Iterable[str]) -> str:
    """The layers that something made of several belongs to; three at most are named."""
    layers = (layer for path in paths for layer in path.split("+") if layer)
    found = list(dict.fromkeys(layers))
    return "+".join(found[:3]) + ("+.." if len(found) > 3 else "")
