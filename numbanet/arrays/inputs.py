"""Arrays from outside: named, converted once, and checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numbanet.errors import DataError
from numbanet.ir import DType, TensorType
from numbanet.ir.resident import Array, Resident


def as_array(data: object, name: str) -> np.ndarray:
    """``data`` as a NumPy array of numbers."""
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise DataError(
            f"{name}: not an array", got=str(error), mend="Give all samples one shape"
        ) from None
    _require_numbers(array, name)
    return array


def as_data(data: object, name: str) -> Array:
    """``data`` as it is, if it is on a device, else as `as_array` gives it."""
    if not isinstance(data, Resident):
        return as_array(data, name)
    _require_numbers(data, name)
    return data


def _require_numbers(array: Array, name: str) -> None:
    if array.dtype.kind not in "fiub":
        raise DataError(
            f"{name}: not an array of numbers",
            got=f"dtype {array.dtype}",
            mend="Give all samples one shape and a numeric dtype"
            if array.dtype == object
            else "Convert it first",
        )
    if array.ndim == 0:
        raise DataError(f"{name}: a batch of samples has at least one axis", got=str(array))


def extremes(array: Array, ignored: int | None = None) -> tuple[Any, Any] | None:
    """The smallest and the largest number that is not ``ignored``; None if there is none.

    On a device an ignored number counts as 0.
    """
    if isinstance(array, Resident):
        return array.extremes(ignored) if array.size else None
    kept = array if ignored is None else array[array != ignored]
    return (kept.min(), kept.max()) if kept.size else None


def to_type(array: Array, dtype: DType, name: str) -> Array:
    """``array`` in C order as ``dtype``; itself, not a copy, if it is that already.

    Raises
    ------
    DataError
        If finite numbers would become infinite, or floats would become integers.
    """
    target = dtype.numpy
    if array.dtype == target:
        return _contiguous(array, target)
    if dtype.is_integer and array.dtype.kind == "f":
        raise DataError(
            f"{name}: ids are integers",
            got=f"dtype {array.dtype}",
            expected=dtype.value,
            mend="Convert them yourself if that is what you mean",
        )
    if dtype.is_integer:
        return _to_integers(array, target, name)
    if array.dtype.kind == "f" and array.dtype.itemsize > target.itemsize:
        _require_room(array, target, name)
    return _contiguous(array, target)


def _contiguous(array: Array, target: np.dtype) -> Array:
    if isinstance(array, Resident):
        return array if array.dtype == target else array.astype(target)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=target)


def _require_room(array: Array, target: np.dtype, name: str) -> None:
    """Raise DataError for finite numbers that would become infinite."""
    most = float(np.finfo(target).max)
    if isinstance(array, Resident):
        found = [each for each in extremes(array) or () if most < abs(each) < np.inf]
    else:
        size = np.abs(array)
        found = array[(size > most) & np.isfinite(size)]
    if len(found):
        raise DataError(
            f"{name}: numbers too large for {target}",
            got=f"{found[0]:g}",
            mend="Scale the data",
        )


def _to_integers(array: Array, target: np.dtype, name: str) -> Array:
    limits = np.iinfo(target)
    found = extremes(array) if array.dtype.kind in "iu" else None
    if found is not None and (found[0] < limits.min or found[1] > limits.max):
        raise DataError(
            f"{name}: numbers out of range for {target}", got=f"{found[0]} .. {found[1]}"
        )
    return _contiguous(array, target)


def by_name(data: Any, names: Sequence[str], what: str) -> dict[str, Any]:
    """``data`` (an array, a list of them in order, or a mapping) keyed by ``names``.

    A list is one array, not several, where only one is expected.
    """
    if isinstance(data, Mapping):
        unknown = sorted(set(data) - set(names))
        missing = [name for name in names if name not in data]
        if unknown or missing:
            raise DataError(
                f"{what}: the names do not match",
                got=", ".join(map(repr, data)) or "no names",
                expected=", ".join(map(repr, names)),
            )
        return {name: data[name] for name in names}
    if len(names) == 1 and not _is_single_list(data):
        return {names[0]: data}
    parts = list(data) if isinstance(data, list | tuple) else [data]
    if len(parts) != len(names):
        raise DataError(
            f"{what}: the number of arrays does not match",
            got=str(len(parts)),
            expected=f"{len(names)} ({', '.join(names)})",
        )
    return dict(zip(names, parts, strict=True))


def _is_single_list(data: Any) -> bool:
    return (
        isinstance(data, list | tuple)
        and len(data) == 1
        and isinstance(data[0], np.ndarray | Resident)
    )


def inputs(data: Any, types: Mapping[str, TensorType]) -> dict[str, Array]:
    """Arrays for the inputs of a model, of its types; raises DataError."""
    arrays = {}
    for name, part in by_name(data, list(types), "inputs").items():
        label = f"input {name!r}"
        array = as_data(part, label)
        type_ = types[name]
        fits = array.ndim == type_.rank and all(
            expected in (None, size)
            for size, expected in zip(array.shape, type_.shape, strict=True)
        )
        if not fits:
            raise DataError(
                f"{label}: wrong shape",
                got=str(array.shape),
                expected=str(type_.shape),
                mend=_mend(array.shape, type_.shape),
            )
        arrays[name] = to_type(array, type_.dtype, label)
    return arrays


def _mend(got: tuple[int, ...], expected: tuple[int | None, ...]) -> str | None:
    if got == expected[1:]:
        return "Add the batch axis with x[None]"
    if (*got, 1)[1:] == expected[1:]:
        return "Add the channel axis with x[..., None]"
    return None


def common_length(arrays: Mapping[str, Array]) -> int:
    """Number of samples; raises DataError if the arrays disagree, or there are none."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(
            "arrays of different length",
            got=", ".join(f"{name}: {length}" for name, length in lengths.items()),
        )
    (samples,) = set(lengths.values())
    if samples == 0:
        raise DataError("an empty data set", got="0 samples", expected="at least one")
    return samples
