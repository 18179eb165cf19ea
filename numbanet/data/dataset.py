"""Data sets: things with a length and an index, or things to iterate over."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from numbanet.data.generator import Generator, numpy_generator
from numbanet.errors import ArgumentError, DataError
from numbanet.runtime.host import Spare
from numbanet.tensors.tensor import Tensor

Sample = TypeVar("Sample", covariant=True)


class Dataset(Generic[Sample]):
    """Base of data sets with an index: subclasses define ``__getitem__`` and ``__len__``.

    A subclass may define ``__getitems__(indices)``, too: a list of samples, read together.
    """

    def __getitem__(self, index: Any) -> Sample:
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__()")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[Sample]):
    """Base of data sets that are streams: subclasses define ``__iter__``.

    Each worker of a `DataLoader` iterates over a copy of its own, so the copies must divide the
    samples among themselves: see `get_worker_info`.
    """

    def __iter__(self) -> Iterator[Sample]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__()")

    def __add__(self, other: Dataset[Any]) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Samples along the first axis of tensors; sample ``i`` is ``(a[i], b[i], ...)``.

    Parameters
    ----------
    *tensors : Tensor or array
        Of one length. Arrays are not copied.

    Raises
    ------
    DataError
        If there are none, or their lengths differ.
    """

    def __init__(self, *tensors: Tensor | np.ndarray) -> None:
        arrays = tuple(as_array(tensor) for tensor in tensors)
        if not arrays or any(array.ndim == 0 for array in arrays):
            raise DataError("TensorDataset takes tensors with at least one axis")
        _check_equal_lengths("TensorDataset", arrays)
        self._set_arrays(arrays)

    def _set_arrays(self, arrays: tuple[np.ndarray, ...]) -> None:
        self.tensors = tuple(Tensor.wrap(array) for array in arrays)
        # A tensor is contiguous, so a slice of its rows is, too.
        self._arrays = tuple(tensor.array() for tensor in self.tensors)

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        if isinstance(index, int | np.integer):
            index = (index, ...)
        return tuple(Tensor.wrap(array[index]) for array in self._arrays)

    def __len__(self) -> int:
        return len(self._arrays[0])

    def gather(self, indices: range | np.ndarray, spare: Spare) -> list[np.ndarray]:
        """The samples ``indices`` of each array: a view for a range, else a copy in memory of
        ``spare``."""
        if isinstance(indices, range) and indices.step == 1:
            rows = slice(indices.start, indices.stop)
            return [array[rows] for array in self._arrays]
        order = np.asarray(indices)
        return [spare.rows(array, order) for array in self._arrays]

    def __getstate__(self) -> dict[str, Any]:
        return {name: part for name, part in vars(self).items() if name != "tensors"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._set_arrays(state["_arrays"])


class StackDataset(Dataset[Any]):
    """Several data sets side by side; a sample is a tuple, or a dict for keyword arguments.

    Raises
    ------
    ArgumentError
        On both kinds of arguments, or none.
    DataError
        If lengths differ.
    """

    def __init__(self, *args: Dataset[Any], **kwargs: Dataset[Any]) -> None:
        if bool(args) == bool(kwargs):
            raise ArgumentError(
                "StackDataset takes data sets as arguments, or as keyword arguments",
                got="both" if args else "none",
            )
        self.datasets: Any = kwargs or args
        parts = self._parts()
        _check_equal_lengths("StackDataset", parts)
        self._length = len(parts[0])

    def _parts(self) -> tuple[Any, ...]:
        named = isinstance(self.datasets, dict)
        return tuple(self.datasets.values()) if named else self.datasets

    def _join(self, parts: Iterable[Any]) -> Any:
        if isinstance(self.datasets, dict):
            return dict(zip(self.datasets, parts, strict=True))
        return tuple(parts)

    def __getitem__(self, index: int) -> Any:
        return self._join(part[index] for part in self._parts())

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        columns = [read(part, indices) for part in self._parts()]
        return [self._join(sample) for sample in zip(*columns, strict=True)]

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[Any]):
    """Data sets one after another.

    Raises
    ------
    ArgumentError
        If there are none, or one is a stream.
    """

    def __init__(self, datasets: Iterable[Dataset[Any]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ArgumentError("ConcatDataset of no data sets")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise ArgumentError(
                "ConcatDataset cannot index an IterableDataset", mend="Use ChainDataset"
            )
        self.cumulative_sizes = list(itertools.accumulate(map(_length, self.datasets)))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"sample {index} of a data set of {length}")
        index %= length
        part = bisect.bisect_right(self.cumulative_sizes, index)
        begin = self.cumulative_sizes[part - 1] if part else 0
        return self.datasets[part][index - begin]


class ChainDataset(IterableDataset[Any]):
    """Streams one after another.

    Raises
    ------
    ArgumentError
        If one is not an `IterableDataset`.
    """

    def __init__(self, datasets: Iterable[Dataset[Any]]) -> None:
        self.datasets = list(datasets)
        if not all(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise ArgumentError(
                "ChainDataset takes streams (IterableDataset) only", mend="Use ConcatDataset"
            )

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self.datasets)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return sum(map(_length, self.datasets))


class Subset(Dataset[Sample]):
    """Some samples of a data set, in the order of ``indices``."""

    def __init__(self, dataset: Dataset[Sample], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.__getitems__(index)
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        return read(self.dataset, [self.indices[index] for index in indices])

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Dataset[Sample],
    lengths: Sequence[int | float],
    generator: Generator | None = None,
) -> list[Subset[Sample]]:
    """Divide a data set at random into parts that do not overlap.

    Parameters
    ----------
    dataset : Dataset
    lengths : sequence of int, or of float
        Lengths that add up to that of the data set, or fractions that add up to 1. Samples that
        rounding down leaves over go to the first parts, one each.
    generator : Generator, optional

    Raises
    ------
    ArgumentError
        If the lengths do not add up, or a fraction is not in [0, 1].
    """
    samples = _length(dataset)
    total = sum(lengths)
    if math.isclose(total, 1) and total <= 1:
        lengths = _from_fractions(lengths, samples)
    if sum(lengths) != samples or any(length < 0 for length in lengths):
        raise ArgumentError(
            "the lengths of a split do not add up to the data set",
            got=str(list(lengths)),
            expected=f"a sum of {samples}, or fractions with a sum of 1",
        )
    order = numpy_generator(generator).permutation(samples).tolist()
    ends = itertools.accumulate(int(length) for length in lengths)
    return [
        Subset(dataset, order[end - int(length) : end])
        for end, length in zip(ends, lengths, strict=True)
    ]


def _from_fractions(fractions: Sequence[float], samples: int) -> list[int]:
    for position, fraction in enumerate(fractions):
        if not 0 <= fraction <= 1:
            raise ArgumentError(
                f"fraction {position} of a split is not in [0, 1]", got=str(fraction)
            )
    lengths = [math.floor(samples * fraction) for fraction in fractions]
    for position in range(samples - sum(lengths)):
        lengths[position % len(lengths)] += 1
    for position, length in enumerate(lengths):
        if length == 0:
            warnings.warn(f"part {position} of the split is empty", stacklevel=3)
    return lengths


def as_array(data: Any) -> np.ndarray:
    """The numbers of a tensor, not to be changed, or ``data`` as an array."""
    return data.array() if isinstance(data, Tensor) else np.asarray(data)


def read(dataset: Any, indices: Sequence[int]) -> list[Any]:
    """The samples ``indices``, together if the data set can."""
    together = getattr(dataset, "__getitems__", None)
    if callable(together):
        return together(indices)  # type: ignore[return-value]
    return [dataset[index] for index in indices]


Gather = Callable[[range | np.ndarray, Spare], list[np.ndarray]]


def gatherer(dataset: Any) -> Gather | None:
    """How to read many samples of arrays in memory at once; None for any other data set.

    A subclass may have another ``__getitem__``, so only the classes themselves count.
    """
    if type(dataset) is TensorDataset:
        return dataset.gather
    inner = gatherer(dataset.dataset) if type(dataset) is Subset else None
    if inner is None:
        return None
    chosen = np.asarray(dataset.indices, dtype=np.int64)
    return lambda indices, spare: inner(chosen.take(indices), spare)  # type: ignore[arg-type]


def _length(dataset: Any) -> int:
    return len(dataset)


def _check_equal_lengths(what: str, parts: Sequence[Any]) -> None:
    lengths = [len(part) for part in parts]
    if len(set(lengths)) > 1:
        raise DataError(f"{what}: parts of different length", got=str(lengths))
