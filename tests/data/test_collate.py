"""From samples to batches, beside PyTorch's `default_collate` and `default_convert`."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest

from numbanet.data import default_collate, default_convert
from numbanet.errors import DataError, DTypeError, ShapeError
from numbanet.tensors.tensor import Tensor

torch = pytest.importorskip("torch")
theirs = torch.utils.data

Point = namedtuple("Point", ["x", "y"])

CASES = [
    ("integers", [1, 2, 3]),
    ("floats", [1.0, 2.5]),
    ("booleans", [True, False]),
    ("float32", [np.float32(1), np.float32(2)]),
    ("uint8", [np.uint8(7), np.uint8(255)]),
    ("strings", ["a", "bc"]),
    ("bytes", (b"a", b"b")),
    ("arrays", [np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)]),
    ("transposed arrays", [np.arange(6).reshape(2, 3).T] * 2),
    ("arrays without axes", [np.array(3.0), np.array(4.0)]),
    ("empty arrays", [np.zeros((0, 2))] * 3),
    ("one sample", [np.arange(4)]),
    ("tuples", [(1, 2.0), (3, 4.0)]),
    ("lists", [[1, "a"], [2, "b"]]),
    ("namedtuples", [Point(1, np.ones(2)), Point(2, np.zeros(2))]),
    ("mappings", [{"a": 1, "b": np.ones(2)}, {"a": 2, "b": np.zeros(2)}]),
    ("ordered mappings", [OrderedDict(b=1, a=2), OrderedDict(b=3, a=4)]),
    ("nested", [{"a": [(1, 2.0), "x"]}, {"a": [(3, 4.0), "y"]}]),
]


def assert_same(ours: Any, other: Any) -> None:
    if isinstance(other, torch.Tensor):
        assert isinstance(ours, Tensor)
        assert ours.dtype.value == str(other.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(ours.numpy(), other.numpy())
        return
    assert type(ours) is type(other)
    if isinstance(other, dict):
        assert list(ours) == list(other)
        ours, other = list(ours.values()), list(other.values())
    if isinstance(other, list | tuple):
        assert len(ours) == len(other)
        for part, expected in zip(ours, other, strict=True):
            assert_same(part, expected)
    elif not isinstance(other, np.ndarray):
        assert ours == other


@pytest.mark.parametrize(("name", "batch"), CASES, ids=[case[0] for case in CASES])
def test_collate_is_torchs(name: str, batch: Any) -> None:
    assert_same(default_collate(batch), theirs.default_collate(batch))


@pytest.mark.parametrize(("name", "batch"), CASES, ids=[case[0] for case in CASES])
def test_convert_is_torchs(name: str, batch: Any) -> None:
    for sample in (batch, batch[0]):
        assert_same(default_convert(sample), theirs.default_convert(sample))


def test_tensors() -> None:
    tensors = [Tensor.wrap(np.full(2, each, np.float32)) for each in range(3)]
    assert default_collate(tensors).numpy().tolist() == [[0, 0], [1, 1], [2, 2]]
    assert default_convert((tensors[0], "a"))[0] is tensors[0]


def test_text_arrays_stay_arrays() -> None:
    text = np.array(["a"])
    assert default_convert([text])[0] is text


def test_results_are_copies() -> None:
    array = np.zeros(3)
    batch, converted = default_collate([array]), default_convert(array)
    array[:] = 1
    assert not batch.numpy().any()
    assert not converted.numpy().any()


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        ([None, None], DTypeError),
        ([object()], DTypeError),
        ([np.array(["a"])], DTypeError),
        ([np.zeros(2, np.complex64)], DTypeError),
        ([np.zeros(2), np.zeros(3)], ShapeError),
        ([np.zeros(2), np.zeros((2, 1))], ShapeError),
        ([(1,), (1, 2)], DataError),
    ],
)
def test_what_cannot_be_joined(batch: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        default_collate(batch)
