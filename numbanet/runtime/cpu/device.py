"""The CPU as a device."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from numbanet.ir import Node, Variable
from numbanet.kernels.cpu import LOWERINGS
from numbanet.kernels.kernel import Call
from numbanet.plan.program import Program
from numbanet.runtime.cpu.executable import CpuExecutable
from numbanet.runtime.cpu.memory import Arena
from numbanet.runtime.cpu.threads import THREADS
from numbanet.runtime.device import Device
from numbanet.runtime.host import ALIGNMENT, aligned


class CpuDevice(Device):
    """Runs programs on this machine's processors, in host memory.

    Inputs are read where the caller's arrays lie; everything else starts on a cache line.
    """

    name = "cpu"
    alignment = ALIGNMENT

    def __init__(self) -> None:
        self.native = frozenset(LOWERINGS)
        self.arena = Arena()
        self._variables: WeakKeyDictionary[Variable, np.ndarray] = WeakKeyDictionary()

    def lower(self, node: Node) -> tuple[Call, ...]:
        return LOWERINGS[node.op.name](node)

    def load(self, program: Program) -> CpuExecutable:
        with THREADS.lock:
            self.arena.reserve(program)
            return CpuExecutable(self, program)

    def read(self, variable: Variable) -> np.ndarray:
        with THREADS.lock:
            return self._variables[variable].copy()

    def write(self, variable: Variable, array: np.ndarray) -> None:
        with THREADS.lock:
            self._variables[variable][...] = array

    def adopt(self, variable: Variable) -> np.ndarray:
        """The variable's memory here, where it never moves; its numbers are moved in first."""
        if variable not in self._variables:
            type_ = variable.type
            memory = aligned(type_.nbytes).view(type_.dtype.numpy).reshape(type_.sizes)
            self._variables[variable] = memory
        memory = self._variables[variable]
        if variable.home is not self:
            memory[...] = variable.move(self)
        return memory
