"""Python values as JSON, exactly: tuples stay tuples, floats keep their bits.

What JSON has no form for is an object with one key that says what it is.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from numbanet.configuration import (
    Configured,
    Objects,
    arguments,
    construct,
    find,
    from_config,
    is_plain,
    name_of,
    parts_of,
)
from numbanet.errors import FormatError
from numbanet.ir import DType, TensorType, Value
from numbanet.ir.op import Attrs
from numbanet.layers.module import Module

CONSTANT = "@constant/"
"""What the names of tensors begin with that belong to the architecture."""


class Encoder:
    """Writes values as JSON.

    Parameters
    ----------
    module : callable
        From a module to its number.
    value : callable
        From a symbolic value to its number.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Constants met so far, by the name of their tensor.
    custom : dict of str to object
        Classes and functions met so far that are not numbanet's.
    """

    def __init__(self, module: Callable[[Module], int], value: Callable[[Value], int]) -> None:
        self._module = module
        self._value = value
        self.arrays: dict[str, np.ndarray] = {}
        self.custom: dict[str, Any] = {}

    def __call__(self, value: Any) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, list):
            return [self(each) for each in value]
        return self._tagged(value)

    def _tagged(self, value: Any) -> dict[str, Any]:
        if isinstance(value, tuple):
            return {"tuple": [self(each) for each in value]}
        if isinstance(value, dict):
            return {"dict": [[self(key), self(each)] for key, each in value.items()]}
        if isinstance(value, Value):
            return {"value": self._value(value)}
        if isinstance(value, Module):
            return {"module": self._module(value)}
        if isinstance(value, DType):
            return {"dtype": value.value}
        if isinstance(value, TensorType):
            return {"type": [value.dtype.value, list(value.shape)]}
        if isinstance(value, np.ndarray):
            return {"array": self._array(value)}
        if isinstance(value, Attrs):
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
            return {"attrs": type(value).__name__, "fields": self(fields)}
        return self.object(value)

    def _array(self, value: np.ndarray) -> str:
        name = f"{CONSTANT}{len(self.arrays)}"
        self.arrays[name] = value
        return name

    def object(self, value: Any) -> dict[str, Any]:
        """Any object: its class and what to construct it from."""
        self._remember(value)
        if is_plain(value):
            return {"class": name_of(type(value)), "config": self(arguments(value))}
        class_name, parts = parts_of(value)
        return {"class": class_name, "config": self(parts)}

    def _remember(self, value: Any) -> None:
        thing = value if hasattr(value, "__name__") else type(value)
        if not thing.__module__.startswith("numbanet."):
            self.custom[name_of(thing).partition(">")[2]] = thing


class Decoder:
    """Reads what an `Encoder` wrote.

    Parameters
    ----------
    module, value : callable
        From a number to the module or value.
    arrays : dict of str to ndarray
    objects : dict of str to object, optional
        The caller's own classes and functions.

    Raises
    ------
    FormatError
        When called on anything else.
    """

    def __init__(
        self,
        module: Callable[[Any], Module],
        value: Callable[[Any], Value],
        arrays: dict[str, np.ndarray],
        objects: Objects | None = None,
    ) -> None:
        self._module = module
        self._value = value
        self._arrays = arrays
        self._objects = objects

    def __call__(self, data: Any) -> Any:
        if data is None or isinstance(data, bool | int | float | str):
            return data
        if isinstance(data, list):
            return [self(each) for each in data]
        tag = next(iter(data)) if isinstance(data, dict) and data else None
        read = getattr(self, f"_read_{tag}") if tag in _TAGS else None
        if read is None or set(data) != {tag, *_TAGS[tag]}:
            raise FormatError("not a value that numbanet writes", got=repr(data)[:80])
        return read(*data.values())

    def _read_float(self, text: str) -> float:
        return float(text)

    def _read_tuple(self, parts: list[Any]) -> tuple[Any, ...]:
        return tuple(self(parts))

    def _read_dict(self, pairs: list[Any]) -> dict[Any, Any]:
        return {self(key): self(each) for key, each in pairs}

    def _read_value(self, number: Any) -> Value:
        return self._value(number)

    def _read_module(self, number: Any) -> Module:
        return self._module(number)

    def _read_dtype(self, name: str) -> DType:
        return DType.of(name)

    def _read_type(self, parts: list[Any]) -> TensorType:
        dtype, shape = parts
        return TensorType(tuple(size(each) for each in shape), DType.of(dtype))

    def _read_array(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            raise FormatError("the file lacks a constant", got=repr(name))
        return self._arrays[name]

    def _read_attrs(self, name: str, fields: Any) -> Attrs:
        kinds = _attrs_classes()
        if name not in kinds:
            raise FormatError("unknown attributes of an op", got=repr(name))
        return kinds[name](**self(fields))

    def _read_class(self, name: str, config: Any) -> Any:
        if name == "function":
            return find(config, self._objects)
        return make(find(name, self._objects), self(config), self._objects)


_TAGS: dict[Any, tuple[str, ...]] = {
    "float": (),
    "tuple": (),
    "dict": (),
    "value": (),
    "module": (),
    "dtype": (),
    "type": (),
    "array": (),
    "attrs": ("fields",),
    "class": ("config",),
}


def make(kind: Any, config: Any, objects: Objects | None = None) -> Any:
    """An object of a class, the way its class wants it.

    A ``get_config`` of the user's own may contain what `Configured.get_config` returned.
    """
    if not isinstance(kind, type) or not isinstance(config, dict):
        raise FormatError("not a class and its configuration", got=repr(kind))
    own = getattr(kind, "from_config", None)
    if own is not None and own.__func__ is not Configured.from_config.__func__:  # type: ignore[attr-defined]
        return own(config)
    return construct(kind, {key: from_config(each, objects) for key, each in config.items()})


def size(number: Any) -> int | None:
    """A size in a shape: None, or an integer that an address can count to."""
    is_size = isinstance(number, int) and not isinstance(number, bool)
    if number is not None and not (is_size and 0 <= number < 2**40):
        raise FormatError("a shape that no tensor has", got=repr(number)[:40])
    return number


def _attrs_classes() -> dict[str, type[Attrs]]:
    found: dict[str, type[Attrs]] = {}
    stack = [Attrs]
    while stack:
        kind = stack.pop()
        if kind.__module__.startswith("numbanet."):
            found[kind.__name__] = kind
        stack.extend(kind.__subclasses__())
    return found
