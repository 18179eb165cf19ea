"""IDX, the file format of MNIST: a header of big-endian sizes, then the numbers.

Two zero bytes, one for the element type, one for the number of axes; four bytes for the size of
each axis; then the elements in C order, big-endian.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from numbanet.errors import FormatError

TYPES = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}

DEFLATE_RATIO = 1032
"""No byte of a deflated file holds more bytes than this."""

_GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an IDX file, plain or compressed with gzip, in the machine's byte order.

    The header is checked against the size of the file before memory is allocated.

    Raises
    ------
    FormatError
        If the header is wrong, or the file is cut off, damaged, or longer than it says.
    """
    path = Path(path)
    nbytes = path.stat().st_size
    with path.open("rb") as file:
        is_packed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        if not is_packed:
            return _read(file, path, most=nbytes)
        try:
            with gzip.open(file) as unpacked:
                return _read(unpacked, path, most=nbytes * DEFLATE_RATIO)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FormatError(f"{path}: damaged gzip file", got=str(error)) from error


def _read(file: BinaryIO | gzip.GzipFile, path: Path, most: int) -> np.ndarray:
    dtype, shape = _header(file, path)
    expected = math.prod(shape) * dtype.itemsize
    if expected > most:
        raise FormatError(
            f"{path}: cut off", got=f"at most {most} bytes", expected=f"{expected} of {shape}"
        )
    data = file.read(expected)
    if len(data) < expected:
        raise FormatError(
            f"{path}: cut off", got=f"{len(data)} bytes", expected=f"{expected} of {shape}"
        )
    if file.read(1):
        raise FormatError(f"{path}: bytes behind the end", expected=f"{expected} of {shape}")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _header(file: BinaryIO | gzip.GzipFile, path: Path) -> tuple[np.dtype, tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
        raise FormatError(f"{path}: not an IDX file", got=f"the first bytes {magic.hex(' ')}")
    axes = magic[3]
    sizes = file.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise FormatError(f"{path}: cut off in its header", expected=f"{axes} sizes")
    return TYPES[magic[2]], struct.unpack(f">{axes}I", sizes)
