"""The CUDA device: programs in its memory, and the numbers of their variables."""

from __future__ import annotations

import numpy as np

from numbanet.ir import Node, Variable
from numbanet.kernels.cuda import LOWERINGS
from numbanet.kernels.kernel import Call
from numbanet.plan.program import Program
from numbanet.runtime.cuda.driver import Driver
from numbanet.runtime.cuda.executable import CudaExecutable
from numbanet.runtime.cuda.memory import ALIGNMENT, Memory
from numbanet.runtime.device import Device


class CudaDevice(Device):
    """A GPU behind a driver, which is NVIDIA's or the simulator's.

    Parameters
    ----------
    driver : Driver
    """

    name = "cuda"
    alignment = ALIGNMENT
    native = frozenset(LOWERINGS)

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self._memory = Memory(driver)

    def lower(self, node: Node) -> tuple[Call, ...]:
        return LOWERINGS[node.op.name](node)

    def load(self, program: Program) -> CudaExecutable:
        self.driver.make_current()
        addresses, blocks = self._memory.place(program)
        for buffer in program.buffers:
            if buffer.kind == "constant" and buffer.array is not None:
                self.driver.upload(addresses[buffer], np.ascontiguousarray(buffer.array))
            elif buffer.kind == "zeroed":
                self.driver.zero(addresses[buffer], buffer.nbytes)
        self.bring_home(program)
        return CudaExecutable(self, program, addresses, blocks)

    def bring_home(self, program: Program) -> None:
        """Move variables here that are not: new ones, and those another device took."""
        for variable in program.variables:
            if variable.home is not self:
                self.driver.upload(self._memory.address_of(variable), variable.move(self))

    def read(self, variable: Variable) -> np.ndarray:
        numbers = np.empty(variable.type.sizes, variable.type.dtype.numpy)
        self.driver.make_current()
        self.driver.download(self._memory.address_of(variable), numbers)
        return numbers

    def write(self, variable: Variable, array: np.ndarray) -> None:
        self.driver.make_current()
        numbers = np.ascontiguousarray(array, variable.type.dtype.numpy)
        self.driver.upload(self._memory.address_of(variable), numbers)
