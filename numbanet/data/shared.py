"""Batches through shared memory: one copy in, one copy out, whatever is in them.

A block holds a table of sizes, the pickled batch, and the arrays that pickle leaves out of
band. So a message is a `Letter`, however large the batch: pipes never fill, and nobody waits
for a reader. Tensors travel as their arrays.
"""

from __future__ import annotations

import io
import itertools
import pickle
from multiprocessing.shared_memory import SharedMemory
from typing import Any, NamedTuple

import numpy as np

from numbanet.tensors.tensor import Tensor

ALIGNMENT = 64


class Letter(NamedTuple):
    """What a block holds, and whether it is the block that it was the last time."""

    generation: int
    parts: int
    nbytes: int


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Tensor):
            return Tensor.wrap, (obj.array(), obj.requires_grad)
        return NotImplemented


class Outbox:
    """The sender's side of one block, which is made anew when it must grow."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.block: SharedMemory | None = None
        self.generation = 0

    def put(self, content: Any) -> Letter:
        """Write ``content`` over what was there."""
        arrays: list[pickle.PickleBuffer] = []
        head = io.BytesIO()
        _Pickler(head, protocol=5, buffer_callback=arrays.append).dump(content)
        parts = [head.getbuffer(), *(array.raw() for array in arrays)]
        sizes = np.array([part.nbytes for part in parts], dtype=np.int64)
        bounds = _bounds(sizes)
        memory = self._memory(bounds[-1])
        memory[: sizes.nbytes] = sizes.tobytes()
        for start, part in zip(bounds, parts, strict=False):
            memory[start : start + part.nbytes] = part.cast("B")
        return Letter(self.generation, len(parts), bounds[-1])

    def _memory(self, size: int) -> memoryview:
        if self.block is None or self.block.size < size:
            self.close()
            self.block = SharedMemory(self.name, create=True, size=size + size // 8)
            self.generation += 1
        return _buffer(self.block)

    def close(self) -> None:
        """Remove the block."""
        if self.block is not None:
            self.block.close()
            self.block.unlink()
            self.block = None


class Inbox:
    """The receiver's side of one block."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.block: SharedMemory | None = None
        self.generation = 0

    def take(self, letter: Letter) -> Any:
        """The content, with arrays of its own: the sender may write again."""
        data = np.array(np.frombuffer(self._memory(letter), np.uint8, letter.nbytes))
        sizes = data[: letter.parts * 8].view(np.int64)
        bounds = _bounds(sizes)
        head, *arrays = (
            data.data[start : start + size]
            for start, size in zip(bounds, sizes.tolist(), strict=False)
        )
        return pickle.loads(head, buffers=arrays)

    def _memory(self, letter: Letter) -> memoryview:
        if self.block is None or self.generation != letter.generation:
            self.close()
            self.block = SharedMemory(self.name)
            self.generation = letter.generation
        return _buffer(self.block)

    def close(self) -> None:
        if self.block is not None:
            self.block.close()
            self.block = None

    def remove(self) -> None:
        """Remove the block in the place of a sender that is no more."""
        try:
            block = self.block or SharedMemory(self.name)
        except FileNotFoundError:
            return
        self.block = None
        block.close()
        try:
            block.unlink()
        except FileNotFoundError:
            return


def _buffer(block: SharedMemory) -> memoryview:
    assert block.buf is not None
    return block.buf


def _bounds(sizes: np.ndarray) -> list[int]:
    """Where each part begins, behind the table of sizes; and where the last ends."""
    whole = [sizes.nbytes, *sizes.tolist()]
    return list(itertools.accumulate(-(-size // ALIGNMENT) * ALIGNMENT for size in whole))
