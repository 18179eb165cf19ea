"""Functions from generated text: the names that kernel source may use, and its compilation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numba import cuda, float32, float64, int32, int64, uint8, uint32, uint64

from numbanet.kernels.cuda import mathematics
from numbanet.kernels.cuda.intrinsics import (
    is_aligned,
    load4,
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
    "is_aligned": is_aligned,
    "load4": load4,
    "store4": store4,
    "thread_index": thread_index,
    "tile_index": tile_index,
    # Of shared arrays, so that quads of numbers are loaded at once. The simulator knows none.
    "ALIGNMENT": None if SIMULATED else 16,
    **mathematics.NAMES,
}


def make_generated(text: str) -> Callable[..., None]:
    """The function ``kernel`` that ``text`` defines."""
    return compile_source(text, "kernel", NAMESPACE)
