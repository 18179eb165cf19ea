"""What a CUDA device needs from below: memory, launches and graphs, on one stream.

Two drivers offer it: `RealDriver`, NVIDIA's, and `SimulatorDriver`, in host memory.
"""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet.errors import DeviceError
from numbanet.kernels.kernel import Kernel

Launcher = Callable[[int], None]
"""Puts a launch that was packed before on the stream of a lane; lane 0's is the main one."""

Graph = Callable[[], None]
"""Puts a whole graph of launches on the main stream."""

Mark = Any
"""A point in the stream's work, see `Driver.mark`."""


@dataclass(frozen=True)
class Packed:
    """A launch, its lane, and which launches of other lanes it waits for, by their numbers."""

    launcher: Launcher
    lane: int = 0
    after: tuple[int, ...] = ()


class Driver(ABC):
    """Memory by integer addresses, and one stream on which everything happens in order.

    One thread has the driver at a time, and only within ``with driver:``. So no work of another
    thread gets between the launches that are captured, or between an input and its run.

    Attributes
    ----------
    description : str
        The GPU's name.
    compute_capability : tuple of int
    ordinal : int
        The GPU's number.
    stream : int
        What other libraries call the stream.
    """

    description: str
    compute_capability: tuple[int, int]
    ordinal: int = 0
    stream: int = 0
    is_capturing = False

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._returned: deque[int] = deque()
        self._process = os.getpid()

    def __enter__(self) -> None:
        self.require_own_process()
        self._lock.acquire()
        try:
            self.push()
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, *_: object) -> None:
        self.pop()
        self._lock.release()

    def require_own_process(self) -> None:
        """Raise DeviceError in a child of the process that opened the device."""
        if self._process != os.getpid():
            raise DeviceError(
                "a CUDA device cannot be used in a forked process",
                mend='Start processes with the method "spawn", or use device="cpu" in them',
            )

    def give_back(self, address: int) -> None:
        """Free memory now or, where that is not possible now, before more is allocated.

        Anybody may call it at any time, such as the garbage collector amid a capture.
        """
        if self._process != os.getpid():
            return
        self._returned.append(address)
        if self._lock.acquire(blocking=False):
            try:
                self.free_returned()
            finally:
                self._lock.release()

    def free_returned(self) -> None:
        """Free what was given back, unless that has to wait."""
        if self._returned and not self.is_capturing:
            with self:
                while self._returned:
                    self.free(self._returned.popleft())

    @abstractmethod
    def push(self) -> None:
        """Let the calling thread use this device."""

    @abstractmethod
    def pop(self) -> None:
        """Let it use what it used before."""

    @abstractmethod
    def memory_info(self) -> tuple[int, int]:
        """Free and total bytes."""

    @abstractmethod
    def allocate(self, nbytes: int) -> int:
        """Address of fresh memory, a multiple of 256; raises OutOfMemoryError."""

    @abstractmethod
    def free(self, address: int) -> None:
        """Give memory back once the work that uses it is done."""

    @abstractmethod
    def zero(self, address: int, nbytes: int) -> None:
        """Fill memory with zeros, in the stream's order."""

    @abstractmethod
    def upload(self, address: int, array: np.ndarray, after: Mark | None = None) -> None:
        """Copy a C-contiguous array to the device.

        The array may be changed as soon as this returns. All later work sees the copy; it is
        made after all earlier work, or already ``after`` that mark.
        """

    @abstractmethod
    def copy(self, to: int, address: int, nbytes: int) -> None:
        """Copy memory of the device there, in the stream's order."""

    @abstractmethod
    def download(self, address: int, array: np.ndarray) -> None:
        """Wait for the work on the stream, then fill a C-contiguous array."""

    @abstractmethod
    def load(self, kernel: Kernel) -> Any:
        """Compile and load ``kernel`` if it is new."""

    @abstractmethod
    def prepare(self, kernel: Kernel, arguments: Sequence[int | float], tiles: int) -> Launcher:
        """Load ``kernel``, and pack one launch of it."""

    @abstractmethod
    def capture(self, step: Sequence[Packed], times: int = 1) -> Graph:
        """One graph of so many steps, one after the other; lanes run side by side."""

    @abstractmethod
    def mark(self, mark: Mark | None = None) -> Mark:
        """The present end of the stream's work; an old ``mark`` is moved there."""

    @abstractmethod
    def is_past(self, mark: Mark) -> bool:
        """Whether all work up to ``mark`` is done."""

    @abstractmethod
    def follow(self, stream: int) -> None:
        """Let later work here wait for what is on another library's stream now."""

    @abstractmethod
    def precede(self, stream: int) -> None:
        """Let later work on another library's stream wait for what is here now."""

    @abstractmethod
    def owner_of(self, address: int) -> int | None:
        """The number of the GPU whose memory is at ``address``; None if it is none's."""

    def time(self, launchers: Sequence[Launcher]) -> list[float]:
        """Put the launches on the main stream, one by one; the seconds that each took."""
        seconds = []
        for launcher in launchers:
            self.synchronise()
            start = time.perf_counter()
            launcher(0)
            self.synchronise()
            seconds.append(time.perf_counter() - start)
        return seconds

    @abstractmethod
    def synchronise(self) -> None:
        """Wait for the work on the stream; raises DeviceError for whatever failed in it."""
