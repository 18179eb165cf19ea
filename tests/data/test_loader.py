"""The loader in one process: batches, order and arguments, beside PyTorch's."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from numbanet import data, set_seed
from numbanet.data import DataLoader, TensorDataset
from numbanet.errors import ArgumentError
from numbanet.tensors.tensor import Tensor

torch = pytest.importorskip("torch")
theirs = torch.utils.data

X = np.arange(30, dtype=np.float32).reshape(10, 3)
Y = np.arange(10)


class Pairs(data.Dataset):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> Any:
        assert type(index) is int
        return {"x": X[index], "y": (int(Y[index]), str(index))}


class Stream(data.IterableDataset):
    def __iter__(self) -> Any:
        return ((X[index], index) for index in range(10))

    def __len__(self) -> int:
        return 10


def plain(batch: Any) -> Any:
    """A batch of either side as lists and numbers."""
    if isinstance(batch, Tensor | torch.Tensor):
        return batch.numpy().tolist()
    if isinstance(batch, dict):
        return {key: plain(part) for key, part in batch.items()}
    return [plain(part) for part in batch] if isinstance(batch, list) else batch


def in_memory(side: Any) -> Any:
    wrap = torch.tensor if side is theirs else np.array
    return side.TensorDataset(wrap(X), wrap(Y))


MADE = {
    "in memory": in_memory,
    "subset in memory": lambda side: side.Subset(in_memory(side), [7, 0, 0, 3, 9, 1]),
    "subset of a subset": lambda side: side.Subset(
        side.Subset(in_memory(side), [7, 0, 2, 3]), [3, 1, 0]
    ),
    "samples": lambda side: Pairs(),
    "subset of samples": lambda side: side.Subset(Pairs(), [4, 2, 8]),
    "stack": lambda side: side.StackDataset(a=in_memory(side), b=Pairs()),
    "concatenation": lambda side: side.ConcatDataset([in_memory(side), in_memory(side)]),
    "stream": lambda side: Stream() if side is data else _their_stream(),
}


def _their_stream() -> Any:
    class TheirStream(theirs.IterableDataset):
        __iter__, __len__ = Stream.__iter__, Stream.__len__

    return TheirStream()


SETTINGS = [
    {},
    {"batch_size": 4},
    {"batch_size": 4, "drop_last": True},
    {"batch_size": 5, "pin_memory": False},
    {"batch_size": 100},
    {"batch_size": 100, "drop_last": True},
    {"batch_size": None},
    {"batch_size": 3, "collate_fn": len},
]
ORDERED = [
    {"batch_size": 2, "sampler": [2, 0, 1]},
    {"batch_size": None, "sampler": [2, 0, 1]},
    {"batch_sampler": [[2, 0], [1], [0, 0, 2]]},
    {"batch_sampler": [range(0, 3, 2), (1,)]},
]
CASES = [
    (name, settings)
    for name, settings in itertools.product(MADE, SETTINGS + ORDERED)
    if not (name == "stream" and settings in ORDERED)
]


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_batches_are_torchs(name: str, settings: dict[str, Any]) -> None:
    ours = DataLoader(MADE[name](data), **settings)
    expected = theirs.DataLoader(MADE[name](theirs), **settings)
    for _ in range(2):
        assert [plain(batch) for batch in ours] == [plain(batch) for batch in expected]
    assert len(ours) == len(expected)


@pytest.mark.parametrize("name", ["in memory", "samples"])
def test_shuffling_is_the_generators(name: str) -> None:
    def epochs(seed: int) -> Any:
        generator = data.Generator().manual_seed(seed)
        loader = DataLoader(MADE[name](data), 3, shuffle=True, generator=generator)
        return [[plain(batch) for batch in loader] for _ in range(2)]

    assert epochs(1) == epochs(1) != epochs(2)
    assert epochs(1)[0] != epochs(1)[1]


@pytest.mark.parametrize("name", ["in memory", "subset in memory"])
def test_shuffling_keeps_samples_together_and_shows_each_once(name: str) -> None:
    dataset = MADE[name](data)
    rows = []
    for x, y in DataLoader(dataset, 4, shuffle=True):
        rows += zip(plain(y), plain(x), strict=True)
    assert sorted(rows) == sorted(
        (plain(y), plain(x)) for x, y in map(dataset.__getitem__, range(len(dataset)))
    )


def test_set_seed_decides_on_the_order() -> None:
    orders = []
    for _ in range(2):
        set_seed(11)
        orders.append([plain(batch) for batch in DataLoader(Y, 3, shuffle=True)])
    assert orders[0] == orders[1]


def test_arrays_in_order_are_not_copied() -> None:
    dataset = TensorDataset(X, Y)
    (x, y), *_ = DataLoader(dataset, batch_size=4)
    assert np.shares_memory(x.array(), dataset.tensors[0].array())
    x.numpy()[:] = -1
    assert plain(x) == X[:4].tolist()
    (x, y), *_ = DataLoader(dataset, batch_size=4, shuffle=True)
    assert not np.shares_memory(x.array(), dataset.tensors[0].array())
    assert (x.array().flags.c_contiguous, y.dtype.value) == (True, "int64")


def test_a_subclass_with_its_own_samples_is_asked() -> None:
    class Doubled(TensorDataset):
        def __getitem__(self, index: Any) -> Any:
            return tuple(
                Tensor.wrap(np.asarray(part.numpy() * 2)) for part in super().__getitem__(index)
            )

    for dataset in (Doubled(Y), data.Subset(Doubled(Y), range(10))):
        (batch,), *_ = DataLoader(dataset, batch_size=3)
        assert plain(batch) == [0, 2, 4]


def test_samples_read_together() -> None:
    class Together(Pairs):
        def __getitems__(self, indices: list[int]) -> list[Any]:
            return [100 * index for index in indices]

    assert [plain(batch) for batch in DataLoader(Together(), 5)] == [
        [0, 100, 200, 300, 400],
        [500, 600, 700, 800, 900],
    ]


def test_attributes() -> None:
    loader = DataLoader(Pairs(), 4, shuffle=True, drop_last=True)
    assert (loader.batch_size, loader.drop_last, loader.num_workers) == (4, True, 0)
    assert isinstance(loader.sampler, data.RandomSampler)
    assert isinstance(loader.batch_sampler, data.BatchSampler)
    assert loader.collate_fn is data.default_collate
    assert DataLoader(Pairs(), batch_size=None).collate_fn is data.default_convert
    assert isinstance(loader.dataset, Pairs)


def test_worker_info_is_for_workers() -> None:
    assert data.get_worker_info() is None


REFUSED = [
    {"batch_size": 0},
    {"batch_size": -1},
    {"shuffle": True, "sampler": [0]},
    {"batch_sampler": [[0]], "batch_size": 2},
    {"batch_sampler": [[0]], "shuffle": True},
    {"batch_sampler": [[0]], "sampler": [0]},
    {"batch_sampler": [[0]], "drop_last": True},
    {"batch_size": None, "drop_last": True},
    {"num_workers": -1},
    {"timeout": -1},
    {"timeout": 1},
    {"prefetch_factor": 2},
    {"persistent_workers": True},
    {"multiprocessing_context": "spawn"},
    {"num_workers": 1, "prefetch_factor": 0},
    {"num_workers": 1, "prefetch_factor": 1000},
]


@pytest.mark.parametrize("settings", REFUSED, ids=str)
def test_arguments_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        DataLoader(Pairs(), **settings)


@pytest.mark.parametrize("settings", [{"shuffle": True}, {"sampler": [0]}], ids=str)
def test_streams_have_their_own_order(settings: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        DataLoader(Stream(), **settings)


@pytest.mark.parametrize("settings", [{"pin_memory_device": "cuda"}, {"in_order": False}])
def test_what_is_not_supported(settings: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError, match=next(iter(settings))):
        DataLoader(Pairs(), **settings)
