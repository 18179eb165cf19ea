"""Host memory that starts on a cache line: vectors that cross lines are loaded twice."""

from __future__ import annotations

import ctypes
import math
import sys
from typing import Any

import numpy as np

from numbanet.errors import OutOfMemoryError

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector."""

_SMALL = 256 * 1024
"""Bytes of a batch that products read as fast from anywhere."""

_MOST_BLOCKS = 8
"""That are kept for other batches."""


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


class Spare:
    """Memory for batches, used again when nobody holds them any more: new memory costs more
    than what is written there. For one thread."""

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []

    def rows(self, array: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """``array[indices]`` along the first axis, on a line if it is large.

        Raises
        ------
        IndexError
            As NumPy's.
        """
        nbytes = array.nbytes // (len(array) or 1) * len(indices)
        if nbytes < _SMALL or largest(indices) >= len(array):
            return array.take(indices, axis=0)
        block = self._block(nbytes + ALIGNMENT)
        start = -address_of(block) % ALIGNMENT
        shape = (len(indices), *array.shape[1:])
        rows = block[start : start + nbytes].view(array.dtype).reshape(shape)
        # Into memory that is there NumPy takes without a detour only if it need not check.
        return array.take(indices, axis=0, out=rows, mode="clip")

    def _block(self, nbytes: int) -> np.ndarray:
        for block in self._blocks:
            # Held by the list, by this loop and by the call; who has a part of it holds it.
            if block.nbytes == nbytes and sys.getrefcount(block) <= 3:
                return block
        block = np.empty(nbytes, np.uint8)
        self._blocks = [*self._blocks[1 - _MOST_BLOCKS :], block]
        return block


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
