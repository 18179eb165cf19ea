"""Batches as somebody hands them out, one after the other or by their numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from numbanet.arrays.epochs import epoch_order
from numbanet.data import Dataset
from numbanet.errors import ArgumentError, DataError
from numbanet.models.data import DataSet, Piece, part_of_pass


class StreamSource:
    """Batches as somebody hands them out: each is checked before its step.

    Parameters
    ----------
    batches : iterable
        Of what ``check`` takes. An iterator is gone through once, anything else once an epoch.
    check : callable
        Makes a `DataSet` of a batch.
    limit : int, optional
        Steps of an epoch; the next one goes on where it ended.
    """

    def __init__(
        self,
        batches: Iterable[Any],
        check: Callable[[Any], DataSet],
        limit: int | None = None,
    ) -> None:
        self._batches, self._check, self._limit = batches, check, limit
        self._open: Iterator[Any] | None = None
        self._orders: dict[int, np.ndarray] = {}

    @property
    def steps(self) -> int | None:
        if self._limit is not None:
            return self._limit
        return length_of(self._batches)

    def epoch(self, epoch: int, seed: int) -> Iterator[Piece]:
        count = 0
        for batch in islice(self._endless() if self._limit else self._once(), self._limit):
            data = self._check(batch)
            count += 1
            yield Piece(data, self._order(data.samples), 0, data.samples, 1)
        if count == 0 or (self._limit is not None and count < self._limit):
            raise DataError(
                "the batches ran out",
                got=f"{count} of epoch {epoch + 1}",
                expected=str(self._limit or "at least one"),
                mend="Give steps_per_epoch, or something that can be gone through again",
            )

    def _once(self) -> Iterator[Any]:
        return iter(self._batches)

    def _endless(self) -> Iterator[Any]:
        """Batches from where the last epoch ended, and from the start again where there is
        one."""
        is_spent = False
        while True:
            if self._open is None:
                self._open = iter(self._batches)
            for batch in self._open:
                is_spent = False
                yield batch
            if is_spent or self._open is self._batches:
                return
            self._open, is_spent = None, True

    def _order(self, samples: int) -> np.ndarray:
        if samples not in self._orders:
            self._orders[samples] = np.arange(samples, dtype=np.int64)
        return self._orders[samples]


class IndexedSource:
    """Batches by their numbers, as Keras's ``PyDataset`` has them.

    ``on_epoch_begin`` and ``on_epoch_end`` are called if there are such methods.

    Parameters
    ----------
    batches : object with ``__getitem__`` and ``__len__``
        Of what ``check`` takes.
    check : callable
        Makes a `DataSet` of a batch.
    shuffle : bool
        Take the batches in a new order each time.
    limit : int, optional
        Steps of an epoch, at most; see `part_of_pass`.
    """

    def __init__(
        self,
        batches: Any,
        check: Callable[[Any], DataSet],
        shuffle: bool = False,
        limit: int | None = None,
    ) -> None:
        self._batches, self._check = batches, check
        self._shuffle, self._limit = shuffle, limit

    @property
    def steps(self) -> int:
        return self._limit or self._count

    def epoch(self, epoch: int, seed: int) -> Iterator[Piece]:
        self._tell("on_epoch_begin")
        count = self._count
        if not count:
            raise DataError("no batches", got=f"a length of 0 in epoch {epoch + 1}")
        part = part_of_pass(epoch, count, self._limit)
        order = epoch_order(count, seed=seed, epoch=part.number, shuffle=self._shuffle)
        for number in order[part.start : part.start + part.steps]:
            data = self._check(self._batches[int(number)])
            yield Piece(data, np.arange(data.samples, dtype=np.int64), 0, data.samples, 1)
        self._tell("on_epoch_end")

    @property
    def _count(self) -> int:
        return length_of(self._batches) or 0

    def _tell(self, hook: str) -> None:
        getattr(self._batches, hook, _nothing)()


def _nothing() -> None:
    """What a hook does that is not there."""


def is_stream(x: Any) -> bool:
    """Whether ``x`` hands out batches, and is no array, list or mapping of arrays.

    Raises
    ------
    ArgumentError
        If it hands out samples.
    """
    is_whole = isinstance(x, list | tuple | Mapping | str) or hasattr(x, "shape")
    if is_whole or hasattr(x, "__array__"):
        return False
    if isinstance(x, Dataset):
        raise ArgumentError(
            "a Dataset has samples, and no batches",
            got=type(x).__name__,
            mend="Give numbanet.data.DataLoader(dataset, batch_size)",
        )
    return isinstance(x, Iterable) or is_indexed(x)


def is_indexed(x: Any) -> bool:
    """Whether ``x`` has batches by their numbers: Keras's ``PyDataset``, or what is like it."""
    if not hasattr(x, "__getitem__"):
        return False
    return hasattr(x, "on_epoch_end") or (hasattr(x, "__len__") and not hasattr(x, "__iter__"))


def length_of(batches: Any) -> int | None:
    """How many batches there are; None if nobody knows, or there is no end."""
    try:
        return batches.num_batches if hasattr(batches, "num_batches") else len(batches)
    except (TypeError, NotImplementedError):
        return None


def in_order(batches: Any) -> Iterator[Any]:
    """All batches, in their own order."""
    if not is_indexed(batches):
        return iter(batches)
    count = length_of(batches)
    return map(batches.__getitem__, range(count) if count is not None else itertools.count())


def unpacked(batch: Any) -> tuple[Any, Any, Any]:
    """``(x, y, sample_weight)`` of a batch ``x``, ``(x,)``, ``(x, y)`` or all three."""
    if isinstance(batch, list) and len(batch) == 2:
        batch = tuple(batch)  # what loaders make of pairs
    if not isinstance(batch, tuple):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise DataError("a batch is (x, y) or (x, y, sample_weight)", got=f"{len(batch)} parts")
    x, y, weight = (*batch, None, None)[:3]
    return x, y, weight
