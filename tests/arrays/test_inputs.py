"""Data from outside: converted once, checked before anything runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numbanet.arrays import inputs as arrays
from numbanet.arrays.epochs import epoch_order
from numbanet.errors import DataError
from numbanet.ir import DType, TensorType

PIXELS = {"x": TensorType((None, 2, 2), DType.FLOAT32)}
IDS = {"ids": TensorType((None, 2), DType.INT64)}
TWO = {"a": TensorType((None, 1), DType.FLOAT32), "b": TensorType((None, 2), DType.FLOAT32)}


def test_arrays_of_the_right_type_are_not_copied() -> None:
    x = np.zeros((3, 2, 2), np.float32)
    assert arrays.inputs(x, PIXELS)["x"] is x


@pytest.mark.parametrize("dtype", ["float64", "float16", "uint8", "int64", "bool"])
def test_numbers_become_float32(dtype: str) -> None:
    found = arrays.inputs(np.ones((3, 2, 2), dtype), PIXELS)["x"]
    assert found.dtype == np.float32
    assert found.all()


def test_strided_arrays_become_contiguous() -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 2, 6).transpose(2, 0, 1)
    found = arrays.inputs(x, PIXELS)["x"]
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, x)


def test_infinities_and_nan_of_the_data_stay() -> None:
    x = np.full((1, 2, 2), np.inf)
    x[0, 0, 0] = np.nan
    np.testing.assert_array_equal(arrays.inputs(x, PIXELS)["x"], x)


def test_several_inputs_by_position_and_name() -> None:
    a, b = np.zeros((3, 1)), np.ones((3, 2))
    for data in ([a, b], (a, b), {"b": b, "a": a}):
        found = arrays.inputs(data, TWO)
        assert list(found) == ["a", "b"]
        assert found["b"].all()


WRONG: list[tuple[Any, dict[str, TensorType], str]] = [
    (
        np.zeros((3, 2)),
        PIXELS,
        r"input 'x': wrong shape, got \(3, 2\), expected \(None, 2, 2\)",
    ),
    (np.zeros((2, 2)), PIXELS, r"Add the batch axis with x\[None\]"),
    (np.zeros((3, 2)), {"x": TensorType((None, 2, 1), DType.FLOAT32)}, r"x\[\.\.\., None\]"),
    (np.array(["a"]), PIXELS, r"not an array of numbers, got dtype <U1"),
    (np.zeros((1, 2, 2), complex), PIXELS, r"not an array of numbers"),
    ([[1], [1, 2]], PIXELS, r"Give all samples one shape"),
    (np.full((1, 2, 2), 1e39), PIXELS, r"too large for float32"),
    (np.zeros((3, 2)), IDS, r"ids are integers, got dtype float64, expected int64"),
    (np.full((1, 2), 2**63, np.uint64), IDS, r"out of range for int64"),
    ({"y": 1}, PIXELS, r"names do not match, got 'y', expected 'x'"),
    ([np.zeros((3, 1))], TWO, r"number of arrays does not match, got 1, expected 2 \(a, b\)"),
]


@pytest.mark.parametrize(("data", "types", "message"), WRONG)
def test_wrong_inputs(data: Any, types: dict[str, TensorType], message: str) -> None:
    with pytest.raises(DataError, match=message):
        arrays.inputs(data, types)


def test_lengths() -> None:
    assert arrays.common_length({"a": np.zeros((3, 1)), "b": np.zeros(3)}) == 3
    with pytest.raises(DataError, match="different length, got a: 3, b: 2"):
        arrays.common_length({"a": np.zeros(3), "b": np.zeros(2)})
    with pytest.raises(DataError, match="empty data set"):
        arrays.common_length({"a": np.zeros((0, 3))})


def test_orders_are_permutations_that_seed_and_epoch_decide() -> None:
    first = epoch_order(9, seed=1, epoch=0, shuffle=True)
    assert first.dtype == np.int64
    assert sorted(first) == list(range(9))
    np.testing.assert_array_equal(epoch_order(9, seed=1, epoch=0, shuffle=True), first)
    assert (epoch_order(9, seed=1, epoch=1, shuffle=True) != first).any()
    assert (epoch_order(9, seed=2, epoch=0, shuffle=True) != first).any()
    assert epoch_order(3, seed=1, epoch=5, shuffle=False).tolist() == [0, 1, 2]
