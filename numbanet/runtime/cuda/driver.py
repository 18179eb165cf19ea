"""What a CUDA device needs from below: memory, launches and graphs, all on one stream.

Two drivers offer it: `RealDriver`, NVIDIA's, and `SimulatorDriver`, in host memory.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from numbanet.kernels.kernel import Kernel

Launcher = Callable[[], None]
"""Puts work on the stream that was packed before: a launch, or a whole graph of them."""


class Driver(ABC):
    """Memory by integer addresses, and one stream on which everything happens in order.

    Attributes
    ----------
    description : str
        The GPU's name.
    compute_capability : tuple of int
    """

    description: str
    compute_capability: tuple[int, int]

    @abstractmethod
    def make_current(self) -> None:
        """Let the calling thread use this device; to be called first from every thread."""

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
    def upload(self, address: int, array: np.ndarray) -> None:
        """Copy a C-contiguous array to the device, in the stream's order.

        The array may be changed as soon as this returns.
        """

    @abstractmethod
    def download(self, address: int, array: np.ndarray) -> None:
        """Wait for the work on the stream, then fill a C-contiguous array."""

    @abstractmethod
    def prepare(self, kernel: Kernel, arguments: Sequence[int | float], tiles: int) -> Launcher:
        """Compile and load ``kernel`` if it is new, and pack one launch of it."""

    @abstractmethod
    def capture(self, launchers: Sequence[Launcher]) -> Launcher:
        """One graph of all the launches, in order."""

    def time(self, launchers: Sequence[Launcher]) -> list[float]:
        """Put the work on the stream, piece by piece; the seconds that each took."""
        seconds = []
        for launcher in launchers:
            self.synchronise()
            start = time.perf_counter()
            launcher()
            self.synchronise()
            seconds.append(time.perf_counter() - start)
        return seconds

    @abstractmethod
    def synchronise(self) -> None:
        """Wait for the work on the stream; raises DeviceError for whatever failed in it."""
