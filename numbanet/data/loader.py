"""The loader: batches of a data set, in this process or from workers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from numbanet.data.collate import Collate, default_collate, default_convert
from numbanet.data.dataset import Dataset, IterableDataset
from numbanet.data.fetch import END, fast_gather
from numbanet.data.generator import Generator, numpy_generator
from numbanet.data.pool import WorkerPool, context_of
from numbanet.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler
from numbanet.data.workers import Job
from numbanet.errors import ArgumentError

Sample = TypeVar("Sample", covariant=True)

MAX_PREFETCH = 128
"""So many answers always fit into a pipe, so that workers never wait for the parent to read."""


class DataLoader(Generic[Sample]):
    """Batches of a data set.

    Parameters
    ----------
    dataset : Dataset or IterableDataset
    batch_size : int or None
        None reads single samples (or whatever the data set gives for what the sampler gives).
    shuffle : bool
        A new random order each epoch.
    sampler : Sampler or iterable of int, optional
        The order, in the place of ``shuffle``.
    batch_sampler : Sampler or iterable of lists of int, optional
        The batches, in the place of all of the above and ``drop_last``.
    num_workers : int
        Processes that read samples; 0 reads them here.
    collate_fn : callable, optional
        From a list of samples to a batch: `default_collate`, or `default_convert` if
        ``batch_size`` is None.
    pin_memory : bool
        Taken and without effect: batches are tensors on the host.
    drop_last : bool
        Leave out a last batch that is smaller.
    timeout : float
        Seconds to wait for a worker's batch; 0 waits for ever.
    worker_init_fn : callable, optional
        Called in each worker with its number.
    multiprocessing_context : str or context, optional
        How workers start: by default ``"forkserver"``, or ``"spawn"`` where there is none. Both
        need a data set that can be pickled and a script with ``if __name__ == "__main__":``.
    generator : Generator, optional
        For the order and the seeds of workers; by default that of `numbanet.set_seed`.
    prefetch_factor : int, optional
        Batches that each worker prepares ahead; 2 by default, at most 128.
    persistent_workers : bool
        Keep the workers from epoch to epoch.
    pin_memory_device : str
        Not supported.
    in_order : bool
        Only True is supported.

    Raises
    ------
    ArgumentError
        On arguments that exclude each other, or are out of range.
    NotImplementedError
        On ``pin_memory_device`` or ``in_order=False``.

    Notes
    -----
    Arrays in memory (`TensorDataset`, a `Subset` of one) with the default ``collate_fn`` are
    read a batch at a time, and without shuffling not even copied.
    """

    def __init__(
        self,
        dataset: Dataset[Sample],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[list[int]] | Iterable[list[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Collate | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if pin_memory_device:
            raise NotImplementedError(f"pin_memory_device={pin_memory_device!r}")
        if not in_order:
            raise NotImplementedError("in_order=False")
        self.dataset = dataset
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.prefetch_factor = prefetch_factor
        self.persistent_workers = persistent_workers
        self.drop_last = drop_last
        self.batch_size = batch_size
        self._is_stream = isinstance(dataset, IterableDataset)
        self._check_workers()
        self._check_order(shuffle, sampler, batch_sampler)
        self._choose_order(bool(shuffle), sampler, batch_sampler)
        self.collate_fn = collate_fn or (
            default_convert
            if self.batch_size is None and batch_sampler is None
            else default_collate
        )
        self._pool: WorkerPool | None = None

    def _check_workers(self) -> None:
        if self.num_workers < 0:
            raise ArgumentError("num_workers is negative", got=str(self.num_workers))
        if self.timeout < 0:
            raise ArgumentError("timeout is negative", got=str(self.timeout))
        if self.num_workers:
            if self.prefetch_factor is None:
                self.prefetch_factor = 2
            if not 0 < self.prefetch_factor <= MAX_PREFETCH:
                raise ArgumentError(
                    "prefetch_factor out of range",
                    got=str(self.prefetch_factor),
                    expected=f"1 .. {MAX_PREFETCH}",
                )
            return
        for name in (
            "prefetch_factor",
            "persistent_workers",
            "multiprocessing_context",
            "timeout",
        ):
            if getattr(self, name):
                raise ArgumentError(f"{name} is for workers", mend="Set num_workers > 0")

    def _check_order(self, shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
        if self._is_stream and (shuffle or sampler is not None or batch_sampler is not None):
            raise ArgumentError(
                "a stream (IterableDataset) decides on its order itself",
                got="shuffle, sampler or batch_sampler",
            )
        if sampler is not None and shuffle:
            raise ArgumentError("sampler and shuffle exclude each other")
        others = self.batch_size != 1 or shuffle or sampler is not None or self.drop_last
        if batch_sampler is not None and others:
            raise ArgumentError(
                "batch_sampler excludes batch_size, shuffle, sampler and drop_last"
            )
        if self.batch_size is None and self.drop_last:
            raise ArgumentError("drop_last is for batches", got="batch_size=None")

    def _choose_order(self, shuffle: bool, sampler: Any, batch_sampler: Any) -> None:
        if batch_sampler is not None:
            self.batch_size = None
        elif self.batch_size is not None and self.batch_size <= 0:
            raise ArgumentError("batch_size is a positive integer", got=str(self.batch_size))
        if sampler is None and not self._is_stream:
            samples: Any = self.dataset
            sampler = SequentialSampler(samples)
            if shuffle:
                sampler = RandomSampler(samples, generator=self.generator)
        self.sampler: Any = sampler
        if batch_sampler is None and self.batch_size is not None and not self._is_stream:
            batch_sampler = BatchSampler(self.sampler, self.batch_size, self.drop_last)
        self.batch_sampler: Any = batch_sampler

    def __len__(self) -> int:
        """Number of batches; of a stream, what its own length lets expect."""
        if not self._is_stream:
            chosen = self.sampler if self.batch_sampler is None else self.batch_sampler
            return len(chosen)  # type: ignore[arg-type]
        samples = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return samples
        return samples // self.batch_size if self.drop_last else -(-samples // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        # Drawn even without workers, so that the order does not depend on their number.
        seed = int(numpy_generator(self.generator).integers(2**63))
        return self._from_workers(seed) if self.num_workers else self._from_here()

    def _indices(self) -> Iterator[Any]:
        """What each batch is made of; for streams, endless."""
        if self._is_stream:
            return itertools.repeat(None)
        if self.batch_sampler is None:
            return iter(self.sampler)
        gather = fast_gather(self.dataset, self.collate_fn, is_batched=True)
        if gather is not None and type(self.batch_sampler) is BatchSampler:
            return self.batch_sampler.orders()
        return iter(self.batch_sampler)

    def _from_here(self) -> Iterator[Any]:
        fetch = self._job().fetcher()
        for indices in self._indices():
            batch = fetch(indices)
            if batch is END:
                return
            yield batch

    def _from_workers(self, seed: int) -> Iterator[Any]:
        pool = self._pool
        if pool is None or pool.is_closed:
            context = context_of(self.multiprocessing_context)
            pool = WorkerPool(self._job(), seed, context, self.timeout)
        if self.persistent_workers:
            self._pool = pool
        try:
            yield from pool.run(self._indices())
        finally:
            if not self.persistent_workers:
                pool.close()

    def _job(self) -> Job:
        return Job(
            dataset=self.dataset,
            collate=self.collate_fn,
            batch_size=self.batch_size,
            is_batched=self.batch_sampler is not None,
            drop_last=self.drop_last,
            initialise=self.worker_init_fn,
            workers=self.num_workers,
            blocks=self.prefetch_factor or 0,
        )
