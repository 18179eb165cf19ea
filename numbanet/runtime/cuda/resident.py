"""Arrays on the GPU as data: checked, cut and converted there, by small programs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from numbanet import ops
from numbanet.ir import DType, Graph, TensorType, Value
from numbanet.ir.resident import Resident
from numbanet.plan.planner import plan
from numbanet.runtime.cuda.arrays import DeviceArray, aligned
from numbanet.runtime.cuda.executable import CudaExecutable

if TYPE_CHECKING:
    from numbanet.runtime.cuda.device import CudaDevice

_MOST_PROGRAMS = 16
"""That find extremes, of arrays of as many types."""

Operands = Mapping[str, "DeviceArray | np.ndarray"]


class ResidentArray(DeviceArray, Resident):
    """Contiguous numbers on a GPU that a model is trained on, or predicts from."""

    def __init__(self, device: CudaDevice, array: DeviceArray) -> None:
        super().__init__(device.driver, array.address, array.type, array, array.stream)
        self.device = device

    def __getitem__(self, rows: slice | np.ndarray) -> ResidentArray:
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._part(start, max(stop - start, 0))
            rows = np.arange(len(self))[rows]
        operands = {"x": self, "rows": np.ascontiguousarray(rows, np.int64)}
        return self._computed(operands, lambda x, rows: ops.take(x, rows))

    def _part(self, start: int, count: int) -> ResidentArray:
        row = self.nbytes // max(1, len(self))
        type_ = TensorType((count, *self.shape[1:]), self.type.dtype)
        part = DeviceArray(self.driver, self.address + start * row, type_, self, self.stream)
        return ResidentArray(self.device, aligned(part))

    def reshape(self, shape: tuple[int, ...]) -> ResidentArray:
        type_ = TensorType(shape, self.type.dtype)
        same = DeviceArray(self.driver, self.address, type_, self, self.stream)
        return ResidentArray(self.device, same)

    def astype(self, dtype: np.dtype) -> ResidentArray:
        return self._computed({"x": self}, lambda x: ops.cast(x, DType.of(dtype)))

    def extremes(self, ignored: int | None = None) -> tuple[Any, Any]:
        return self.device.extremes.of(self, ignored)

    def _computed(self, operands: Operands, function: Callable[..., Value]) -> ResidentArray:
        """A result in memory of its own, that of a program which runs only once."""
        executable = loaded(self.device, operands, lambda **x: {"y": function(**x)})
        run(executable, operands)
        return ResidentArray(self.device, executable.output_on_device("y"))


class Extremes:
    """Programs that find the smallest and the largest number of an array."""

    def __init__(self, device: CudaDevice) -> None:
        self._device = device
        self._programs: OrderedDict[object, CudaExecutable] = OrderedDict()

    def of(self, array: DeviceArray, ignored: int | None) -> tuple[Any, Any]:
        """See `Resident.extremes`; waits for the numbers."""

        def found(x: Value) -> dict[str, Value]:
            flat = ops.reshape(x, (-1,))
            if ignored is not None:
                flat = ops.where(ops.not_equal(flat, ignored), flat, ops.cast(0, flat.dtype))
            return {"smallest": ops.min(flat), "largest": ops.max(flat)}

        with self._device.driver:
            key = (array.type, ignored)
            if key not in self._programs:
                self._programs[key] = loaded(self._device, {"x": array}, found)
                if len(self._programs) > _MOST_PROGRAMS:
                    self._programs.popitem(last=False)
            self._programs.move_to_end(key)
            executable = self._programs[key]
            run(executable, {"x": array})
            smallest, largest = (executable.output(name) for name in ("smallest", "largest"))
        return smallest.item(), largest.item()


def loaded(
    device: CudaDevice, operands: Operands, function: Callable[..., dict[str, Value]]
) -> CudaExecutable:
    """The program of ``function``: ops that the device has kernels for, on such operands."""
    inputs = {
        name: ops.input_value(name, each.shape, DType.of(each.dtype))
        for name, each in operands.items()
    }
    graph = Graph(tuple(inputs.values()), function(**inputs))
    return device.load(plan(graph, device.lower, device.alignment))


def run(executable: CudaExecutable, operands: Operands) -> None:
    """Run once, and hold nobody's arrays any longer than that takes."""
    for name, array in operands.items():
        executable.bind(name, array)
    executable.run()
    executable.unbind()
