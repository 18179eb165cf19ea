"""A look at ids, before a program uses them to index memory."""

from __future__ import annotations

import ctypes

from numbanet.ir import DType
from numbanet.kernels.cpu.compile import compile_kernel
from numbanet.kernels.cpu.indexing import largest_id

_MASK = 2**64 - 1


class Look:
    """Finds the largest of ids of one type. NumPy takes several times as long for few of them,
    and a loop looks at the labels of each batch.

    Parameters
    ----------
    dtype : DType
    """

    def __init__(self, dtype: DType) -> None:
        self._entry = compile_kernel(largest_id(dtype)).entry
        self._words = (ctypes.c_int64 * 4)()
        self._start = ctypes.addressof(self._words)
        self._words[2] = self._start + 3 * ctypes.sizeof(ctypes.c_int64)

    def __call__(self, address: int, count: int) -> int:
        """The largest of ``count`` ids at ``address``; negative ones count as very large."""
        words = self._words
        words[0], words[1] = address, count
        self._entry(0, 1, self._start)
        return words[3] & _MASK
