"""Tensors in files: other readers, bad files, failing writes."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from numbanet import nn
from numbanet.errors import ArgumentError, DTypeError, FormatError
from numbanet.io import load_tensors, save_tensors

DTYPES = st.sampled_from(["f4", "f8", "i4", "i8", "u1", "?", "i2", "f2", ">f4"])
TENSORS = st.dictionaries(
    st.text(min_size=1).filter(lambda name: name != "__metadata__" and name.isprintable()),
    DTYPES.flatmap(
        lambda dtype: arrays(dtype, array_shapes(min_dims=0, min_side=0, max_side=3))
    ),
    max_size=4,
)


@settings(max_examples=50, deadline=None)
@given(tensors=TENSORS)
def test_what_is_written_comes_back_bit_for_bit_here_and_elsewhere(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, np.ndarray]
) -> None:
    path = tmp_path_factory.mktemp("tensors") / "t.safetensors"
    save_tensors(tensors, path, {"text": "ä"})
    for found in (load_tensors(path), safetensors.numpy.load_file(path)):
        assert set(found) == set(tensors)
        for name, array in tensors.items():
            assert found[name].dtype == array.dtype.newbyteorder("=")
            assert found[name].shape == array.shape
            assert found[name].tobytes() == array.astype(found[name].dtype).tobytes()


def test_state_dicts_of_modules_and_of_pytorch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "state.safetensors"
    ours, theirs = nn.Conv2d(2, 3, 2), torch.nn.Conv2d(2, 3, 2)
    save_tensors(theirs.state_dict(), path)
    ours.load_state_dict(load_tensors(path))
    np.testing.assert_array_equal(ours.weight.detach().numpy(), theirs.weight.detach().numpy())
    save_tensors(ours.state_dict(), path)
    np.testing.assert_array_equal(load_tensors(path)["bias"], theirs.bias.detach().numpy())


def test_elements_without_a_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DTypeError, match=r"'z'.*complex64"):
        save_tensors({"z": np.zeros(2, np.complex64)}, tmp_path / "z")
    path = tmp_path / "b"
    write(path, {"x": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}, b"\0\0")
    with pytest.raises(DTypeError, match="BF16"):
        load_tensors(path)


def write(path: Path, header: Any, data: bytes, size: int | None = None) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(text) if size is None else size
    path.write_bytes(length.to_bytes(8, "little") + text + data)


def entry(shape: list[Any], begin: int = 0, end: int = 8) -> dict[str, Any]:
    return {"x": {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}}


BAD = {
    "empty": lambda path: path.write_bytes(b""),
    "short": lambda path: path.write_bytes(b"\1\2\3"),
    "pickle": lambda path: path.write_bytes(b"\x80\x04\x95" + b"\0" * 40),
    "long header": lambda path: write(path, b"{}", b"", size=2**62),
    "no JSON": lambda path: write(path, b"{nothing", b""),
    "a list": lambda path: write(path, [1, 2], b""),
    "cut off": lambda path: write(path, entry([2]), b"\0" * 7),
    "too long": lambda path: write(path, entry([2]), b"\0" * 9),
    "absurd shape": lambda path: write(path, entry([2**40, 2**40]), b"\0" * 8),
    "wrong size": lambda path: write(path, entry([3]), b"\0" * 8),
    "negative size": lambda path: write(path, entry([-2]), b"\0" * 8),
    "backwards": lambda path: write(path, entry([2], 8, 0), b"\0" * 8),
    "outside": lambda path: write(path, entry([2], 8, 16), b"\0" * 8),
    "unknown type": lambda path: write(
        path, {"x": {"dtype": "F7", "shape": [2], "data_offsets": [0, 8]}}, b"\0" * 8
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bad"
    BAD[kind](path)
    with pytest.raises(FormatError):
        load_tensors(path)


def test_a_missing_file_is_just_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_tensors(tmp_path / "none")


def test_every_cut_of_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "whole"
    save_tensors({"x": np.arange(3.0)}, path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(FormatError):
            load_tensors(path)


@pytest.fixture
def full_disk() -> Any:
    """No file can grow beyond 1000 bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "m"
    save_tensors({"x": np.arange(3.0)}, path)
    with pytest.raises(OSError, match="too large"):
        save_tensors({"x": np.zeros(1000)}, path)
    np.testing.assert_array_equal(load_tensors(path)["x"], np.arange(3.0))
    assert os.listdir(tmp_path) == ["m"]


def test_a_file_is_not_overwritten_against_the_will(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_text("precious")
    with pytest.raises(ArgumentError, match="exists"):
        save_tensors({}, path, overwrite=False)
    assert path.read_text() == "precious"


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.touch()
    path.chmod(0o640)
    save_tensors({}, path)
    assert path.stat().st_mode & 0o777 == 0o640
