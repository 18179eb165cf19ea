"""What a program's inputs are bound to: memory of their own, or arrays that are on the GPU."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from numbanet.errors import ShapeError
from numbanet.ir.resident import is_foreign
from numbanet.plan.program import Buffer
from numbanet.runtime.cuda.arrays import DeviceArray, adopt, require_aligned
from numbanet.runtime.cuda.driver import Driver, Mark
from numbanet.runtime.cuda.memory import Block

_MOST_DOUBLED = 64 << 20
"""Bytes of an input; a larger one is not worth two pieces of memory."""


class Input:
    """An input, and where its numbers are.

    Host arrays are uploaded to two pieces of memory in turn: the next batch travels while steps
    still read the last one. Arrays on the GPU are read where they lie.

    Attributes
    ----------
    address : int or None
        None before the first `bind`.
    """

    def __init__(self, driver: Driver, name: str, buffer: Buffer) -> None:
        self.name = name
        self.address: int | None = None
        self._driver, self._buffer = driver, buffer
        self._slots: list[_Slot] = []
        self._turn = 0
        self._array: DeviceArray | None = None
        self._retired: deque[tuple[Mark, DeviceArray]] = deque()

    def bind(self, array: Any) -> None:
        """Read ``array`` from now on; whoever calls this has the driver."""
        if isinstance(array, np.ndarray):
            self._require_fit(array.nbytes, array.dtype, array.shape, array.flags.c_contiguous)
            self._retire()
            self._upload(array)
        elif isinstance(array, DeviceArray) or is_foreign(array):
            adopted = adopt(self._driver, array)
            require_aligned(adopted)
            self._require_fit(adopted.nbytes, adopted.dtype, adopted.shape, True)
            self._retire()
            self._array, self.address = adopted, adopted.address
        else:
            raise ShapeError(
                f"input {self.name!r} cannot take this",
                got=type(array).__name__,
                expected="an array on the host, or on the GPU",
            )

    def unbind(self) -> None:
        """Hold no array any longer that is not the input's own memory."""
        if self._array is not None:
            self._retire()
            self.address = None

    def before_run(self) -> None:
        """Let the run wait for the library that owns the numbers."""
        if self._array is not None and self._array.stream:
            self._driver.follow(self._array.stream)

    def after_run(self) -> None:
        """Note that the run reads the numbers."""
        if self._array is None:
            self._slots[self._turn].was_read = True
        elif self._array.stream:
            self._driver.precede(self._array.stream)

    def _upload(self, array: np.ndarray) -> None:
        if self._slots and self._slots[self._turn].was_read:
            self._next_slot()
        elif not self._slots:
            self._slots.append(_Slot(Block(self._driver, self._buffer.nbytes)))
        slot = self._slots[self._turn]
        self._driver.upload(slot.block.address, array, slot.read)
        slot.was_read = False
        slot.read = None
        self.address = slot.block.address

    def _next_slot(self) -> None:
        """The last slot is read by all that is on the stream by now, and the other one only by
        what came before that slot was filled."""
        slot = self._slots[self._turn]
        slot.event = slot.read = self._driver.mark(slot.event)
        if self._buffer.nbytes > _MOST_DOUBLED:
            return
        if len(self._slots) == 1:
            self._slots.append(_Slot(Block(self._driver, self._buffer.nbytes)))
        self._turn = 1 - self._turn

    def _retire(self) -> None:
        """Let go of an array that is not ours once the steps that read it are done."""
        if self._array is not None:
            self._retired.append((self._driver.mark(), self._array))
            self._array = None
        while self._retired and self._driver.is_past(self._retired[0][0]):
            self._retired.popleft()

    def _require_fit(
        self, nbytes: int, dtype: np.dtype, shape: tuple[int, ...], is_contiguous: bool
    ) -> None:
        if nbytes != self._buffer.nbytes or not is_contiguous:
            raise ShapeError(
                f"input {self.name!r} cannot take this array",
                got=f"{dtype}{list(shape)}",
                expected=f"a C-contiguous {self._buffer.type}",
            )


class _Slot:
    """Memory for an input. ``read`` is where the work ends that reads what is in it."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.event: Mark | None = None  # to be used again
        self.read: Mark | None = None
        self.was_read = False
