"""A program loaded onto the CPU."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from numbanet.errors import ArgumentError, DTypeError, ShapeError, VerificationError
from numbanet.ir import DType
from numbanet.plan.program import Buffer, Program
from numbanet.runtime.cpu.look import Look
from numbanet.runtime.cpu.table import Row, Table
from numbanet.runtime.cpu.threads import THREADS, Pool
from numbanet.runtime.device import Executable
from numbanet.runtime.host import address_of, aligned

if TYPE_CHECKING:
    from numbanet.runtime.cpu.device import CpuDevice

_LONGEST_CHUNK_S = 0.5
"""Python handles Ctrl-C between chunks of steps, so a chunk must end soon."""

_COPIED_BYTES = 64 * 1024
"""Arrays up to this size are sooner copied than looked up: where memory begins takes Python a
microsecond or two to find out."""

_LOOKS_AT_NOTHING = 20
"""Walks of no rows, to know what walking costs by itself."""


class CpuExecutable(Executable):
    """A table of launches, and the memory that they work in.

    Variables and the arena are the device's, shared with other programs. The arena moves when
    a program is loaded that needs a larger one, and a variable may have lived on another device
    meanwhile: `run` looks.
    """

    def __init__(self, device: CpuDevice, program: Program) -> None:
        self.program = program
        self._device = device
        self._table = Table(program.launches)
        self._memory: dict[Buffer, np.ndarray] = {}
        self._copies: dict[str, np.ndarray] = {}
        self._bound: dict[str, np.ndarray] = {}
        self._addresses: dict[str, int] = {}
        self._looks: dict[str, Look] = {}
        self._threads = 0
        self._arena = -1
        self._chunk = 1
        self._has_run = False
        for buffer in program.buffers:
            if buffer.kind in ("output", "constant", "zeroed"):
                self._keep(buffer, _allocate(buffer))
        self._views = {
            name: _typed(self._memory[buffer], name, buffer)
            for name, buffer in program.outputs.items()
            if buffer.kind == "output"
        }
        for variable, buffer in program.variables.items():
            self._keep(buffer, device.adopt(variable))

    def bind(self, name: str, array: np.ndarray) -> None:
        if self._bound.get(name) is array:
            return
        if not self._takes(name, array):
            _check_bindable(name, _named(self.program.inputs, name, "input"), array)
        with THREADS.lock:
            self._addresses[name] = self._keep(self.program.inputs[name], array)
            self._bound[name] = array

    def largest(self, name: str, array: np.ndarray) -> int:
        look = self._looks.get(name)
        if look is None:
            look = self._looks[name] = Look(DType.of(array.dtype))
        return look(self._addresses[name], array.size)

    def _takes(self, name: str, array: np.ndarray) -> bool:
        """Whether an array is as the last one that was bound was, seen at a glance."""
        last = self._bound.get(name)
        return (
            last is not None
            and type(array) is np.ndarray
            and array.dtype is last.dtype
            and array.shape == last.shape
            and array.flags.carray
        )

    def run(self, steps: int = 1) -> None:
        with THREADS.lock:
            while steps > 1:
                chunk = min(steps, self._chunk)
                start = time.perf_counter()
                self._walk(chunk)
                self._adapt_chunk(chunk, time.perf_counter() - start)
                steps -= chunk
            if steps == 1:
                self._walk(1)

    def output(self, name: str) -> np.ndarray:
        if not self._has_run:
            _named(self.program.outputs, name, "output")
            raise ArgumentError(f"output {name!r} has no numbers before the first run")
        with THREADS.lock:
            view = self._views.get(name)
            if view is None:
                buffer = _named(self.program.outputs, name, "output")
                view = _typed(self._memory[buffer], name, buffer)
            return view.copy()

    def call(self, name: str, array: np.ndarray, output: str) -> np.ndarray:
        view = self._views.get(output)
        if view is None or array.nbytes > _COPIED_BYTES:
            return super().call(name, array, output)
        own = self._copies.get(name)
        if own is None:
            buffer = _named(self.program.inputs, name, "input")
            own = self._copies[name] = _typed(_allocate(buffer), name, buffer)
        if array.dtype != own.dtype or array.shape != own.shape:
            _check_bindable(name, self.program.inputs[name], array)
        # What bind, run and output do, without asking three times.
        with THREADS.lock:
            own[...] = array
            if self._bound.get(name) is not own:
                self.bind(name, own)
            self._walk(1)
            return view.copy()

    def time_launches(self) -> list[float]:
        with THREADS.lock:
            pool = self._settled_pool()
            nothing = Row(self._table.address, 0, False)
            overhead = min(_timed(pool, nothing) for _ in range(_LOOKS_AT_NOTHING))
            rows = [self._table.row(number) for number in range(self._table.length)]
            seconds = [max(0.0, _timed(pool, row) - overhead) for row in rows]
            self._has_run = True
        return seconds

    def _walk(self, steps: int) -> None:
        self._settled_pool().walk(self._table, steps)
        self._has_run = True

    def _settled_pool(self) -> Pool:
        """The threads, once all that changed since the last run was followed: their number,
        homes of variables, the arena."""
        if len(self._bound) < len(self.program.inputs):
            unbound = self.program.inputs.keys() - self._bound.keys()
            raise ArgumentError(
                "the program has inputs without numbers",
                got=", ".join(sorted(unbound)),
                mend="Bind an array to each",
            )
        device, pool = self._device, THREADS.pool()
        if self._threads != pool.threads:
            self._table.share(pool.threads)
            self._threads = pool.threads
        for variable in self.program.variables:
            if variable.home is not device:
                device.adopt(variable)
        if self._arena != device.arena.version:
            for buffer, address in device.arena.addresses(self.program):
                self._table.place(buffer, address)
            self._arena = device.arena.version
        return pool

    def _adapt_chunk(self, chunk: int, seconds: float) -> None:
        if seconds > _LONGEST_CHUNK_S:
            self._chunk = max(1, chunk // 2)
        elif chunk == self._chunk and seconds < _LONGEST_CHUNK_S / 4:
            self._chunk = 2 * chunk

    def _keep(self, buffer: Buffer, array: np.ndarray) -> int:
        self._memory[buffer] = array
        address = address_of(array)
        self._table.place(buffer, address)
        return address


def _timed(pool: Pool, row: Row) -> float:
    start = time.perf_counter()
    pool.walk(row, 1)
    return time.perf_counter() - start


def _allocate(buffer: Buffer) -> np.ndarray:
    memory = aligned(buffer.nbytes)
    if buffer.array is not None:
        source = np.ascontiguousarray(buffer.array)
        memory[: source.nbytes] = source.reshape(-1).view(np.uint8)
    elif buffer.kind == "zeroed" or buffer.is_zeroed:
        memory[:] = 0
    return memory


def _typed(memory: np.ndarray, name: str, buffer: Buffer) -> np.ndarray:
    """The memory of an input or output as the array that it is."""
    type_ = buffer.type
    if type_ is None:
        raise VerificationError(f"{buffer.kind} {name!r} of a program has no type")
    flat = memory.reshape(-1).view(np.uint8)[: type_.nbytes]
    return flat.view(type_.dtype.numpy).reshape(type_.sizes)


def _named(buffers: Mapping[str, Buffer], name: str, kind: str) -> Buffer:
    if name not in buffers:
        raise ArgumentError(
            f"the program has no such {kind}",
            got=repr(name),
            expected=", ".join(map(repr, buffers)) or "none: it has none",
        )
    return buffers[name]


def _check_bindable(name: str, buffer: Buffer, array: np.ndarray) -> None:
    """A kernel reads the array where it lies, so nothing about it may differ."""
    type_ = buffer.type
    if type_ is None:
        raise VerificationError(f"input {name!r} of a program has no type")
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"input {name!r} takes a NumPy array", got=type(array).__name__)
    if array.dtype != type_.dtype.numpy:
        raise DTypeError(
            f"input {name!r} takes an array of another element type",
            got=str(array.dtype),
            expected=str(type_.dtype),
        )
    if array.shape != type_.shape:
        raise ShapeError(
            f"input {name!r} takes an array of another shape",
            got=str(array.shape),
            expected=str(type_.sizes),
        )
    if not (array.flags.c_contiguous and array.flags.aligned):
        raise ArgumentError(
            f"input {name!r} takes an array that is contiguous and aligned",
            got=f"strides {array.strides}",
            mend="Pass np.ascontiguousarray(array)",
        )
