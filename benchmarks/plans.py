"""What numbanet plans for a workload: known without running, or compiling, a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.peers.with_numbanet.models import build
from benchmarks.peers.with_numbanet.operations import graph
from benchmarks.workloads import Workload
from numbanet.compile import compile_program
from numbanet.errors import DeviceError
from numbanet.ir import DType, Node, TensorType, Variable
from numbanet.kernels.kernel import Call, Cost
from numbanet.models.graphs import prediction_graph
from numbanet.plan.program import Program
from numbanet.runtime.device import Device, Executable


class Drawing(Device):
    """A device that programs are planned for, and never run on."""

    def __init__(self, name: str) -> None:
        if name == "cpu":
            from numbanet.kernels.cpu import LOWERINGS
            from numbanet.runtime.host import ALIGNMENT

            self._grouped, self._cost = super().join, super().estimate
        else:
            from numbanet.kernels.cuda import LOWERINGS
            from numbanet.kernels.cuda.cost import cost
            from numbanet.kernels.cuda.group import grouped
            from numbanet.runtime.cuda.memory import ALIGNMENT

            self._grouped, self._cost = grouped, cost
        self.name = name
        self.alignment = ALIGNMENT
        self.native = frozenset(LOWERINGS)
        self._lowerings = LOWERINGS

    def lower(self, node: Node) -> tuple[Call, ...]:
        return self._lowerings[node.op.name](node)

    def join(self, calls: Sequence[Call]) -> Call | None:
        return self._grouped(calls)

    def estimate(self, call: Call) -> Cost | None:
        return self._cost(call)

    def load(self, program: Program) -> Executable:
        raise DeviceError("programs are only planned here")

    def read(self, variable: Variable) -> np.ndarray:
        raise DeviceError("no numbers live here")

    def write(self, variable: Variable, array: np.ndarray) -> None:
        raise DeviceError("no numbers live here")


@dataclass(frozen=True)
class Figures:
    """What is counted of a program.

    Attributes
    ----------
    launches, lanes : int
    kernels : int
        Different ones, each of them compiled once.
    flops, nbytes : int
        What its launches cannot do without.
    allocations : int
        Pieces of memory that it needs besides its inputs, all taken before the first run.
    arena_bytes, peak_bytes : int
        Memory for values within the step, and all of the program's.
    """

    launches: int
    lanes: int
    kernels: int
    flops: int
    nbytes: int
    allocations: int
    arena_bytes: int
    peak_bytes: int

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def figures(workload: Workload, device: Device) -> Figures:
    """Of one step, prediction or operation of ``workload``."""
    program = plan(workload, device)
    return Figures(
        launches=len(program.launches),
        lanes=program.lanes,
        kernels=len({launch.kernel.key for launch in program.launches}),
        flops=sum(launch.flops for launch in program.launches),
        nbytes=sum(launch.nbytes for launch in program.launches),
        allocations=sum(buffer.kind != "input" for buffer in program.buffers),
        arena_bytes=program.arena_bytes,
        peak_bytes=program.peak_bytes,
    )


def plan(workload: Workload, device: Device) -> Program:
    if workload.kind in ("rows", "product"):
        return compile_program(graph(workload.operation), device)
    dropout = getattr(workload.model, "dropout", 0.0)
    metrics = ("accuracy",) if workload.kind == "epoch" else ()
    model = build(workload, device, dropout=dropout, metrics=metrics)
    if workload.kind == "predict":
        inputs = model.signature.inputs
        types = {
            name: TensorType((workload.batch, *type_.shape[1:]), DType.FLOAT32)
            for name, type_ in inputs.items()
        }
        return compile_program(prediction_graph(model, types), device)
    return model.program(workload.batch, workload.count)


def times_planned(workload: Workload) -> float:
    """How often the planned program runs in what is timed: in an epoch, once for each batch."""
    return workload.samples / workload.batch if workload.kind == "epoch" else 1.0
