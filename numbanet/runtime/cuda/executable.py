"""A program on a CUDA device: launched once, then captured, then replayed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numbanet.errors import ArgumentError, DeviceError
from numbanet.plan.program import Address, Buffer, Launch, Program
from numbanet.runtime.cuda.arrays import DeviceArray
from numbanet.runtime.cuda.driver import Packed
from numbanet.runtime.cuda.inputs import Input
from numbanet.runtime.cuda.memory import Arena, Block
from numbanet.runtime.cuda.replay import Replay
from numbanet.runtime.device import Executable

if TYPE_CHECKING:
    from numbanet.runtime.cuda.device import CudaDevice

_MOST_REPLAYS = 8
"""Sets of addresses that are remembered, with their graphs."""


class CudaExecutable(Executable):
    """The very first step is launched kernel by kernel and waits for each, so that a failure
    names its layer. All others are put on the stream, see `Replay`.

    The arena moves when it grows, and inputs lie wherever they were bound. Each set of
    addresses has graphs of its own.

    Parameters
    ----------
    device : CudaDevice
    program : Program
    addresses : dict of Buffer to int
        Of all buffers but the arena and the inputs.
    blocks : tuple of Block
        The memory behind the addresses, kept as long as this lives.
    arena : Arena
    """

    def __init__(
        self,
        device: CudaDevice,
        program: Program,
        addresses: dict[Buffer, int],
        blocks: tuple[Block, ...],
        arena: Arena,
    ) -> None:
        self.program = program
        self._device, self._driver = device, device.driver
        self._addresses, self._blocks, self._arena = addresses, blocks, arena
        self._inputs = {
            name: Input(self._driver, name, buffer) for name, buffer in program.inputs.items()
        }
        for launch in program.launches:
            self._driver.load(launch.kernel)
        self._replays: OrderedDict[tuple[int, ...], Replay] = OrderedDict()
        self._is_warm = False

    def bind(self, name: str, array: Any) -> None:
        _require(self.program.inputs, "input", name)
        with self._driver:
            self._inputs[name].bind(array)

    def unbind(self) -> None:
        with self._driver:
            for each in self._inputs.values():
                each.unbind()

    def run(self, steps: int = 1) -> None:
        with self._driver:
            replay = self._ready()
            if steps and not self._is_warm:
                self._warm_up(replay.step)
                steps -= 1
            replay.run(steps)
            for each in self._inputs.values():
                each.after_run()

    def time_launches(self) -> list[float]:
        with self._driver:
            return self._driver.time([each.launcher for each in self._ready().step])

    def output(self, name: str) -> np.ndarray:
        array = self._output_array(name)
        with self._driver:
            numbers = np.empty(array.shape, array.dtype)
            self._driver.download(array.address, numbers)
        return numbers

    def output_on_device(self, name: str) -> DeviceArray:
        """An output where it lies, for other libraries on the GPU; no copy, no waiting.

        The next run writes there again.
        """
        return self._output_array(name)

    def _output_array(self, name: str) -> DeviceArray:
        buffer = _require(self.program.outputs, "output", name)
        if buffer.type is None:
            raise ArgumentError(f"output {name!r} has no type")
        return DeviceArray(self._driver, self._addresses[buffer], buffer.type, self._blocks)

    def _ready(self) -> Replay:
        """All in its place; the launches for the addresses of now."""
        missing = sorted(name for name, each in self._inputs.items() if each.address is None)
        if missing:
            raise ArgumentError(f"inputs are not bound: {', '.join(missing)}")
        self._device.bring_home(self.program)
        for each in self._inputs.values():
            each.before_run()
        arena = self._arena.address(self.program.arena_bytes)
        key = (arena, *(each.address or 0 for each in self._inputs.values()))
        if key not in self._replays:
            self._replays[key] = Replay(self._driver, self._prepare_all(arena))
            if len(self._replays) > _MOST_REPLAYS:
                self._replays.popitem(last=False)
        self._replays.move_to_end(key)
        return self._replays[key]

    def _warm_up(self, step: Sequence[Packed]) -> None:
        for packed, launch in zip(step, self.program.launches, strict=True):
            try:
                packed.launcher(0)
                self._driver.synchronise()
            except DeviceError as error:
                raise DeviceError(
                    f"kernel {launch.kernel.name} of {launch.op} failed: {error.problem}",
                    layer=launch.path or None,
                    mend=error.mend,
                ) from error
        self._is_warm = True

    def _prepare_all(self, arena: int) -> list[Packed]:
        at = dict(self._addresses)
        for name, buffer in self.program.inputs.items():
            at[buffer] = self._inputs[name].address or 0
        at |= {buffer: arena for buffer in self.program.buffers if buffer.kind == "arena"}
        return [self._prepare(launch, at) for launch in self.program.launches]

    def _prepare(self, launch: Launch, at: Mapping[Buffer, int]) -> Packed:
        arguments = [
            at[argument.buffer] + argument.offset if isinstance(argument, Address) else argument
            for argument in launch.arguments
        ]
        launcher = self._driver.prepare(launch.kernel, arguments, launch.tiles)
        return Packed(launcher, launch.lane, launch.after)


def _require(buffers: Mapping[str, Buffer], kind: str, name: str) -> Buffer:
    if name not in buffers:
        expected = ", ".join(map(repr, buffers)) or "none"
        raise ArgumentError(
            f"the program has no such {kind}", got=repr(name), expected=expected
        )
    return buffers[name]
