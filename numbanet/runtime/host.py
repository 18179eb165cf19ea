"""Host memory that starts on a cache line: vectors that cross lines are loaded twice."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from numbanet.errors import OutOfMemoryError

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector."""


def aligned(nbytes: int) -> np.ndarray:
    """Uninitialised bytes, the first of them at a multiple of `ALIGNMENT`."""
    try:
        memory = np.empty(nbytes + ALIGNMENT, dtype=np.uint8)
    except MemoryError:
        raise OutOfMemoryError(
            f"the CPU has no room for {nbytes / 2**20:.0f} MiB",
            mend="Use a smaller batch or a smaller model",
        ) from None
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + nbytes]


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An uninitialised array in C order."""
    dtype = np.dtype(dtype)
    return aligned(math.prod(shape) * dtype.itemsize).view(dtype).reshape(shape)


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """The same numbers in C order."""
    copy = aligned_empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def address_of(array: np.ndarray) -> int:
    """Where an array begins, in a third of the time that NumPy takes to say it."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array.data))
    except (BufferError, TypeError, ValueError):
        # Read-only, empty, or not in one piece.
        return array.ctypes.data


_UNSIGNED = {np.dtype(kind).itemsize: np.dtype(kind) for kind in ("u1", "u2", "u4", "u8")}


def largest(ids: np.ndarray) -> int:
    """The largest of an array's integers, 0 if there are none; negative ones count as very
    large, so that one look finds both ends."""
    if not ids.size:
        return 0
    return int(np.maximum.reduce(ids.view(_UNSIGNED[ids.itemsize]), axis=None))
