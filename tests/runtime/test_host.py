"""Host memory on cache lines, and what is put there."""

from __future__ import annotations

import numpy as np
import pytest

import numbanet as nb
from numbanet.data import default_collate
from numbanet.runtime.host import ALIGNMENT, aligned_copy, aligned_empty

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
