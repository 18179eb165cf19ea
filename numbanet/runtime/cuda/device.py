"""The CUDA device: programs in its memory, and the numbers of their variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numbanet.ir import Node, Variable
from numbanet.kernels.cuda import LOWERINGS
from numbanet.kernels.cuda.cost import cost
from numbanet.kernels.cuda.group import grouped
from numbanet.kernels.kernel import Call, Cost
from numbanet.plan.program import Program
from numbanet.runtime.cuda.arrays import DeviceArray, adopt, aligned, copy, put
from numbanet.runtime.cuda.driver import Driver
from numbanet.runtime.cuda.executable import CudaExecutable
from numbanet.runtime.cuda.memory import ALIGNMENT, Memory
from numbanet.runtime.cuda.resident import Extremes, ResidentArray
from numbanet.runtime.device import Device

_LEFT_FREE = 1 / 8
"""Of the memory: data do not take it, for programs that are still to come."""


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
        self.extremes = Extremes(self)

    def lower(self, node: Node) -> tuple[Call, ...]:
        return LOWERINGS[node.op.name](node)

    def join(self, calls: Sequence[Call]) -> Call | None:
        return grouped(calls)

    def estimate(self, call: Call) -> Cost:
        return cost(call)

    def load(self, program: Program) -> CudaExecutable:
        with self.driver:
            addresses, blocks, arena = self._memory.place(program)
            for buffer in program.buffers:
                if buffer.kind == "constant" and buffer.array is not None:
                    self.driver.upload(addresses[buffer], np.ascontiguousarray(buffer.array))
                elif buffer.kind == "zeroed" or buffer.is_zeroed:
                    self.driver.zero(addresses[buffer], buffer.nbytes)
            self.bring_home(program)
            return CudaExecutable(self, program, addresses, blocks, arena)

    def bring_home(self, program: Program) -> None:
        """Move variables here that are not: new ones, and those another device took."""
        for variable in program.variables:
            if variable.home is not self:
                address = self._memory.block_of(variable).address
                self.driver.upload(address, variable.move(self))

    def read(self, variable: Variable) -> np.ndarray:
        return self.view(variable).numpy()

    def write(self, variable: Variable, array: np.ndarray) -> None:
        numbers = np.ascontiguousarray(array, variable.type.dtype.numpy)
        with self.driver:
            self.driver.upload(self._memory.block_of(variable).address, numbers)

    def view(self, variable: Variable) -> DeviceArray:
        """A variable's numbers where they lie, as it stores them, for other libraries."""
        block = self._memory.block_of(variable)
        return DeviceArray(self.driver, block.address, variable.type, block)

    def put(self, array: np.ndarray) -> DeviceArray:
        return put(self.driver, array)

    def borrow(self, array: Any) -> ResidentArray:
        found = adopt(self.driver, array)
        if isinstance(found, ResidentArray):
            return found
        return ResidentArray(self, aligned(found))

    def copied(self, array: Any) -> Variable:
        found = adopt(self.driver, array)
        variable = Variable.at(self, found.type, "tensor")
        self._memory.keep(variable, copy(found))
        return variable

    def lend(self, variable: Variable) -> DeviceArray:
        return self.view(variable)

    def has_room(self, nbytes: int) -> bool:
        with self.driver:
            free, total = self.driver.memory_info()
        return free - nbytes >= total * _LEFT_FREE
