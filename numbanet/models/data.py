"""What programs read: checked arrays, whole or batch by batch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Any, Protocol

import numpy as np

from numbanet.arrays.epochs import epoch_order
from numbanet.arrays.inputs import common_length
from numbanet.errors import ArgumentError
from numbanet.ir import DType, TensorType
from numbanet.ir.resident import Array, Resident
from numbanet.models.graphs import ORDER, DataTypes
from numbanet.runtime.device import Device, Executable


@dataclass(frozen=True, eq=False)
class DataSet:
    """Checked arrays, all of one length, that programs read by name.

    Attributes
    ----------
    inputs, targets, weights : dict of str to Array
        On the host, or on the device that trains. Weights of samples by output; none for
        outputs without.
    samples : int
    """

    inputs: Mapping[str, Array]
    targets: Mapping[str, Array]
    weights: Mapping[str, Array] = field(default_factory=dict)
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
    def arrays(self) -> dict[str, Array]:
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
        """Of what is on the host."""
        hosted = (array for array in self.arrays.values() if isinstance(array, np.ndarray))
        return sum(array.nbytes for array in hosted)

    def is_on(self, device: Device) -> bool:
        """Whether the arrays were put there, or are there."""
        return device in self._put or not self.nbytes

    def on(self, device: Device) -> dict[str, Any]:
        """`arrays`, those of the host put on ``device`` once."""
        if device not in self._put:
            self._put[device] = {
                name: array if isinstance(array, Resident) else device.put(array)
                for name, array in self.arrays.items()
            }
        return self._put[device]


def _types(arrays: Mapping[str, Array]) -> dict[str, TensorType]:
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


@dataclass(frozen=True)
class Part:
    """Steps of one time through the data: from ``start`` on, of time ``number``."""

    number: int
    start: int
    steps: int


def part_of_pass(epoch: int, steps: int, limit: int | None) -> Part:
    """What an epoch takes of data that are gone through in ``steps`` steps.

    As in Keras, an epoch of ``limit`` steps goes on where the last one ended, and ends with the
    data, early, with a warning; then the next begins anew.
    """
    if limit is None:
        return Part(epoch, 0, steps)
    number, place = divmod(epoch, -(-steps // limit))
    start = place * limit
    if steps - start < limit:
        warnings.warn(
            f"the data ran out: epoch {epoch + 1} has {steps - start} of {limit} steps",
            stacklevel=2,
        )
    return Part(number, start, min(limit, steps - start))


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Whole arrays, in a new order each time that they are gone through.

    Parameters
    ----------
    data : DataSet
    batch_size : int
    shuffle : bool
    limit : int, optional
        Steps of an epoch, at most, see `part_of_pass`. By default an epoch goes through all
        samples once.
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
        part = part_of_pass(epoch, self._steps_of_pass, self.limit)
        samples = self.data.samples
        order = epoch_order(samples, seed=seed, epoch=part.number, shuffle=self.shuffle)
        yield from self._pass(order, part.start, part.steps)

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
