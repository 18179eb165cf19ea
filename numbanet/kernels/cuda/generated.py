"""Functions from generated text: the names that kernel source may use, and its compilation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from numba import cuda, float32, float64, int32, int64, uint8, uint32, uint64

from numbanet.kernels.cuda import mathematics
from numbanet.kernels.cuda.intrinsics import (
    copy4,
    finish_copies,
    is_aligned,
    load4,
    shuffle_down,
    store4,
    thread_index,
    tile_index,
)
from numbanet.kernels.cuda.simulate import SIMULATED
from numbanet.kernels.source import compile_source

NAMESPACE: dict[str, Any] = {
    "cuda": cuda,
    "float32": float32,
    "float64": float64,
    "int32": int32,
    "int64": int64,
    "uint8": uint8,
    "uint32": uint32,
    "uint64": uint64,
    "inf": math.inf,
    "nan": math.nan,
    "copy4": copy4,
    "finish_copies": finish_copies,
    "is_aligned": is_aligned,
    "load4": load4,
    "shuffle_down": shuffle_down,
    "store4": store4,
    "thread_index": thread_index,
    "tile_index": tile_index,
    # Of shared arrays, so that quads of numbers are loaded at once. The simulator knows none.
    "ALIGNMENT": None if SIMULATED else 16,
    **mathematics.NAMES,
}


class Source(Protocol):
    """Text that calls functions of its own, beside those of `NAMESPACE`.

    Attributes
    ----------
    text : str
    is_heavy : bool
        Whether a thread needs so many registers that few blocks fit a multiprocessor.
    """

    @property
    def text(self) -> str: ...

    @property
    def is_heavy(self) -> bool: ...

    def functions(self) -> Mapping[str, Any]:
        """Its own functions by name."""
        ...


Text = str | Source


def make_generated(source: Text) -> Callable[..., None]:
    """The function ``kernel`` that ``source`` defines."""
    return compile_source(text_of(source), "kernel", NAMESPACE | functions_of(source))


def text_of(source: Text) -> str:
    return source if isinstance(source, str) else source.text


def functions_of(source: Text) -> dict[str, Any]:
    return {} if isinstance(source, str) else dict(source.functions())
