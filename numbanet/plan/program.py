"""The program: launches with addresses. What an executor loads, and what a reader prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from numbanet.ir import Node, TensorType, Variable
from numbanet.kernels.kernel import Kernel


@dataclass(frozen=True, eq=False)
class Buffer:
    """A contiguous piece of device memory.

    ``kind`` says who owns its contents: ``"arena"`` (intermediate values; dead between runs,
    so programs that never run at once may share it), ``"variable"`` (kept from run to run),
    ``"input"`` (bound by the caller), ``"output"`` (kept until the next run),
    ``"constant"`` (written once) or ``"zeroed"`` (zero when allocated, and wherever no launch
    writes; programs that name the same one may share it). An output that ``is_zeroed`` is zero
    when allocated, too.
    """

    kind: str
    name: str
    nbytes: int
    variable: Variable | None = None
    array: np.ndarray | None = None
    type: TensorType | None = None
    is_zeroed: bool = False


@dataclass(frozen=True)
class Address:
    """A byte offset in a buffer, of so many slices that add up to a value."""

    buffer: Buffer
    offset: int = 0
    slices: int = 1


@dataclass(frozen=True)
class Launch:
    """A kernel, where its arguments lie, and how much work it is.

    ``arguments`` line up with ``kernel.signature``: addresses for pointers, numbers for the
    rest. ``writes`` and ``tiles`` as in `numbanet.kernels.kernel.Call`. ``nodes`` are
    what the launch helps to compute. A device that can run launches side by side runs those of
    one ``lane`` in order, each ``after`` those launches of other lanes, by their numbers.
    """

    kernel: Kernel
    arguments: tuple[Address | int | float, ...]
    tiles: int
    op: str
    path: str
    nbytes: int
    flops: int
    writes: tuple[int, ...] = ()
    nodes: tuple[Node, ...] = ()
    lane: int = 0
    after: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Program:
    """One run: all its launches, in an order, and all the memory that they touch.

    ``live_bytes`` is the largest sum of arena blocks in use at once: no arena is smaller.
    """

    launches: tuple[Launch, ...]
    buffers: tuple[Buffer, ...]
    inputs: Mapping[str, Buffer]
    outputs: Mapping[str, Buffer]
    variables: Mapping[Variable, Buffer]
    live_bytes: int = 0

    @property
    def arena_bytes(self) -> int:
        return sum(buffer.nbytes for buffer in self.buffers if buffer.kind == "arena")

    @property
    def peak_bytes(self) -> int:
        """Device memory that the program needs, all of it known before the first run."""
        return sum(buffer.nbytes for buffer in self.buffers)

    @property
    def lanes(self) -> int:
        return 1 + max((launch.lane for launch in self.launches), default=0)

    def __str__(self) -> str:
        from numbanet.plan.listing import list_program

        return list_program(self)
