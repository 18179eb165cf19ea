"""TensorBoard's event files: records of protocol buffers, written without either library.

A file is a sequence of records: a length, its checksum, the bytes, their checksum. The bytes
are one ``Event`` each (``event.proto``, ``summary.proto`` of TensorBoard).
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

BUCKETS = 30
"""Of a histogram."""


class EventWriter:
    """An event file in a directory; each event is on the disk when the call returns.

    Parameters
    ----------
    directory : str or Path
    suffix : str
        Of the file's name.
    """

    def __init__(self, directory: str | os.PathLike[str], suffix: str = "") -> None:
        self._file: BinaryIO | None = None
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        self.path = Path(directory) / f"{name}{suffix}"

    def scalar(self, tag: str, number: float, step: int) -> None:
        """A number at a step."""
        self._summary(_string(1, tag) + _float(2, number), step)

    def histogram(self, tag: str, numbers: np.ndarray, step: int) -> None:
        """How numbers are distributed at a step."""
        self._summary(_string(1, tag) + _message(5, _histogram(numbers)), step)

    def graph(self, nodes: Iterable[tuple[str, str, Sequence[str]]]) -> None:
        """A graph of nodes: name, op, names of inputs."""
        definition = b"".join(
            _message(
                1,
                _string(1, name)
                + _string(2, op)
                + b"".join(_string(3, source) for source in inputs),
            )
            for name, op, inputs in nodes
        )
        self._event(_message(4, definition), 0)

    def close(self) -> None:
        """Close the file; another event opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _summary(self, value: bytes, step: int) -> None:
        self._event(_message(5, _message(1, value)), step)

    def _event(self, what: bytes, step: int) -> None:
        is_new = not self.path.exists()
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab")
        if is_new:
            self._file.write(_record(_event_bytes(0, _string(3, "brain.Event:2"))))
        self._file.write(_record(_event_bytes(step, what)))
        self._file.flush()


def _event_bytes(step: int, what: bytes) -> bytes:
    return _double(1, time.time()) + _integer(2, step) + what


def _histogram(numbers: np.ndarray) -> bytes:
    flat = np.asarray(numbers, np.float64).reshape(-1)
    flat = flat[np.isfinite(flat)]
    counts, edges = np.histogram(flat, BUCKETS) if flat.size else (np.zeros(1), np.ones(2))
    low, high = (flat.min(), flat.max()) if flat.size else (0.0, 0.0)
    moments = (low, high, flat.size, flat.sum(), np.square(flat).sum())
    fields = b"".join(_double(i, float(each)) for i, each in enumerate(moments, 1))
    return fields + _doubles(6, edges[1:]) + _doubles(7, counts)


# Protocol buffers: each field is its number and its wire type, and then its bytes.


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _integer(field: int, number: int) -> bytes:
    return _key(field, 0) + _varint(number & (1 << 64) - 1)


def _double(field: int, number: float) -> bytes:
    return _key(field, 1) + struct.pack("<d", number)


def _float(field: int, number: float) -> bytes:
    return _key(field, 5) + struct.pack("<f", number)


def _message(field: int, content: bytes) -> bytes:
    return _key(field, 2) + _varint(len(content)) + content


def _string(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _doubles(field: int, numbers: np.ndarray) -> bytes:
    return _message(field, np.asarray(numbers, "<f8").tobytes())


# Records.


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + _checksum(length) + content + _checksum(content)


def _checksum(content: bytes) -> bytes:
    """CRC-32C, masked as records have it: a checksum of checksums would be weak."""
    crc = _crc32c(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _table()


def _crc32c(content: bytes) -> int:
    """Castagnoli's CRC (Castagnoli et al., 1993)."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
