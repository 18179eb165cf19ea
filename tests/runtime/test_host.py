"""Host memory on cache lines, and what is put there."""

from __future__ import annotations

import numpy as np
import pytest

import numbanet as nb
from numbanet.data import DataLoader, TensorDataset, default_collate
from numbanet.runtime import host
from numbanet.runtime.host import ALIGNMENT, Spare, aligned_copy, aligned_empty

SHAPES = [(), (0,), (1,), (3, 0, 2), (7, 5), (33, 17, 3)]


def starts_on_a_line(array: np.ndarray) -> bool:
    return array.ctypes.data % ALIGNMENT == 0


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "bool"])
def test_copies_are_equal_and_their_own(shape: tuple[int, ...], dtype: str) -> None:
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    copy = aligned_copy(array.T)
    np.testing.assert_array_equal(copy, array.T)
    assert copy.dtype == array.dtype
    assert copy.flags.c_contiguous
    assert copy.flags.writeable
    assert not np.shares_memory(copy, array)
    assert starts_on_a_line(copy) or not copy.size


def test_empty_arrays_have_their_shape() -> None:
    assert aligned_empty((3, 2), "int16").shape == (3, 2)


def test_tensors_and_batches_start_on_a_line() -> None:
    for count in range(1, 40, 7):
        array = np.arange(count * 5, dtype=np.float32).reshape(count, 5)
        for tensor in (nb.tensor(array), nb.from_dlpack(array), default_collate([array] * 3)):
            assert starts_on_a_line(tensor.array())


@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 7, 3), (5, 0), (0, 3)])
@pytest.mark.parametrize("smallest", [0, 1 << 20])
def test_rows_by_their_numbers(
    shape: tuple[int, ...], smallest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_SMALL", smallest)
    array = np.random.default_rng(0).integers(0, 9, shape)
    for numbers in ([], [0], [4, 0, 4], [-1, 2]):
        indices = np.array(numbers, np.int64)
        if len(array) or not len(indices):
            rows = Spare().rows(array, indices)
            np.testing.assert_array_equal(rows, array[indices])
    for wrong in ([5], [0, -6]):
        with pytest.raises(IndexError):
            Spare().rows(array, np.array(wrong))


def test_large_shuffled_batches_start_on_a_line() -> None:
    images = np.arange(3 * 90_000, dtype=np.float32).reshape(3, 90_000)
    for (batch,) in DataLoader(TensorDataset(images), batch_size=2, shuffle=True):
        assert starts_on_a_line(batch.array())


def test_memory_is_used_again_when_nobody_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_SMALL", 0)
    spare, array = Spare(), np.arange(40.0).reshape(10, 4)
    first = spare.rows(array, np.array([1, 2]))
    part = first[:1]
    second = spare.rows(array, np.array([3, 4]))
    assert not np.shares_memory(first, second)
    address = first.ctypes.data
    del first
    assert not np.shares_memory(spare.rows(array, np.array([5, 6])), part)
    np.testing.assert_array_equal(part, array[1:2])
    del part
    found = [spare.rows(array, np.array([7, 8])) for _ in range(12)]
    assert address in [each.ctypes.data for each in found]
    for each in found:
        np.testing.assert_array_equal(each, array[7:9])


def test_batches_that_are_kept_stay_what_they_are() -> None:
    images = np.arange(12 * 70_000, dtype=np.float32).reshape(12, 70_000)
    batches = DataLoader(TensorDataset(images, np.arange(12)), batch_size=2, shuffle=True)
    for _ in range(2):
        for batch, numbers in list(batches):
            np.testing.assert_array_equal(batch.numpy(), images[numbers.numpy()])
