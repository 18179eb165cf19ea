"""NPZ, NumPy's archives of arrays, from anywhere: nothing in them is run or believed."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from typing import IO

import numpy as np

from numbanet.data.idx import DEFLATE_RATIO
from numbanet.errors import FormatError

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

# An OSError is a place outside of the file; a RuntimeError is a way to pack that is not known.
_DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)


def read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of an NPZ file, by name.

    Objects are never unpickled. Each header is checked against the sizes in the archive, and
    these against that of the file, before memory is allocated.

    Raises
    ------
    FormatError
        If the file is not an archive of arrays of numbers or text, or is damaged.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _read_all(archive)
        except _DAMAGES as error:
            raise FormatError(f"{path}: damaged archive", got=str(error)) from error


def _read_all(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in arrays:
            raise FormatError(f"two arrays of one name {name!r}")
        if info.file_size > info.compress_size * DEFLATE_RATIO:
            raise FormatError(f"array {name!r}: impossible size", got=str(info.file_size))
        with archive.open(info) as file:
            arrays[name] = _read(file, name, info.file_size)
    return arrays


def _read(file: IO[bytes], name: str, nbytes: int) -> np.ndarray:
    shape, is_fortran, dtype = _header(file, name)
    if dtype.hasobject:
        raise FormatError(f"array {name!r} holds objects, which could run code")
    expected = math.prod(shape) * dtype.itemsize
    if expected != nbytes - file.tell():
        raise FormatError(
            f"array {name!r}: its size is not that of its data",
            got=f"{nbytes - file.tell()} bytes",
            expected=f"{expected} of {shape}",
        )
    # A writable copy of its own; the bytes are shared by nobody.
    data = np.frombuffer(bytearray(file.read()), dtype)
    return data.reshape(shape, order="F" if is_fortran else "C")


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        return _HEADERS[np.lib.format.read_magic(file)](file)
    except (ValueError, KeyError) as error:
        raise FormatError(f"{name!r} is not an array", got=str(error)) from error
