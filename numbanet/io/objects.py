"""Whatever programs keep: models, and dicts and lists of tensors, numbers and text."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from numbanet import nn
from numbanet.configuration import Objects
from numbanet.errors import ArgumentError, FormatError
from numbanet.io import models
from numbanet.io.atomic import PathLike, replacing
from numbanet.io.encoding import Decoder, Encoder
from numbanet.io.tensors import read, write
from numbanet.models.model import Model
from numbanet.tensors.tensor import Tensor

KEY = "numbanet.object"
"""The entry of a file's metadata that says what the tensors are parts of."""

VERSION = 1

_MEND = "Keep its state_dict(), and numbers, text, lists, tuples and dicts of such"


def save(obj: Any, f: PathLike | BinaryIO, **options: Any) -> None:
    """Write a model, or what a program wants to keep, into a safetensors file.

    Parameters
    ----------
    obj : object
        A `Model`; or dicts, lists and tuples, of tensors, arrays, numbers, text and None, such
        as a ``state_dict`` or a checkpoint of several. Nothing else is written: no code, and
        no module of `numbanet.nn` (its ``state_dict`` is).
    f : path or binary file
        It may be named as one likes; what is in it is safetensors.
    **options
        Of `Model.save`, for a model.

    Raises
    ------
    ArgumentError
        If there is something else in ``obj``.
    DTypeError
        On element types that the format has no name for.
    """
    if isinstance(obj, Model):
        if hasattr(f, "write"):
            raise NotImplementedError("a model in a file that is open: pass a path")
        models.save(obj, f, **options)  # type: ignore[arg-type]
        return
    if options:
        raise ArgumentError("save() has options for models only", got=", ".join(options))
    encode = _Encoder()
    document = {"version": VERSION, "object": encode(obj)}
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    if hasattr(f, "write"):
        write(encode.arrays, f, {KEY: text})  # type: ignore[arg-type]
        return
    with replacing(f) as file:  # type: ignore[arg-type]
        write(encode.arrays, file, {KEY: text})


def load(
    f: PathLike | BinaryIO,
    custom_objects: Objects | None = None,
    compile: bool = True,
    *,
    map_location: Any = None,
    weights_only: bool | None = None,
) -> Any:
    """What `save` wrote: a model, or dicts and lists of tensors.

    Nothing in the file is run or imported. Files of ``torch.save`` are not read.

    Parameters
    ----------
    f : path or binary file
    custom_objects, compile
        For a model, see `numbanet.io.models.load`.
    map_location : str or device, optional
        Numbers are on the host until they are used, so it changes nothing.
    weights_only : bool, optional
        It makes no difference, as there is no code in the file.

    Returns
    -------
    object

    Raises
    ------
    FormatError
        If the file is broken, or of another kind.
    FileNotFoundError
        If there is none.
    """
    if callable(map_location) or isinstance(map_location, dict):
        raise NotImplementedError("map_location is the name of a device")
    if hasattr(f, "read"):
        return _load_stream(f)  # type: ignore[arg-type]
    contents = read(f)  # type: ignore[arg-type]
    if KEY in contents.metadata:
        return _decoded(contents.metadata[KEY], contents.tensors)
    return models.load(f, custom_objects, compile)  # type: ignore[arg-type]


def _load_stream(file: BinaryIO) -> Any:
    # Whoever reads the format maps files into memory.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "object"
        path.write_bytes(file.read())
        return load(path)


def _decoded(text: str, tensors: dict[str, np.ndarray]) -> Any:
    try:
        document = json.loads(text)
        if document["version"] != VERSION:
            raise FormatError("the file is of another version", got=repr(document["version"]))
        return _Decoder(tensors)(document["object"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FormatError("the file is broken", got=f"{error}") from error


def _refuse(what: Any) -> NoReturn:
    raise ArgumentError("save() does not write this", got=type(what).__name__, mend=_MEND)


class _Encoder(Encoder):
    """Names tensors by where they are, so that other readers find them."""

    def __init__(self) -> None:
        super().__init__(_refuse, _refuse)
        self._path: list[str] = []

    def _tagged(self, value: Any) -> dict[str, Any]:
        if isinstance(value, Tensor):
            kind = "parameter" if isinstance(value, nn.Parameter) else "tensor"
            return {kind: self._array(value.array()), "requires_grad": value.requires_grad}
        if isinstance(value, dict):
            pairs = [[self(key), self._within(key, each)] for key, each in value.items()]
            return {"dict": pairs}
        return super()._tagged(value)

    def _within(self, key: Any, value: Any) -> Any:
        self._path.append(str(key))
        try:
            return self(value)
        finally:
            self._path.pop()

    def _array(self, value: np.ndarray) -> str:
        name = stem = "/".join(self._path) or "tensor"
        count = 0
        while name in self.arrays:
            count += 1
            name = f"{stem}/{count}"
        self.arrays[name] = value
        return name

    def object(self, value: Any) -> dict[str, Any]:
        _refuse(value)


class _Decoder(Decoder):
    """Reads what an `_Encoder` wrote."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__(_unknown, _unknown, arrays)

    def __call__(self, data: Any) -> Any:
        if isinstance(data, dict) and "requires_grad" in data:
            make = {"tensor": Tensor.wrap, "parameter": nn.Parameter}
            (kind,) = set(data) - {"requires_grad"}
            return self._tensor(make[kind], data[kind], data["requires_grad"])
        return super().__call__(data)

    def _tensor(self, make: Callable[..., Tensor], name: str, requires_grad: bool) -> Tensor:
        return make(self._read_array(name).copy(), requires_grad=requires_grad)


def _unknown(number: Any) -> NoReturn:
    raise FormatError("not what save() writes", got=repr(number))
