"""Looking at ids: both ends in one number, by the CPU's kernel and by NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet.ir import DType
from numbanet.runtime.cpu.look import Look
from numbanet.runtime.host import address_of, largest


@pytest.mark.parametrize("dtype", [DType.UINT8, DType.INT32, DType.INT64])
@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_the_largest_of_ids_that_are_not_negative(dtype: DType, count: int) -> None:
    ids = np.random.default_rng(count).integers(0, 256, count).astype(dtype.numpy)
    expected = int(ids.max(initial=0))
    assert Look(dtype)(address_of(ids), ids.size) == expected
    assert largest(ids) == expected


@pytest.mark.parametrize("dtype", [DType.INT32, DType.INT64])
def test_negative_ids_are_very_large(dtype: DType) -> None:
    ids = np.array([3, -1, 5], dtype.numpy)
    most = np.iinfo(dtype.numpy).max
    assert Look(dtype)(address_of(ids), ids.size) > most
    assert largest(ids) > most


def test_where_arrays_begin() -> None:
    array = np.arange(12.0).reshape(3, 4)
    fixed = array.copy()
    fixed.flags.writeable = False
    for each in (array, array[1:], array[:, 1:], array[:0], fixed, array[1, 2]):
        each = np.asarray(each)
        assert address_of(each) == each.ctypes.data
