"""From the indices of a batch to the batch."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from numbanet.data.collate import Collate, default_collate
from numbanet.data.dataset import Gather, IterableDataset, gatherer, read
from numbanet.runtime.host import Spare
from numbanet.tensors.tensor import Tensor

Fetch = Callable[[Any], Any]
"""Takes the indices of a batch; for streams anything, and it gives `END` when one ended."""

END = object()


def fast_gather(dataset: Any, collate: Collate, is_batched: bool) -> Gather | None:
    """How to read whole batches out of arrays in memory; None if samples must be visited."""
    return gatherer(dataset) if is_batched and collate is default_collate else None


def fetcher(
    dataset: Any, collate: Collate, batch_size: int | None, is_batched: bool, drop_last: bool
) -> Fetch:
    """The function that makes the batches of one epoch."""
    if isinstance(dataset, IterableDataset):
        return _stream_fetcher(dataset, collate, batch_size, drop_last)
    gather = fast_gather(dataset, collate, is_batched)
    if gather is not None:
        spare = Spare()
        return lambda indices: [Tensor.wrap(array) for array in gather(indices, spare)]
    if is_batched:
        return lambda indices: collate(read(dataset, indices))
    return lambda index: collate(dataset[index])


def _stream_fetcher(
    dataset: IterableDataset[Any], collate: Collate, batch_size: int | None, drop_last: bool
) -> Fetch:
    samples = iter(dataset)

    def fetch(_: Any) -> Any:
        if batch_size is None:
            sample = next(samples, END)
            return END if sample is END else collate(sample)
        batch = list(itertools.islice(samples, batch_size))
        is_short = not batch or (drop_last and len(batch) < batch_size)
        return END if is_short else collate(batch)

    return fetch
