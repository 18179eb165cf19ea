"""Kernels before they are compiled, and calls of them before they have addresses.

Both devices speak this language: a lowering turns a node into calls; the planner gives the
calls' values addresses; an executor compiles the kernels and runs the calls in order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

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
    """Memory for what calls leave to each other, and nobody reads afterwards.

    It holds ``slices`` that add up to a value, if there are more than one.
    """

    nbytes: int
    slices: int = 1


@dataclass(frozen=True, eq=False)
class Table:
    """Numbers that a kernel reads, known when programs are planned."""

    array: np.ndarray


Argument = Value | Scratch | Table | int | float


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
    sliced : callable, optional
        Gives what to do in the place of all calls of this one's node to leave the value, the
        only one that they write, in slices. Asked if whoever reads it may add them up.
    adding : callable, optional
        ``adding(position, parts)``: the call that does the same, and adds up parts of the
        argument at ``position`` as it reads them; None if it cannot.
    is_piece : bool
        Whether it writes a part of a value whose other parts other calls of its node write, in
        whatever order.
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
    sliced: Callable[[], Slices] | None = None
    adding: Callable[[int, Sequence[Part]], Call | None] | None = None
    is_piece: bool = False


@dataclass(frozen=True, eq=False)
class Slices:
    """A value that lies in memory as ``count`` slices, to be added up in their order.

    Attributes
    ----------
    calls : tuple of Call
        They compute the slices.
    memory : Scratch
    count : int
    apart : int
        Elements from one slice to the next: at least the value's, and a multiple of four, so
        that each can be read in quads.
    add : Call
        Adds them up, for readers that do not.
    """

    calls: tuple[Call, ...]
    memory: Scratch
    count: int
    apart: int
    add: Call


@dataclass(frozen=True)
class Part:
    """Elements ``first`` to ``first + size - 1`` of what an argument reads lie in slices, and
    the ``zeros`` elements after them are zero."""

    first: int
    size: int
    zeros: int
    slices: Slices


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
