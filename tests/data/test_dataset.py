"""Data sets and their division, beside PyTorch's."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from numbanet import data
from numbanet.data import Subset, TensorDataset, random_split
from numbanet.errors import ArgumentError, DataError
from numbanet.tensors.tensor import Tensor

torch = pytest.importorskip("torch")
theirs = torch.utils.data


class Squares(data.Dataset):
    def __init__(self, length: int, offset: int = 0) -> None:
        self.length, self.offset = length, offset

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> int:
        if not 0 <= index < self.length:
            raise IndexError(index)
        return index**2 + self.offset


class Stream(data.IterableDataset):
    def __init__(self, *samples: int) -> None:
        self.samples = samples

    def __iter__(self) -> Any:
        return iter(self.samples)

    def __len__(self) -> int:
        return len(self.samples)


def arrays(dataset: TensorDataset) -> Any:
    return [[part.numpy().tolist() for part in dataset[index]] for index in range(len(dataset))]


def test_tensor_dataset() -> None:
    x, y = np.arange(12, dtype=np.float32).reshape(4, 3), np.arange(4)
    dataset, expected = TensorDataset(x, y), theirs.TensorDataset(*map(torch.tensor, (x, y)))
    assert len(dataset) == len(expected) == 4
    for index in (0, 3, -1, slice(1, 3), [0, 2], np.int64(2)):
        for ours, other in zip(dataset[index], expected[index], strict=True):
            assert isinstance(ours, Tensor)
            assert tuple(ours.shape) == tuple(other.shape)
            assert ours.numpy().tolist() == other.tolist()
    assert [tensor.dtype.value for tensor in dataset.tensors] == ["float32", "int64"]
    with pytest.raises(IndexError):
        dataset[4]


def test_tensor_dataset_of_tensors_survives_pickling() -> None:
    dataset = TensorDataset(Tensor.wrap(np.arange(6.0)), np.arange(6)[::-1])
    assert arrays(pickle.loads(pickle.dumps(dataset))) == arrays(dataset)
    assert arrays(dataset)[1] == [1.0, 4]


@pytest.mark.parametrize("tensors", [(), (np.float32(1),), (np.zeros(3), np.zeros(4))])
def test_tensor_dataset_refuses(tensors: Any) -> None:
    with pytest.raises(DataError):
        TensorDataset(*tensors)


def test_concat_dataset() -> None:
    joined = data.ConcatDataset([Squares(3), Squares(0), Squares(2, 100)])
    assert joined.cumulative_sizes == [3, 3, 5]
    assert list(joined) == [0, 1, 4, 100, 101]
    assert [joined[-1], joined[-5]] == [101, 0]
    assert list(Squares(2) + Squares(1, 7)) == [0, 1, 7]
    for index in (5, -6):
        with pytest.raises(IndexError):
            joined[index]


@pytest.mark.parametrize("parts", [[], [Squares(1), Stream(1)]])
def test_concat_dataset_refuses(parts: Any) -> None:
    with pytest.raises(ArgumentError):
        data.ConcatDataset(parts)


def test_chain_dataset() -> None:
    chain = Stream(1, 2) + Stream(3)
    assert isinstance(chain, data.ChainDataset)
    assert (list(chain), len(chain)) == ([1, 2, 3], 3)
    with pytest.raises(ArgumentError):
        data.ChainDataset([Stream(1), Squares(2)])


def test_stack_dataset() -> None:
    positional = data.StackDataset(Squares(3), Squares(3, 5))
    assert [positional[i] for i in range(3)] == [(0, 5), (1, 6), (4, 9)]
    assert positional.__getitems__([2, 0]) == [(4, 9), (0, 5)]
    named = data.StackDataset(a=Squares(3), b=Squares(3, 5))
    assert (named[1], len(named)) == ({"a": 1, "b": 6}, 3)
    with pytest.raises(DataError):
        data.StackDataset(Squares(3), Squares(4))
    for bad in ({}, {"a": Squares(1)}):
        with pytest.raises(ArgumentError):
            data.StackDataset(*([Squares(1)] if bad else []), **bad)


def test_subset() -> None:
    part = Subset(Squares(10), [9, 1, 4])
    assert (len(part), part[0], part[[0, 2]]) == (3, 81, [81, 16])
    assert Subset(part, [2, 0]).__getitems__([0, 1]) == [16, 81]


@pytest.mark.parametrize(
    "lengths", [[3, 7], [0.3, 0.7], [0.35, 0.35, 0.3], [1 / 3, 1 / 3, 1 / 3], [10], [1.0]]
)
def test_split_has_the_lengths_of_torch(lengths: Any) -> None:
    parts = random_split(Squares(10), lengths)
    expected = theirs.random_split(range(10), lengths)
    assert [len(part) for part in parts] == [len(part) for part in expected]
    assert sorted(index for part in parts for index in part.indices) == list(range(10))


def test_split_is_the_generators() -> None:
    def split(seed: int) -> Any:
        generator = data.Generator().manual_seed(seed)
        return [part.indices for part in random_split(Squares(50), [0.5, 0.5], generator)]

    assert split(1) == split(1) != split(2)
    assert split(1)[0] != list(range(25))


@pytest.mark.parametrize("lengths", [[3, 6], [0.5, 0.4], [1.5, -0.5], [11, -1], []])
def test_split_refuses(lengths: Any) -> None:
    with pytest.raises(ArgumentError):
        random_split(Squares(10), lengths)


def test_split_warns_of_empty_parts() -> None:
    with pytest.warns(UserWarning, match="part 1 of the split is empty"):
        random_split(Squares(2), [0.9, 0.1 - 1e-12])


def test_bases_name_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match="__getitem__"):
        data.Dataset()[0]
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(data.IterableDataset())


def test_generator() -> None:
    generator = data.Generator().manual_seed(3)
    state = generator.get_state()
    first = generator.numpy.random(4).tolist()
    generator.set_state(state)
    assert generator.numpy.random(4).tolist() == first
    assert generator.manual_seed(3).numpy.random(4).tolist() == first
    assert generator.initial_seed() == 3
    assert generator.seed() == generator.initial_seed() != 3
