"""A device without kernels: launches run the ops' NumPy references on planned memory.

It shows that a program's order, placement and reuse of memory are right, whatever the kernels.
Memory starts as NaN, so that a value read before it is written is seen.
"""

from __future__ import annotations

import math

import numpy as np

from numbanet.ir import REGISTRY, DType, Node, Variable
from numbanet.kernels.kernel import Call, Kernel
from numbanet.ops.fused import FUSED, FusedAttrs, contiguous
from numbanet.plan.program import Address, Buffer, Launch, Program
from numbanet.runtime.device import Device, Executable


class ReferenceKernel:
    """Stands where a kernel's ``make`` is; one for each lowered node."""

    def __init__(self, node: Node) -> None:
        self.node = node


class ReferenceDevice(Device):
    name = "reference"
    alignment = 64
    native = frozenset(REGISTRY)

    def __init__(self, native: frozenset[str] | None = None) -> None:
        if native is not None:
            self.native = native
        self.memory: dict[Variable, np.ndarray] = {}

    def lower(self, node: Node) -> tuple[Call, ...]:
        arguments = (*node.inputs, *node.outputs)
        kernel = Kernel(node.op.name, ReferenceKernel(node), (), ())  # type: ignore[arg-type]
        tiles = 1 if any(math.prod(value.type.sizes) for value in node.outputs) else 0
        writes = tuple(range(len(node.inputs), len(arguments)))
        return (Call(kernel, arguments, tiles, writes, _in_place(node)),)

    def load(self, program: Program) -> ReferenceExecutable:
        return ReferenceExecutable(self, program)

    def adopt(self, variable: Variable, memory: np.ndarray) -> np.ndarray:
        """The variable's memory, at first ``memory``; numbers that live elsewhere move in."""
        memory = self.memory.setdefault(variable, memory)
        if variable.home is not self:
            memory[:] = np.frombuffer(variable.move(self).tobytes(), np.uint8)
        return memory

    def read(self, variable: Variable) -> np.ndarray:
        sizes = variable.type.sizes
        return self.memory[variable].view(variable.type.dtype.numpy).reshape(sizes).copy()

    def write(self, variable: Variable, array: np.ndarray) -> None:
        self.memory[variable][:] = np.frombuffer(array.tobytes(), np.uint8)


def _in_place(node: Node) -> tuple[tuple[int, int], ...]:
    if node.op is not FUSED:
        return ()
    attrs = node.attrs
    assert isinstance(attrs, FusedAttrs)
    if attrs.reduction is not None:
        return ()
    first = len(node.inputs)
    return tuple(
        (i, first + j)
        for i, value in enumerate(node.inputs)
        for j, result in enumerate(node.outputs)
        if attrs.accesses[i] == contiguous(attrs.shape) and value.dtype is result.dtype
    )


class ReferenceExecutable(Executable):
    def __init__(self, device: ReferenceDevice, program: Program) -> None:
        self._device = device
        self.program = program
        self.memory: dict[Buffer, np.ndarray] = {}
        for buffer in program.buffers:
            self.memory[buffer] = _allocate(buffer)
            if buffer.variable is not None:
                self.memory[buffer] = device.adopt(buffer.variable, self.memory[buffer])

    def bind(self, name: str, array: np.ndarray) -> None:
        buffer = self.program.inputs[name]
        self.memory[buffer][:] = np.frombuffer(array.tobytes(), np.uint8)

    def run(self, steps: int = 1) -> None:
        for buffer in self.program.buffers:
            if buffer.variable is not None:
                self._device.adopt(buffer.variable, self.memory[buffer])
        for _ in range(steps):
            for launch in self.program.launches:
                self._launch(launch)

    def output(self, name: str) -> np.ndarray:
        buffer = self.program.outputs[name]
        assert buffer.type is not None
        memory = self.memory[buffer].view(buffer.type.dtype.numpy)
        return memory.reshape(buffer.type.sizes).copy()

    def _launch(self, launch: Launch) -> None:
        kernel = launch.kernel.make
        assert isinstance(kernel, ReferenceKernel)
        node = kernel.node
        values = (*node.inputs, *node.outputs)
        arrays = [
            self._array(address, value.type.sizes, value.dtype)
            for address, value in zip(launch.arguments, values, strict=True)
        ]
        count = len(node.inputs)
        with np.errstate(all="ignore"):
            results = node.op.reference(node.attrs, *(array.copy() for array in arrays[:count]))
        results = results if isinstance(results, tuple) else (results,)
        for array, result in zip(arrays[count:], results, strict=True):
            array[...] = result

    def _array(self, address: object, sizes: tuple[int, ...], dtype: DType) -> np.ndarray:
        assert isinstance(address, Address)
        nbytes = math.prod(sizes) * dtype.itemsize
        memory = self.memory[address.buffer][address.offset : address.offset + nbytes]
        return memory.view(dtype.numpy).reshape(sizes)


def _allocate(buffer: Buffer) -> np.ndarray:
    if buffer.array is not None:
        return np.frombuffer(buffer.array.tobytes(), np.uint8)
    is_zeroed = buffer.kind == "zeroed" or buffer.is_zeroed
    fill = 0 if is_zeroed else 0xFF  # all ones is NaN
    return np.full(buffer.nbytes, fill, np.uint8)
