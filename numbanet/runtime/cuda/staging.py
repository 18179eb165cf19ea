"""Uploads: through pinned memory, on a stream of their own, while other work goes on.

From pageable memory the driver would wait for its stream before it copies. So arrays go through
two pinned buffers in turn: while one is on its way, the other is filled.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

_PINNED_BYTES = 4 << 20
"""Of one of the buffers."""
_GRAIN = 64
"""Small arrays share a buffer; each starts at a multiple of this."""


class CopyStream:
    """A stream for uploads, and two buffers that they go through.

    Parameters
    ----------
    api : module
        ``cuda.bindings.driver``.
    check : callable
        Takes what a function of ``api`` returned: its results, or an error.
    main : CUstream
        The stream on which the copies are used.
    """

    def __init__(self, api: Any, check: Callable[[tuple[Any, ...]], Any], main: Any) -> None:
        self._api, self._check, self._main = api, check, main
        flags = api.CUstream_flags.CU_STREAM_NON_BLOCKING
        self._stream = check(api.cuStreamCreate(flags.value))
        timeless = api.CUevent_flags.CU_EVENT_DISABLE_TIMING
        self._point = check(api.cuEventCreate(timeless.value))
        self._sent = [check(api.cuEventCreate(timeless.value)) for _ in range(2)]
        self._buffers: list[np.ndarray] = []
        self._turn = 0
        self._used = 0

    def send(self, address: int, array: np.ndarray, after: Any = None) -> None:
        """Copy ``array`` to the device after the event ``after``, by default after all that
        is on the main stream; what comes on that later waits for the copy."""
        check, api = self._check, self._api
        if after is None:
            after = self._point
            check(api.cuEventRecord(after, self._main))
        check(api.cuStreamWaitEvent(self._stream, after, 0))
        numbers = array.reshape(-1).view(np.uint8)
        done = 0
        while done < numbers.size:
            done += self._send_piece(address + done, numbers[done:])
        check(api.cuEventRecord(self._point, self._stream))
        check(api.cuStreamWaitEvent(self._main, self._point, 0))

    def _send_piece(self, address: int, numbers: np.ndarray) -> int:
        """Copy as much as there is room for; returns how many bytes that was."""
        if self._used >= _PINNED_BYTES or not self._buffers:
            self._turn_over()
        pinned = self._buffers[self._turn][self._used :]
        count = min(numbers.size, pinned.size)
        pinned[:count] = numbers[:count]
        source = pinned.ctypes.data
        self._check(self._api.cuMemcpyHtoDAsync(address, source, count, self._stream))
        self._used += -(-count // _GRAIN) * _GRAIN
        return count

    def _turn_over(self) -> None:
        """Go on with the other buffer, once nobody reads it any more."""
        if not self._buffers:
            self._buffers = [self._pin(), self._pin()]
        else:
            self._check(self._api.cuEventRecord(self._sent[self._turn], self._stream))
            self._turn = 1 - self._turn
            # An event that was never recorded is past.
            self._check(self._api.cuEventSynchronize(self._sent[self._turn]))
        self._used = 0

    def _pin(self) -> np.ndarray:
        address = int(self._check(self._api.cuMemHostAlloc(_PINNED_BYTES, 0)))
        return np.ctypeslib.as_array((ctypes.c_uint8 * _PINNED_BYTES).from_address(address))
