"""Device memory: a block for each program and each variable, and one arena for all."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable

from numbanet.errors import OutOfMemoryError
from numbanet.ir import Variable
from numbanet.plan.program import Buffer, Program
from numbanet.runtime.cuda.driver import Driver

ALIGNMENT = 256
"""What cuMemAlloc promises, and enough for every vector access."""


class Block:
    """Memory that is given back when nobody holds the block any more."""

    def __init__(self, driver: Driver, nbytes: int) -> None:
        try:
            self.address = driver.allocate(max(nbytes, 1))
        except OutOfMemoryError:
            gc.collect()  # models refer to themselves: some may be there that nobody uses
            self.address = driver.allocate(max(nbytes, 1))
        self.nbytes = nbytes
        # Not at exit: the driver may be gone by then, and frees all memory itself.
        weakref.finalize(self, driver.give_back, self.address).atexit = False


class Arena:
    """Memory for intermediate values, shared by programs that run one after the other.

    It is as large as the largest of them needs, and moves when it grows: whoever uses it asks
    for its address before each run.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._block: Block | None = None

    @property
    def nbytes(self) -> int:
        return 0 if self._block is None else self._block.nbytes

    def address(self, nbytes: int) -> int:
        """Where there are so many bytes."""
        if self._block is None or self._block.nbytes < nbytes:
            self._block = None  # before there is more: both might not fit
            self._block = Block(self._driver, nbytes)
        return self._block.address


class Memory:
    """The device's memory."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._variables: weakref.WeakKeyDictionary[Variable, Block]
        self._variables = weakref.WeakKeyDictionary()
        self._arena: weakref.ref[Arena] | None = None

    def holds(self, variable: Variable) -> bool:
        return variable in self._variables

    def keep(self, variable: Variable, block: Block) -> None:
        """From now on ``block`` is the variable's."""
        self._variables[variable] = block

    def block_of(self, variable: Variable) -> Block:
        return self._variables[variable]

    def arena(self) -> Arena:
        """The arena, which goes with the last that holds it."""
        arena = None if self._arena is None else self._arena()
        if arena is None:
            arena = Arena(self._driver)
            self._arena = weakref.ref(arena)
        return arena

    def place(self, program: Program) -> tuple[dict[Buffer, int], tuple[Block, ...], Arena]:
        """Addresses of what ``program`` keeps, the blocks to hold on to, and the arena, which
        is large enough. Inputs have no memory before they are bound.

        Raises
        ------
        OutOfMemoryError
            If they do not fit; nothing is allocated then.
        """
        own = [buffer for buffer in program.buffers if buffer.kind in _KEPT]
        new = {
            buffer.variable: buffer
            for buffer in program.buffers
            if buffer.variable is not None and not self.holds(buffer.variable)
        }
        offsets, own_bytes = _offsets(own)
        arena = self.arena()
        kept_bytes = own_bytes + sum(aligned(buffer.nbytes) for buffer in new.values())
        needed = kept_bytes + max(0, program.arena_bytes - arena.nbytes)
        self._require(program, needed)
        try:
            block = Block(self._driver, own_bytes)
            fresh = {each: Block(self._driver, buf.nbytes) for each, buf in new.items()}
            arena.address(program.arena_bytes)
        except OutOfMemoryError as error:
            raise self._does_not_fit(program, needed) from error
        self._variables.update(fresh)
        addresses = {buffer: block.address + offsets[buffer] for buffer in own}
        blocks = [block]
        for buffer in program.buffers:
            if buffer.variable is not None:
                blocks.append(self._variables[buffer.variable])
                addresses[buffer] = blocks[-1].address
        return addresses, tuple(blocks), arena

    def _require(self, program: Program, needed: int) -> None:
        if needed > self._driver.memory_info()[0]:
            gc.collect()
            if needed > self._driver.memory_info()[0]:
                raise self._does_not_fit(program, needed)

    def _does_not_fit(self, program: Program, needed: int) -> OutOfMemoryError:
        free, total = self._driver.memory_info()
        return OutOfMemoryError(
            "the program does not fit the GPU's memory",
            got=f"{needed:,} bytes more needed ({program.peak_bytes:,} in all, of which "
            f"{program.arena_bytes:,} are intermediate values)",
            expected=f"at most the {free:,} bytes that are free of {total:,}",
            mend="Make the batch smaller, or end other processes that use the GPU",
        )


_KEPT = ("constant", "zeroed", "output")


def aligned(nbytes: int) -> int:
    """The next multiple of `ALIGNMENT`."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def _offsets(buffers: Iterable[Buffer]) -> tuple[dict[Buffer, int], int]:
    """Offsets of buffers laid one behind the other, and the sum."""
    offsets: dict[Buffer, int] = {}
    end = 0
    for buffer in buffers:
        offsets[buffer] = end
        end += aligned(buffer.nbytes)
    return offsets, end
