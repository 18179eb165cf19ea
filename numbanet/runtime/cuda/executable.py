"""A program on a CUDA device: launched once, then captured, then replayed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from numbanet.errors import ArgumentError, DeviceError, ShapeError
from numbanet.plan.program import Address, Buffer, Launch, Program
from numbanet.runtime.cuda.driver import Launcher
from numbanet.runtime.cuda.memory import Block
from numbanet.runtime.device import Executable

if TYPE_CHECKING:
    from numbanet.runtime.cuda.device import CudaDevice


class CudaExecutable(Executable):
    """The first run launches kernel by kernel and waits for each, so that a failure names its
    layer. The second is captured into a graph, and from then on a run is one call.

    Parameters
    ----------
    device : CudaDevice
    program : Program
    addresses : dict of Buffer to int
    blocks : tuple of Block
        The memory behind the addresses, kept as long as this lives.
    """

    def __init__(
        self,
        device: CudaDevice,
        program: Program,
        addresses: dict[Buffer, int],
        blocks: tuple[Block, ...],
    ) -> None:
        self.program = program
        self._device = device
        self._driver = device.driver
        self._addresses = addresses
        self._blocks = blocks
        self._unbound = set(program.inputs)
        launches = [launch for launch in program.launches if launch.tiles]
        self._launchers = [(self._prepare(launch), launch) for launch in launches]
        self._is_warm = False
        self._replay: Launcher | None = None

    def bind(self, name: str, array: np.ndarray) -> None:
        buffer = _named(self.program.inputs, "input", name)
        if array.nbytes != buffer.nbytes or not array.flags.c_contiguous:
            raise ShapeError(
                f"input {name!r} cannot take this array",
                got=f"{array.dtype}{list(array.shape)}",
                expected=f"a C-contiguous {buffer.type}",
            )
        self._driver.make_current()
        self._driver.upload(self._addresses[buffer], array)
        self._unbound.discard(name)

    def run(self, steps: int = 1) -> None:
        self._make_ready()
        for _ in range(steps):
            self._run_once()

    def time_launches(self) -> list[float]:
        self._make_ready()
        return self._driver.time([launcher for launcher, _ in self._launchers])

    def output(self, name: str) -> np.ndarray:
        buffer = _named(self.program.outputs, "output", name)
        if buffer.type is None:
            raise ArgumentError(f"output {name!r} has no type")
        array = np.empty(buffer.type.sizes, buffer.type.dtype.numpy)
        self._driver.make_current()
        self._driver.download(self._addresses[buffer], array)
        return array

    def _make_ready(self) -> None:
        if self._unbound:
            missing = ", ".join(sorted(self._unbound))
            raise ArgumentError(f"inputs are not bound: {missing}")
        self._driver.make_current()
        self._device.bring_home(self.program)

    def _run_once(self) -> None:
        if not self._is_warm:
            self._warm_up()
        elif self._replay is None:
            self._replay = self._driver.capture([launcher for launcher, _ in self._launchers])
            self._replay()
        else:
            self._replay()

    def _warm_up(self) -> None:
        for launcher, launch in self._launchers:
            try:
                launcher()
                self._driver.synchronise()
            except DeviceError as error:
                raise DeviceError(
                    f"kernel {launch.kernel.name} of {launch.op} failed: {error.problem}",
                    layer=launch.path or None,
                ) from error
        self._is_warm = True

    def _prepare(self, launch: Launch) -> Launcher:
        arguments = [
            self._addresses[argument.buffer] + argument.offset
            if isinstance(argument, Address)
            else argument
            for argument in launch.arguments
        ]
        return self._driver.prepare(launch.kernel, arguments, launch.tiles)


def _named(buffers: Mapping[str, Buffer], kind: str, name: str) -> Buffer:
    if name not in buffers:
        expected = ", ".join(map(repr, buffers)) or "none"
        raise ArgumentError(
            f"the program has no such {kind}", got=repr(name), expected=expected
        )
    return buffers[name]
