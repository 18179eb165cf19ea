"""Samplers: orders, lengths, batches, seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numbanet import data, set_seed
from numbanet.errors import ArgumentError

torch = pytest.importorskip("torch")
theirs = torch.utils.data


def seeded(seed: int) -> data.Generator:
    return data.Generator().manual_seed(seed)


ORDERS = {
    "random": lambda seed: data.RandomSampler(range(20), generator=seeded(seed)),
    "replacement": lambda seed: data.RandomSampler(range(20), True, generator=seeded(seed)),
    "subset": lambda seed: data.SubsetRandomSampler(range(20), generator=seeded(seed)),
    "weighted": lambda seed: data.WeightedRandomSampler([1.0] * 20, 20, generator=seeded(seed)),
}


@pytest.mark.parametrize("name", ORDERS)
def test_order_is_the_generators(name: str) -> None:
    sampler = ORDERS[name](1)
    first, second = list(sampler), list(sampler)
    assert first == list(ORDERS[name](1)) != list(ORDERS[name](2))
    assert first != second
    assert len(first) == len(sampler) == 20
    assert all(type(index) is int and 0 <= index < 20 for index in first)


def test_shared_generator_is_the_default() -> None:
    orders = []
    for _ in range(2):
        set_seed(5)
        orders.append(list(data.RandomSampler(range(30))))
    assert orders[0] == orders[1]


@pytest.mark.parametrize("count", [None, 3, 7, 10, 25])
def test_random_sampler_counts_as_torch_does(count: int | None) -> None:
    for replacement in (False, True):
        order = list(data.RandomSampler(range(7), replacement, count))
        expected = list(theirs.RandomSampler(range(7), replacement, count))
        assert len(order) == len(expected)
        if not replacement:
            rounds = [order[start : start + 7] for start in range(0, len(order), 7)]
            assert all(len(set(each)) == len(each) for each in rounds)
    assert list(data.RandomSampler([])) == []


def test_sequential_and_subset() -> None:
    assert list(data.SequentialSampler("abcd")) == [0, 1, 2, 3]
    assert sorted(data.SubsetRandomSampler([5, 9, 2])) == [2, 5, 9]


def test_weights() -> None:
    sampler = data.WeightedRandomSampler([0, 1, 3], 40_000, generator=seeded(0))
    counts = np.bincount(list(sampler), minlength=3) / 40_000
    # Five standard errors of the share 3/4.
    assert counts[0] == 0
    assert abs(counts[2] - 0.75) < 5 * (0.75 * 0.25 / 40_000) ** 0.5
    once = list(data.WeightedRandomSampler([0, 1, 3, 2], 3, replacement=False))
    assert sorted(once) == [1, 2, 3]


@pytest.mark.parametrize(
    "arguments",
    [
        ([1.0, -1.0], 2),
        ([0.0, 0.0], 2),
        ([1.0, float("nan")], 2),
        ([[1.0]], 1),
        ([1.0, 0.0], 2, False),
        ([1.0], 0),
        ([1.0], True),
        ([1.0], 1, "yes"),
    ],
)
def test_weights_are_checked(arguments: Any) -> None:
    with pytest.raises(ArgumentError):
        data.WeightedRandomSampler(*arguments)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("size", [1, 3, 4, 12, 20])
def test_batches_are_torchs(size: int, drop_last: bool) -> None:
    order = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]
    batches = data.BatchSampler(order, size, drop_last)
    expected = theirs.BatchSampler(order, size, drop_last)
    assert list(batches) == list(expected)
    assert len(batches) == len(expected)
    assert [list(each) for each in batches.orders()] == list(expected)
    plain = data.BatchSampler(data.SequentialSampler(order), size, drop_last)
    assert list(plain.orders()) == [range(each[0], each[-1] + 1) for each in plain]


def test_own_iteration_decides_on_the_order() -> None:
    class Backwards(data.SequentialSampler):
        def __iter__(self) -> Any:
            return iter(range(len(self) - 1, -1, -1))

    batches = data.BatchSampler(Backwards("abcd"), 2, False)
    assert [each.tolist() for each in batches.orders()] == [[3, 2], [1, 0]]


@pytest.mark.parametrize("arguments", [(0, False), (1.5, False), (True, False), (2, 1)])
def test_batch_arguments_are_checked(arguments: Any) -> None:
    with pytest.raises(ArgumentError):
        data.BatchSampler([1], *arguments)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("samples", "replicas"), [(10, 3), (9, 3), (1, 4), (7, 2)])
def test_distributed_shares_are_torchs(samples: int, replicas: int, drop_last: bool) -> None:
    for rank in range(replicas):
        arguments = (range(samples), replicas, rank, False)
        ours = data.DistributedSampler(*arguments, drop_last=drop_last)
        expected = theirs.DistributedSampler(*arguments, drop_last=drop_last)
        assert (list(ours), len(ours)) == (list(expected), len(expected))


def test_distributed_shuffles_by_epoch() -> None:
    ranks = [data.DistributedSampler(range(12), 3, rank, seed=4) for rank in range(3)]
    orders = []
    for epoch in range(2):
        for sampler in ranks:
            sampler.set_epoch(epoch)
        shares = [list(sampler) for sampler in ranks]
        assert sorted(index for share in shares for index in share) == list(range(12))
        orders.append(shares)
    assert orders[0] != orders[1]
    for bad in ((None, 0), (2, None), (2, 2), (2, -1)):
        with pytest.raises(ArgumentError):
            data.DistributedSampler(range(3), *bad)
