"""Tensors by name in safetensors files: nothing but numbers, and some text about them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import fspath
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open

from numbanet.errors import ArgumentError, DTypeError, FormatError
from numbanet.io.atomic import PathLike, replacing

_CODES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint64": "U64",
    "uint32": "U32",
    "uint16": "U16",
    "uint8": "U8",
    "bool": "BOOL",
}
"""Safetensors' names of element types, by NumPy's."""

_ALIGNMENT = 8

_FOREIGN = (".keras", ".h5", ".hdf5", ".pt", ".pth")
"""What the names of files end in that are of another format."""


def save_tensors(
    tensors: Mapping[str, Any],
    path: PathLike,
    metadata: Mapping[str, str] | None = None,
    *,
    overwrite: bool = True,
) -> None:
    """Write tensors into a safetensors file, for example a module's ``state_dict``.

    The file is written beside ``path`` and takes its place when it is complete.

    Parameters
    ----------
    tensors : dict of str to array
        NumPy arrays, numbanet's tensors, or PyTorch's.
    path : path
    metadata : dict of str to str, optional
        Text that goes with them.
    overwrite : bool
        Whether a file that is there is replaced.

    Raises
    ------
    ArgumentError
        If the path ends as those of another format do: ``.keras``, ``.h5``, ``.pt``.
    DTypeError
        On element types that the format has no name for.
    OSError
        If writing fails; then the old file is still there.
    """
    check_ending(path)
    with replacing(path, overwrite=overwrite) as file:
        write(tensors, file, metadata)


def write(
    tensors: Mapping[str, Any], file: BinaryIO, metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors into an open file; nothing is written if one of them cannot be."""
    arrays = {name: as_array(tensor, name) for name, tensor in tensors.items()}
    # Large elements first, so that each array lies on a multiple of its element size.
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in order:
        begin, end = end, end + arrays[name].nbytes
        header[name] = {
            "dtype": _CODES[arrays[name].dtype.name],
            "shape": list(arrays[name].shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for name in order:
        file.write(arrays[name].tobytes())


def check_ending(path: PathLike) -> None:
    """Raise ArgumentError for a path that says that the file is of another format."""
    if Path(path).suffix in _FOREIGN:
        raise ArgumentError(
            "files are safetensors", got=fspath(path), mend="Let its name end in .safetensors"
        )


def load_tensors(path: PathLike) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file by name.

    Raises
    ------
    FormatError
        If it is no such file: cut off, with sizes that do not fit, or something else.
    FileNotFoundError
        If there is none.
    """
    return read(path).tensors


@dataclass(frozen=True)
class Contents:
    """What a safetensors file holds."""

    tensors: dict[str, np.ndarray]
    metadata: dict[str, str]


def read(path: PathLike) -> Contents:
    """Tensors and text of a file; raises as `load_tensors` does."""
    try:
        with safe_open(fspath(path), framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 - the reader is no mapping
                _check(name, file.get_slice(name).get_dtype())
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Contents(tensors, dict(file.metadata() or {}))
    except SafetensorError as error:
        raise FormatError(
            "not a safetensors file, or a broken one", got=f"{fspath(path)!r} ({error})"
        ) from error


def _check(name: str, code: str) -> None:
    if code not in _CODES.values():
        raise DTypeError(
            f"tensor {name!r} has elements that NumPy has no type for",
            got=code,
            expected=", ".join(_CODES.values()),
        )


def as_array(tensor: Any, name: str) -> np.ndarray:
    """The numbers of an array or tensor in C order and in the byte order of the format."""
    if hasattr(tensor, "detach") and hasattr(tensor, "cpu"):
        tensor = tensor.detach().cpu()
    array = np.asarray(tensor.numpy() if hasattr(tensor, "numpy") else tensor)
    if array.dtype.name not in _CODES:
        raise DTypeError(
            f"tensor {name!r} cannot be written",
            got=f"dtype {array.dtype}",
            expected=", ".join(_CODES),
        )
    shape = array.shape
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(shape)


def count(tensors: Mapping[str, np.ndarray]) -> int:
    """Number of elements in all."""
    return sum(math.prod(array.shape) for array in tensors.values())
