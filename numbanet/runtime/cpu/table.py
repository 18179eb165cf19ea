"""A program as the table that the walker reads: rows, and the words of their arguments."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from numbanet.kernels.cpu.compile import compile_kernel, pack_word
from numbanet.kernels.cpu.walk import COLUMNS, ENTRY, IS_SHARED, TILES, WORDS
from numbanet.plan.program import Address, Buffer, Launch
from numbanet.runtime.cpu.sharing import is_worth_sharing
from numbanet.runtime.host import aligned

_WORD_BYTES = 8


@dataclass(frozen=True)
class Row:
    """A part of a table, which can be walked like a whole one."""

    address: int
    length: int
    is_shared: bool


class Table:
    """Rows for ``launches``, compiled; addresses are filled in by `place`.

    Attributes
    ----------
    address, length : int
        Of the rows.
    is_shared : bool
        Whether any row needs more than one thread.
    """

    def __init__(self, launches: Sequence[Launch]) -> None:
        self._launches = [launch for launch in launches if launch.tiles > 0]
        self.length = len(self._launches)
        self._rows = _words(self.length * COLUMNS).reshape(-1, COLUMNS)
        self.address = self._rows.ctypes.data
        self._arguments = _words(sum(len(each.arguments) for each in self._launches))
        # A ctypes array: its items are set several times faster than those of an ndarray.
        self._places = (ctypes.c_int64 * self._arguments.size).from_buffer(self._arguments.data)
        self._uses = self._fill()
        self.is_shared = False

    def place(self, buffer: Buffer, address: int) -> None:
        """Let every argument that lies in ``buffer`` know where that is."""
        for position, offset in self._uses.get(buffer, ()):
            self._places[position] = address + offset

    def row(self, number: int) -> Row:
        """One launch by itself."""
        address = self.address + number * self._rows.strides[0]
        return Row(address, 1, bool(self._rows[number, IS_SHARED]))

    def share(self, threads: int) -> None:
        """Decide which rows all threads do together."""
        shared = [is_worth_sharing(launch, threads) for launch in self._launches]
        self.is_shared = any(shared)
        self._rows[:, IS_SHARED] = shared

    def _fill(self) -> Mapping[Buffer, Sequence[tuple[int, int]]]:
        """Write all but addresses; where those go, and with what offsets, comes back."""
        uses: dict[Buffer, list[tuple[int, int]]] = {}
        position = 0
        for row, launch in zip(self._rows, self._launches, strict=True):
            row[ENTRY] = compile_kernel(launch.kernel).address
            row[TILES] = launch.tiles
            row[WORDS] = self._arguments.ctypes.data + position * _WORD_BYTES
            pairs = zip(launch.kernel.signature, launch.arguments, strict=True)
            for type_, argument in pairs:
                if isinstance(argument, Address):
                    uses.setdefault(argument.buffer, []).append((position, argument.offset))
                else:
                    self._arguments[position] = pack_word(type_, argument)
                position += 1
        return uses


def _words(count: int) -> np.ndarray:
    words = aligned(count * _WORD_BYTES).view(np.int64)
    words[:] = 0
    return words
