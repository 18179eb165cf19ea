"""From samples to batches."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from numbanet.data.dataset import as_array
from numbanet.errors import DataError, DTypeError, ShapeError
from numbanet.runtime.host import aligned_empty
from numbanet.tensors.tensor import Tensor

Collate = Callable[[Any], Any]


def default_collate(batch: Sequence[Any]) -> Any:
    """Join samples to a batch.

    Tensors, arrays and numbers are stacked along a new first axis; the parts of tuples, lists
    and mappings are joined part by part; strings stay a list. Python's floats become float64,
    its integers int64.

    Raises
    ------
    ShapeError
        If arrays have different shapes.
    DataError
        If sequences have different lengths.
    DTypeError
        For anything else.
    """
    first = batch[0]
    if isinstance(first, Tensor | np.ndarray):
        return _stack([as_array(sample) for sample in batch])
    if isinstance(first, bool | int | float | np.number | np.bool_):
        return Tensor.wrap(np.array(batch))
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Mapping):
        return _like(
            first, {key: default_collate([each[key] for each in batch]) for key in first}
        )
    if _is_namedtuple(first):
        return type(first)(*map(default_collate, _columns(batch)))
    if isinstance(first, Sequence):
        return _like(first, list(map(default_collate, _columns(batch))))
    raise DTypeError(
        "samples that cannot be joined to a batch",
        got=type(first).__name__,
        expected="tensors, arrays, numbers, strings, or tuples, lists and mappings of these",
        mend="Give the DataLoader a collate_fn",
    )


def default_convert(data: Any) -> Any:
    """Arrays of numbers to tensors, also inside of tuples, lists and mappings."""
    if isinstance(data, np.ndarray | np.generic):
        return data if _is_text(np.asarray(data)) else Tensor.wrap(np.array(data))
    if isinstance(data, Mapping):
        return _like(data, {key: default_convert(part) for key, part in data.items()})
    if _is_namedtuple(data):
        return type(data)(*map(default_convert, data))
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return _like(data, [default_convert(part) for part in data])
    return data


def _stack(arrays: list[np.ndarray]) -> Tensor:
    shape = arrays[0].shape
    if any(array.shape != shape for array in arrays):
        raise ShapeError(
            "samples of different shapes cannot be stacked",
            got=", ".join(sorted({str(array.shape) for array in arrays})),
            mend="Give all samples one shape, or the DataLoader a collate_fn that pads them",
        )
    if _is_text(arrays[0]):
        raise DTypeError("arrays that are not numbers", got=f"dtype {arrays[0].dtype}")
    # Joining along an axis that is there costs half of what np.stack does.
    joined = aligned_empty((len(arrays), *shape), np.result_type(*arrays))
    return Tensor.wrap(np.concatenate([array[None] for array in arrays], out=joined))


def _is_text(array: np.ndarray) -> bool:
    return array.dtype.kind in "SUO"


def _is_namedtuple(sample: Any) -> bool:
    return isinstance(sample, tuple) and hasattr(sample, "_fields")


def _columns(batch: Sequence[Any]) -> list[tuple[Any, ...]]:
    lengths = {len(sample) for sample in batch}
    if len(lengths) > 1:
        raise DataError("samples with different numbers of parts", got=str(sorted(lengths)))
    return list(zip(*batch, strict=True))


def _like(sample: Any, parts: Any) -> Any:
    """``parts`` in a container of the sample's own type, if that can be filled."""
    if isinstance(sample, MutableMapping) and type(sample) is not dict:
        filled = copy.copy(sample)
        filled.update(parts)
        return filled
    if isinstance(sample, MutableSequence) and type(sample) is not list:
        filled = copy.copy(sample)
        filled[:] = parts  # type: ignore[index]
        return filled
    return parts
