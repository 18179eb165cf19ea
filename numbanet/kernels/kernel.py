"""Kernels before they are compiled, and calls of them before they have addresses.

Both devices speak this language: a lowering turns a node into calls; the planner gives the
calls' values addresses; an executor compiles the kernels and runs the calls in order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from numbanet.ir.value import Value


@dataclass(frozen=True)
class Kernel:
    """A recipe for one compiled function.

    The function is ``make(*parameters)``: plain Python that Numba compiles for ``signature``.
    Everything that specialises it stands in ``parameters``, so that (module and name of
    ``make``, parameters, signature) identify it, on disk too.

    Attributes
    ----------
    name : str
        For plans and profiles, for example ``"matmul_nn"``.
    make : callable
        A module-level function.
    parameters : tuple
        Hashable, with a ``repr`` that is stable from process to process.
    signature : tuple of str
        Types of the arguments: ``"float32*"`` for the address of float32 numbers, or
        ``"int64"``, ``"int32"``, ``"float32"``, ``"float64"`` for a number.
    threads : int
        CUDA: threads of a block. CPU: 1.
    shared_bytes : int
        CUDA: dynamic shared memory of a block.
    """

    name: str
    make: Callable[..., Callable[..., None]]
    parameters: tuple[Hashable, ...]
    signature: tuple[str, ...]
    threads: int = 1
    shared_bytes: int = 0

    @property
    def key(self) -> str:
        """Text that names this kernel and no other, the same in every process."""
        make = f"{self.make.__module__}.{self.make.__qualname__}"
        return repr((make, self.parameters, self.signature, self.threads, self.shared_bytes))


@dataclass(frozen=True, eq=False)
class Scratch:
    """Memory that one lowered node needs while its calls run, and nobody reads afterwards."""

    nbytes: int


Argument = Value | Scratch | int | float


@dataclass(frozen=True, eq=False)
class Call:
    """One launch, its values not yet placed.

    ``arguments`` line up with the kernel's signature. ``tiles`` is the number of independent
    pieces of work: a CPU kernel is given a range of them, a CUDA kernel a block for each.

    Attributes
    ----------
    writes : tuple of int
        Positions of the arguments that are written (values or scratch); others are read.
    in_place : tuple of (int, int)
        ``(read position, written position)`` pairs that may share memory: the kernel reads
        an element of the one before it writes the same element of the other, and no other
        tile reads it.
    nbytes, flops : int
        Memory traffic and floating-point operations that the call cannot do without.
    """

    kernel: Kernel
    arguments: tuple[Argument, ...]
    tiles: int
    writes: tuple[int, ...]
    in_place: tuple[tuple[int, int], ...] = ()
    nbytes: int = 0
    flops: int = 0
    offsets: tuple[tuple[int, int], ...] = field(default=())
    """``(position, bytes)``: an offset to add to the address of that argument."""


@dataclass(frozen=True)
class Cost:
    """An estimate of what a call takes of a device.

    Attributes
    ----------
    seconds : float
        How long it runs, alone.
    share : float
        How much of the device it keeps busy meanwhile: what calls that run side by side have
        of it together, beyond 1, makes each of them longer.
    """

    seconds: float
    share: float
