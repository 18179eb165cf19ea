"""Memory for values within programs."""

from __future__ import annotations

from collections.abc import Iterator

from numbanet.plan.program import Buffer, Program
from numbanet.runtime.host import ALIGNMENT, aligned


class Arena:
    """Memory for values that are dead between runs: one for all programs of a device.

    Programs never run at once, so they can share it, and a program that is loaded last does
    not cost more memory than the largest. It only grows; when it does it moves, and its
    ``version`` changes.
    """

    def __init__(self) -> None:
        self.version = 0
        self._memory = aligned(0)

    def reserve(self, program: Program) -> None:
        """Be at least as large as ``program`` needs."""
        nbytes = sum(_padded(buffer.nbytes) for buffer in _arena_buffers(program))
        if nbytes > self._memory.nbytes:
            self._memory = aligned(nbytes)
            self.version += 1

    def addresses(self, program: Program) -> Iterator[tuple[Buffer, int]]:
        """Where each of the program's arena buffers lies."""
        address = self._memory.ctypes.data
        for buffer in _arena_buffers(program):
            yield buffer, address
            address += _padded(buffer.nbytes)


def _arena_buffers(program: Program) -> Iterator[Buffer]:
    return (buffer for buffer in program.buffers if buffer.kind == "arena")


def _padded(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
