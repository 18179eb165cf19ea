"""How long the launches of a program take, and how fast their device could be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from numbanet import ops
from numbanet.compile import compile_program
from numbanet.ir import Graph, TensorType
from numbanet.plan.program import Launch, Program
from numbanet.runtime.device import Device, Executable

_COPIED = 1 << 23  # elements: more than caches hold
_PRODUCT = 512  # rows and columns


@dataclass(frozen=True)
class Peaks:
    """What a device has been seen to do: in a large copy, and in a large matrix product."""

    bytes_per_second: float
    flops_per_second: float

    def share(self, launch: Launch, seconds: float) -> tuple[float, str] | None:
        """Which part of its limit a launch reaches, and of which one: the nearer of
        ``"bandwidth"`` and ``"arithmetic"``. None if it does nothing that is counted."""
        if not seconds or not (launch.nbytes or launch.flops):
            return None
        return max(
            (launch.nbytes / seconds / self.bytes_per_second, "bandwidth"),
            (launch.flops / seconds / self.flops_per_second, "arithmetic"),
        )


_PEAKS: WeakKeyDictionary[Device, Peaks] = WeakKeyDictionary()


def peaks(device: Device) -> Peaks:
    """The peaks of a device, measured once in a fraction of a second."""
    if device not in _PEAKS:
        x = ops.input_value("x", (_COPIED,))
        copied = _rate(device, Graph((x,), {"y": x * 2.0}), "nbytes")
        a, b = (ops.input_value(name, (_PRODUCT, _PRODUCT)) for name in "ab")
        multiplied = _rate(device, Graph((a, b), {"c": ops.matmul(a, b)}), "flops")
        _PEAKS[device] = Peaks(copied, multiplied)
    return _PEAKS[device]


def _rate(device: Device, graph: Graph, amount: str) -> float:
    program = compile_program(graph, device)
    work = sum(getattr(launch, amount) for launch in program.launches)
    return work / max(sum(measure(device, program)), 1e-9)


def measure(
    device: Device,
    program: Program,
    bind: Callable[[Executable], None] | None = None,
    repeats: int = 5,
) -> list[float]:
    """Seconds of each launch of a program: the least of ``repeats`` runs.

    Variables have the numbers afterwards that they had before.

    Parameters
    ----------
    bind : callable, optional
        Binds inputs of the executable; for others numbers are made up.

    Raises
    ------
    NotImplementedError
        If the device cannot time single launches.
    """
    executable = device.load(program)
    before = {variable: variable.stored() for variable in program.variables}
    for name, buffer in program.inputs.items():
        if buffer.type is not None:
            executable.bind(name, _made_up(buffer.type))
    if bind is not None:
        bind(executable)
    try:
        runs = []
        for _ in range(1 + repeats):
            for variable, numbers in before.items():
                # Positions in the data count on from step to step: past its end, at last.
                if numbers.dtype.kind in "iu" and numbers.ndim == 0:
                    variable.store(np.zeros_like(numbers))
            runs.append(executable.time_launches())
    finally:
        for variable, numbers in before.items():
            variable.store(numbers)
    return [min(each) for each in zip(*runs[1:], strict=True)]


def _made_up(type_: TensorType) -> np.ndarray:
    """Small numbers; integers are 0, which every table has a row for."""
    if type_.dtype.is_floating:
        numbers = np.random.default_rng(0).random(type_.sizes)
        return numbers.astype(type_.dtype.numpy)
    return np.zeros(type_.sizes, type_.dtype.numpy)
