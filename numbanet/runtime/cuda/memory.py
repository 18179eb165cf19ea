"""Device memory of programs and variables: all of a program's, or none."""

from __future__ import annotations

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
        self.address = driver.allocate(max(nbytes, 1))
        # Not at exit: the driver may be gone by then, and frees all memory itself.
        weakref.finalize(self, _free, driver, self.address).atexit = False


class Memory:
    """The device's memory: one block a program, and one for each variable."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._variables: weakref.WeakKeyDictionary[Variable, Block]
        self._variables = weakref.WeakKeyDictionary()

    def holds(self, variable: Variable) -> bool:
        return variable in self._variables

    def address_of(self, variable: Variable) -> int:
        return self._variables[variable].address

    def place(self, program: Program) -> tuple[dict[Buffer, int], tuple[Block, ...]]:
        """Addresses of all buffers of ``program``, and the blocks to hold on to.

        Raises
        ------
        OutOfMemoryError
            If they do not fit; nothing is allocated then.
        """
        own = [buffer for buffer in program.buffers if buffer.variable is None]
        new = {
            buffer.variable: buffer
            for buffer in program.buffers
            if buffer.variable is not None and not self.holds(buffer.variable)
        }
        offsets, own_bytes = _offsets(own)
        needed = own_bytes + sum(aligned(buffer.nbytes) for buffer in new.values())
        free, total = self._driver.memory_info()
        if needed > free:
            raise _does_not_fit(program, needed, free, total)
        try:
            block = Block(self._driver, own_bytes)
            fresh = {each: Block(self._driver, buf.nbytes) for each, buf in new.items()}
        except OutOfMemoryError as error:
            raise _does_not_fit(program, needed, free, total) from error
        self._variables.update(fresh)
        addresses = {buffer: block.address + offsets[buffer] for buffer in own}
        kept = [block]
        for buffer in program.buffers:
            if buffer.variable is not None:
                kept.append(self._variables[buffer.variable])
                addresses[buffer] = kept[-1].address
        return addresses, tuple(kept)


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


def _does_not_fit(program: Program, needed: int, free: int, total: int) -> OutOfMemoryError:
    return OutOfMemoryError(
        "the program does not fit the GPU's memory",
        got=f"{needed:,} bytes more needed ({program.peak_bytes:,} in all, of which "
        f"{program.arena_bytes:,} are intermediate values)",
        expected=f"at most the {free:,} bytes that are free of {total:,}",
        mend="Make the batch smaller",
    )


def _free(driver: Driver, address: int) -> None:
    driver.make_current()
    driver.free(address)
