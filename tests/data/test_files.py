"""IDX and NPZ files: written here, read back, and damaged in every way."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numbanet.data import read_idx, read_npz
from numbanet.data.idx import TYPES
from numbanet.errors import FormatError


def idx_of(array: np.ndarray, code: int) -> bytes:
    head = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(TYPES[code]).tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (2, 3, 4)])
@pytest.mark.parametrize("code", TYPES, ids=hex)
def test_idx(tmp_path: Path, code: int, shape: Any, pack: Any) -> None:
    array = (np.arange(np.prod(shape, dtype=int)) * 5 - 7 * (code > 8)).reshape(shape)
    path = tmp_path / "file"
    path.write_bytes(pack(idx_of(array, code)))
    result = read_idx(path)
    assert result.dtype == TYPES[code].newbyteorder("=")
    assert result.dtype.isnative
    assert result.flags.writeable
    assert result.shape == shape
    np.testing.assert_array_equal(result, array)


GOOD = idx_of(np.arange(6).reshape(2, 3), 0x08)
DAMAGED = {
    "empty": b"",
    "short magic": GOOD[:3],
    "wrong magic": b"\1" + GOOD[1:],
    "unknown type": GOOD[:2] + b"\x0a" + GOOD[3:],
    "cut in the header": GOOD[:9],
    "cut in the data": GOOD[:-1],
    "bytes behind": GOOD + b"\0",
    "huge": GOOD[:4] + b"\xff" * 8 + GOOD[12:],
    "huge axes": GOOD[:3] + b"\xff" + GOOD[4:],
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_idx(tmp_path: Path, damage: str, pack: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(pack(DAMAGED[damage]))
    with pytest.raises(FormatError, match="file"):
        read_idx(path)


def test_damaged_gzip(tmp_path: Path) -> None:
    packed = gzip.compress(GOOD)
    for damaged in (packed[:-9], packed[:12], packed[:-6] + b"\0\0" + packed[-4:]):
        path = tmp_path / "file"
        path.write_bytes(damaged)
        with pytest.raises(FormatError):
            read_idx(path)


def test_a_header_alone_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes([0, 0, 8, 1]) + struct.pack(">I", 2**31))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


ARRAYS = {
    "floats": np.linspace(0, 1, 12).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
    "bytes": np.arange(200, dtype=np.uint8),
    "scalar": np.array(3.5, np.float32),
    "empty": np.zeros((0, 3)),
    "text": np.array(["a", "bcd"]),
    "big": np.arange(3, dtype=">i4"),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, save: Any) -> None:
    save(tmp_path / "file.npz", **ARRAYS)
    result = read_npz(tmp_path / "file.npz")
    assert list(result) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert result[name].dtype == array.dtype
        assert result[name].flags.writeable
        np.testing.assert_array_equal(result[name], array)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def huge() -> bytes:
    head = npy(np.zeros(4, np.uint8)).replace(b"(4,), }             ", b"(4000000000000,), } ")
    assert b"4000000000000" in head
    return head


MEMBERS = {
    "objects": ("a.npy", npy(np.array([{}, None]))),
    "no array": ("a.npy", b"something else"),
    "nothing": ("a.npy", b""),
    "cut off": ("a.npy", npy(np.arange(9))[:-3]),
    "too long": ("a.npy", npy(np.arange(9)) + b"\0"),
    "huge": ("a.npy", huge()),
    "cut in the header": ("a.npy", npy(np.arange(9))[:20]),
    "unknown version": ("a.npy", b"\x93NUMPY\x09\x00" + npy(np.arange(9))[8:]),
}


@pytest.mark.parametrize("damage", MEMBERS)
def test_damaged_npz_member(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "file.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(*MEMBERS[damage])
    with pytest.raises(FormatError):
        read_npz(path)


def test_damaged_npz(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    np.savez(path, a=np.zeros(1000))
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[500] ^= 1
    claims = bytearray(content)
    sizes = content.index(b"PK\1\2") + 24
    claims[sizes : sizes + 4] = struct.pack("<I", 2**31)
    for damaged in (b"", b"no archive", content[:-30], bytes(flipped), bytes(claims)):
        path.write_bytes(damaged)
        with pytest.raises(FormatError):
            read_npz(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_bytes_of_npz(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "file.npz"
    save(path, a=np.arange(20), b=np.ones((2, 3)))
    content = path.read_bytes()
    rng, refused = np.random.default_rng(0), 0
    for _ in range(400):
        damaged = np.frombuffer(bytearray(content), np.uint8)
        places = rng.integers(len(damaged), size=rng.integers(1, 5))
        damaged[places] = rng.integers(256, size=len(places))
        path.write_bytes(damaged.tobytes())
        try:
            read_npz(path)
        except FormatError:
            refused += 1
    assert refused > 200


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for read in (read_idx, read_npz):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "file")


def test_npz_with_two_arrays_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", npy(np.zeros(1)))
        archive.writestr("a", npy(np.zeros(1)))
    with pytest.raises(FormatError, match="two arrays"):
        read_npz(path)
