"""What programs read: checked arrays, whole or batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from numbers import Real
from typing import Any, Protocol

import numpy as np

from numbanet.arrays.epochs import epoch_order
from numbanet.arrays.inputs import common_length
from numbanet.errors import ArgumentError, DataError
from numbanet.ir import DType, TensorType
from numbanet.models.graphs import ORDER, DataTypes
from numbanet.runtime.device import Device, Executable


@dataclass(frozen=True, eq=False)
class DataSet:
    """Checked arrays, all of one length, that programs read by name.

    Attributes
    ----------
    inputs, targets, weights : dict of str to ndarray
        Weights of samples by output; none for outputs without.
    samples : int
    """

    inputs: Mapping[str, np.ndarray]
    targets: Mapping[str, np.ndarray]
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    samples: int = field(init=False)
    _put: dict[Device, dict[str, Any]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        named = {f"input {k!r}": v for k, v in self.inputs.items()}
        named |= {f"targets {k!r}": v for k, v in self.targets.items()}
        named |= {f"sample_weight {k!r}": v for k, v in self.weights.items()}
        object.__setattr__(self, "samples", common_length(named))

    @cached_property
    def types(self) -> DataTypes:
        return DataTypes(_types(self.inputs), _types(self.targets), _types(self.weights))

    def split(self, fraction: float) -> tuple[DataSet, DataSet]:
        """All but the last ``fraction`` of the samples, and those."""
        is_fraction = isinstance(fraction, Real) and 0 < fraction < 1
        first = self.samples - (int(self.samples * fraction) if is_fraction else 0)
        if first == self.samples:
            raise ArgumentError(
                "validation_split leaves samples on both sides",
                got=f"{fraction} of {self.samples} samples",
            )
        return self._slice(slice(first)), self._slice(slice(first, None))

    def _slice(self, which: slice | np.ndarray) -> DataSet:
        groups = (self.inputs, self.targets, self.weights)
        return DataSet(*({k: array[which] for k, array in group.items()} for group in groups))

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """All of them, by the names of the programs' inputs."""
        groups = (("x", self.inputs), ("y", self.targets), ("w", self.weights))
        return {
            f"{prefix}/{name}": array
            for prefix, arrays in groups
            for name, array in arrays.items()
        }

    def take(self, samples: np.ndarray) -> DataSet:
        """A copy of these samples."""
        return self._slice(samples)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())

    def is_on(self, device: Device) -> bool:
        """Whether the arrays were put there."""
        return device in self._put

    def on(self, device: Device) -> dict[str, Any]:
        """`arrays`, put on ``device`` once."""
        if device not in self._put:
            self._put[device] = {name: device.put(a) for name, a in self.arrays.items()}
        return self._put[device]


def _types(arrays: Mapping[str, np.ndarray]) -> dict[str, TensorType]:
    return {
        name: TensorType(array.shape, DType.of(array.dtype)) for name, array in arrays.items()
    }


@dataclass(frozen=True, eq=False)
class Piece:
    """Steps of one batch size, one after the other, through samples in an order."""

    data: DataSet
    order: np.ndarray
    start: int
    size: int
    steps: int

    @property
    def is_whole(self) -> bool:
        """Whether it is one step that reads all of the data."""
        return self.steps == 1 and self.size == self.data.samples

    def bind(self, executable: Executable, device: Device) -> None:
        """Make the data what ``executable`` reads.

        What many steps read is put on the device for all of them; what only one does is not.
        """
        arrays = self.data.arrays if self.is_whole else self.data.on(device)
        for name, array in arrays.items():
            executable.bind(name, array)
        executable.bind(ORDER, self.order)

    def batches(self) -> Iterator[Piece]:
        """Its steps one by one, each with a copy of its samples."""
        order = np.arange(self.size, dtype=np.int64)
        for start in range(self.start, self.start + self.steps * self.size, self.size):
            data = self.data.take(self.order[start : start + self.size])
            yield Piece(data, order, 0, self.size, 1)


class Source(Protocol):
    """Where the steps of an epoch come from."""

    @property
    def steps(self) -> int | None:
        """Number of steps of an epoch; None if nobody knows."""
        ...

    def epoch(self, epoch: int, seed: int) -> Iterator[Piece]: ...


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Whole arrays, in a new order each time that they are gone through.

    Parameters
    ----------
    data : DataSet
    batch_size : int
    shuffle : bool
    limit : int, optional
        Steps of an epoch; the next one goes on where it ended. By default an epoch goes
        through all samples once.
    """

    data: DataSet
    batch_size: int
    shuffle: bool = False
    limit: int | None = None

    @property
    def _steps_of_pass(self) -> int:
        return -(-self.data.samples // self.batch_size)

    @property
    def steps(self) -> int:
        return self._steps_of_pass if self.limit is None else self.limit

    def epoch(self, epoch: int, seed: int) -> Iterator[Piece]:
        first = epoch * self.steps
        left = self.steps
        while left:
            turn, position = divmod(first, self._steps_of_pass)
            order = epoch_order(self.data.samples, seed=seed, epoch=turn, shuffle=self.shuffle)
            for piece in self._pass(order, position, left):
                left -= piece.steps
                first += piece.steps
                yield piece

    def pieces(self, order: np.ndarray) -> Iterator[Piece]:
        """Once through all samples in ``order``."""
        return self._pass(order, 0, self._steps_of_pass)

    def _pass(self, order: np.ndarray, position: int, limit: int) -> Iterator[Piece]:
        """At most ``limit`` steps of one time through, from step ``position`` on."""
        full, rest = divmod(self.data.samples, self.batch_size)
        count = min(full - position, limit)
        if count > 0:
            start = position * self.batch_size
            yield Piece(self.data, order, start, self.batch_size, count)
            position, limit = position + count, limit - count
        if rest and limit and position == full:
            yield Piece(self.data, order, full * self.batch_size, rest, 1)


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
        try:
            return len(self._batches)  # type: ignore[arg-type]
        except TypeError:
            return None

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


def is_stream(x: Any) -> bool:
    """Whether ``x`` hands out batches, and is no array, list or mapping of arrays."""
    is_whole = isinstance(x, list | tuple | Mapping | str) or hasattr(x, "shape")
    return isinstance(x, Iterable) and not is_whole and not hasattr(x, "__array__")


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
