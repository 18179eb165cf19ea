"""The driver below a simulated device: host memory, and kernels on Numba's simulator.

Addresses are those of host memory. Fresh memory is full of NaN, so that tests notice whoever
reads what nobody wrote.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from numbanet.errors import DeviceError, OutOfMemoryError
from numbanet.kernels.cuda.compile import numpy_dtype
from numbanet.kernels.cuda.simulate import launch
from numbanet.kernels.kernel import Kernel
from numbanet.runtime.cuda.driver import Driver, Graph, Launcher, Mark, Packed

_ALIGNMENT = 256
_POISON = 0xFF  # every float32 and float64 of these bytes is NaN


class SimulatorDriver(Driver):
    """A CUDA device that is not there.

    Parameters
    ----------
    memory_bytes : int
        Where allocation fails.
    """

    description = "Numba's CUDA simulator"
    compute_capability = (9, 0)

    def __init__(self, memory_bytes: int = 1 << 30) -> None:
        super().__init__()
        self._memory_bytes = memory_bytes
        self._blocks: dict[int, np.ndarray] = {}
        self._starts: list[int] = []

    def push(self) -> None:
        """Every thread may use the simulator."""

    def pop(self) -> None:
        """Every thread may use the simulator."""

    def memory_info(self) -> tuple[int, int]:
        self.free_returned()
        used = sum(block.nbytes for block in self._blocks.values())
        return self._memory_bytes - used, self._memory_bytes

    def allocate(self, nbytes: int) -> int:
        free, _ = self.memory_info()
        if nbytes > free:
            raise OutOfMemoryError("the simulator's memory is full")
        whole = np.full(nbytes + _ALIGNMENT, _POISON, np.uint8)
        block = whole[-whole.ctypes.data % _ALIGNMENT :][:nbytes]
        address = block.ctypes.data
        self._blocks[address] = block
        self._starts = sorted(self._blocks)
        return address

    def free(self, address: int) -> None:
        del self._blocks[address]
        self._starts = sorted(self._blocks)

    def zero(self, address: int, nbytes: int) -> None:
        self._bytes_from(address)[:nbytes] = 0

    def upload(self, address: int, array: np.ndarray, after: Mark | None = None) -> None:
        numbers = array.reshape(-1).view(np.uint8)
        self._bytes_from(address)[: numbers.size] = numbers

    def copy(self, to: int, address: int, nbytes: int) -> None:
        self._bytes_from(to)[:nbytes] = self._bytes_from(address)[:nbytes]

    def download(self, address: int, array: np.ndarray) -> None:
        numbers = array.reshape(-1).view(np.uint8)
        numbers[:] = self._bytes_from(address)[: numbers.size]

    def load(self, kernel: Kernel) -> None:
        """Kernels are Python functions."""

    def prepare(self, kernel: Kernel, arguments: Sequence[int | float], tiles: int) -> Launcher:
        bound = [
            self._array(name, int(argument)) if name.endswith("*") else argument
            for name, argument in zip(kernel.signature, arguments, strict=True)
        ]

        def launcher(lane: int) -> None:
            try:
                launch(kernel, bound, tiles)
            except IndexError as error:
                raise DeviceError(f"the simulator reports: {error}") from error

        return launcher

    def capture(self, step: Sequence[Packed], times: int = 1) -> Graph:
        recorded = tuple(step) * times

        def replay() -> None:
            for each in recorded:
                each.launcher(0)

        return replay

    def mark(self, mark: Mark | None = None) -> Mark:
        return ()

    def is_past(self, mark: Mark) -> bool:
        return True

    def follow(self, stream: int) -> None:
        """Launches are done when they return."""

    def precede(self, stream: int) -> None:
        """Launches are done when they return."""

    def owner_of(self, address: int) -> int | None:
        return self.ordinal if self._block_of(address) is not None else None

    def synchronise(self) -> None:
        """Launches are done when they return."""

    def _array(self, name: str, address: int) -> np.ndarray:
        """What a pointer of this type at ``address`` can reach: the rest of the block."""
        dtype = numpy_dtype(name)
        reachable = self._bytes_from(address)
        return reachable[: reachable.size // dtype.itemsize * dtype.itemsize].view(dtype)

    def _bytes_from(self, address: int) -> np.ndarray:
        start = self._block_of(address)
        if start is None:
            raise DeviceError(f"no allocation holds address {address:#x}")
        return self._blocks[start][address - start :]

    def _block_of(self, address: int) -> int | None:
        place = bisect_right(self._starts, address) - 1
        if place < 0:
            return None
        start = self._starts[place]
        return start if address - start <= self._blocks[start].size else None
