"""Samplers: in which order samples are read, and how they form batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from numbanet.data.generator import Generator, numpy_generator
from numbanet.errors import ArgumentError

Index = TypeVar("Index", covariant=True)

Order = range | np.ndarray


class Sampler(Generic[Index]):
    """Base of samplers: subclasses define ``__iter__``, and ``__len__`` where it is known."""

    def __iter__(self) -> Iterator[Index]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__()")


class OrderSampler(Sampler[int]):
    """Base of samplers that know an epoch's whole order at once: subclasses define `order`."""

    def order(self) -> Order:
        """The indices of an epoch: a range, or an integer array."""
        raise NotImplementedError(f"{type(self).__name__} does not define order()")

    def __iter__(self) -> Iterator[int]:
        order = self.order()
        return iter(order if isinstance(order, range) else order.tolist())


class SequentialSampler(OrderSampler):
    """0, 1, 2, ..."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def order(self) -> range:
        return range(len(self.data_source))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(OrderSampler):
    """A new random order each epoch.

    Parameters
    ----------
    data_source : sized
    replacement : bool
        Draw each index from all of them.
    num_samples : int, optional
        How many indices an epoch has; the length of the data by default. Without replacement,
        more than that are several permutations.
    generator : Generator, optional
        By default the shared one, which `numbanet.set_seed` seeds.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        _check_flag("replacement", replacement)
        if num_samples is not None:
            _check_positive("num_samples", num_samples)
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator

    @property
    def num_samples(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def order(self) -> np.ndarray:
        numbers = numpy_generator(self.generator)
        samples, wanted = len(self.data_source), self.num_samples
        if self.replacement:
            return numbers.integers(samples, size=wanted)
        rounds = -(-wanted // samples) if samples else 0
        orders = [numbers.permutation(samples) for _ in range(rounds)]
        return np.concatenate([np.empty(0, np.int64), *orders])[:wanted]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(OrderSampler):
    """The given indices, in a new random order each epoch."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def order(self) -> np.ndarray:
        indices = np.asarray(self.indices, dtype=np.int64)
        return numpy_generator(self.generator).permutation(indices)

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(OrderSampler):
    """Indices drawn with probabilities in proportion to ``weights``.

    Parameters
    ----------
    weights : sequence of float
        Not negative, not all zero; they need not add up to 1.
    num_samples : int
    replacement : bool
        Without, an index is drawn once only.
    generator : Generator, optional

    Raises
    ------
    ArgumentError
        On other weights, or if there are not enough of them to draw without replacement.
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        _check_positive("num_samples", num_samples)
        _check_flag("replacement", replacement)
        self.weights = np.asarray(weights, dtype=np.float64)
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator
        self._check()

    def _check(self) -> None:
        weights = self.weights
        if weights.ndim != 1:
            raise ArgumentError("weights have one axis", got=f"shape {weights.shape}")
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
            raise ArgumentError("weights are finite, not negative, and not all zero")
        drawable = int(np.count_nonzero(weights))
        if not self.replacement and self.num_samples > drawable:
            raise ArgumentError(
                "too few samples to draw without replacement",
                got=f"{drawable} of positive weight",
                expected=f"at least num_samples={self.num_samples}",
            )

    def order(self) -> np.ndarray:
        return numpy_generator(self.generator).choice(
            len(self.weights),
            size=self.num_samples,
            replace=self.replacement,
            p=self.weights / self.weights.sum(),
        )

    def __len__(self) -> int:
        return self.num_samples


class DistributedSampler(OrderSampler):
    """The share of one process among several: every ``num_replicas``-th index from ``rank``.

    All processes draw the same order from ``seed`` and the epoch, so call `set_epoch` before
    each. Indices from the front are repeated to make the shares equal, or left out at the end.

    Parameters
    ----------
    dataset : sized
    num_replicas, rank : int
        How many processes there are, and which this is. Required: numbanet has no group of
        processes to ask.
    shuffle : bool
    seed : int
    drop_last : bool
        Leave out rather than repeat.
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None or rank is None:
            raise ArgumentError("DistributedSampler needs num_replicas and rank")
        if not 0 <= rank < num_replicas:
            raise ArgumentError(
                "rank out of range", got=str(rank), expected=f"0 .. {num_replicas - 1}"
            )
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, which decides the order."""
        self.epoch = epoch

    def order(self) -> np.ndarray:
        samples = len(self.dataset)
        order = np.arange(samples)
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(samples)
        # np.resize repeats from the front, and cuts off at the end.
        return np.resize(order, len(self) * self.num_replicas)[self.rank :: self.num_replicas]

    def __len__(self) -> int:
        share = len(self.dataset) / self.num_replicas
        return math.floor(share) if self.drop_last else math.ceil(share)


class BatchSampler(Sampler[list[int]]):
    """Lists of ``batch_size`` indices of another sampler.

    Parameters
    ----------
    sampler : sampler or iterable of int
    batch_size : int
    drop_last : bool
        Leave out a last batch that is smaller.
    """

    def __init__(
        self, sampler: Sampler[int] | Iterable[int], batch_size: int, drop_last: bool
    ) -> None:
        _check_positive("batch_size", batch_size)
        _check_flag("drop_last", drop_last)
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        batch = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def orders(self) -> Iterator[Order]:
        """The same batches as ranges or arrays, for data that can be read by these."""
        # A subclass that iterates in its own way has another order than `order` says.
        iterates = getattr(type(self.sampler), "__iter__", None)
        if iterates is not OrderSampler.__iter__:
            yield from (np.asarray(batch, dtype=np.int64) for batch in self)
            return
        order = self.sampler.order()  # type: ignore[union-attr]
        end = len(order) - len(order) % self.batch_size if self.drop_last else len(order)
        for start in range(0, end, self.batch_size):
            yield order[start : start + self.batch_size]

    def __len__(self) -> int:
        samples = len(self.sampler)  # type: ignore[arg-type]
        return samples // self.batch_size if self.drop_last else -(-samples // self.batch_size)


def _check_positive(name: str, number: Any) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number <= 0:
        raise ArgumentError(f"{name} is a positive integer", got=repr(number))


def _check_flag(name: str, flag: Any) -> None:
    if not isinstance(flag, bool):
        raise ArgumentError(f"{name} is True or False", got=repr(flag))
