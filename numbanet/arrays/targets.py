"""Targets on the host: checked before anything indexes with them."""

from __future__ import annotations

import numpy as np

from numbanet.arrays.inputs import as_data, extremes, to_type
from numbanet.errors import DataError
from numbanet.ir import DType, TensorType
from numbanet.ir.resident import Array, Resident


def labels(
    y: object, type_: TensorType, classes: int, name: str, ignored: int | None = None
) -> Array:
    """Class labels as int64 in ``0 .. classes - 1``, of shape ``type_.shape``.

    A column ``(n, 1)`` is taken for ``(n,)``, and floating-point numbers for the integers that
    they are. The label ``ignored`` may be out of range.

    Raises
    ------
    DataError
        On labels that are no whole numbers, not of that shape, or out of range.
    """
    array = as_data(y, name)
    if array.ndim == type_.rank + 1 and array.shape[-1] == 1:
        array = array.reshape(array.shape[:-1])
    _check_shape(array, type_, name)
    _require_whole(array, name)
    found = extremes(array, ignored)
    if found is not None and not (found[0] >= 0 and found[1] < classes):
        raise DataError(
            f"{name}: labels out of range",
            got=f"{int(found[0])} .. {int(found[1])}",
            expected=f"0 .. {classes - 1}, as the output has {classes} classes",
        )
    if isinstance(array, Resident):
        return to_type(array, DType.INT64, name)
    return np.ascontiguousarray(array, dtype=np.int64)


def _require_whole(array: Array, name: str) -> None:
    """Raise DataError for labels that are no whole numbers; on a device by their dtype."""
    if isinstance(array, Resident):
        broken = [] if array.dtype.kind in "iu" else [array.dtype]
        mend = "Convert them on the device"
    else:
        broken = [
            f"{x:g}" for x in array[~(np.isfinite(array) & (array == np.trunc(array)))][:1]
        ]
        mend = "For one-hot or soft rows use loss='categorical_crossentropy'"
    if broken:
        raise DataError(f"{name}: class labels are integers", got=str(broken[0]), mend=mend)


def numbers(y: object, type_: TensorType, name: str) -> Array:
    """Floating-point targets of ``type_``; ``(n,)`` is taken for a column ``(n, 1)``."""
    array = as_data(y, name)
    if array.ndim == type_.rank - 1 and type_.shape[-1] == 1:
        array = array.reshape((*array.shape, 1))
    _check_shape(array, type_, name)
    return to_type(array, type_.dtype, name)


def any_numbers(y: object, prediction: TensorType, name: str) -> Array:
    """Targets of any shape in the prediction's dtype, for a loss that may take any.

    As in `numbers`, ``(n,)`` becomes a column if the prediction is one: broadcasting would
    pair every target with every prediction.
    """
    array = as_data(y, name)
    if array.ndim == prediction.rank - 1 and prediction.shape[-1] == 1:
        array = array.reshape((*array.shape, 1))
    return to_type(array, prediction.dtype, name)


def probabilities(y: object, type_: TensorType, name: str) -> Array:
    """Targets in [0, 1]."""
    array = numbers(y, type_, name)
    found = extremes(array)
    if found is not None and not (found[0] >= 0 and found[1] <= 1):
        raise DataError(
            f"{name}: targets out of range",
            got=f"{found[0]:g} .. {found[1]:g}",
            expected="0 .. 1",
        )
    return array


def _check_shape(array: Array, type_: TensorType, name: str) -> None:
    if array.ndim != type_.rank or array.shape[1:] != type_.shape[1:]:
        raise DataError(
            f"{name}: targets do not fit the output",
            got=str(array.shape),
            expected=str(type_.shape),
            mend=_mend(array, type_),
        )


def _mend(array: Array, type_: TensorType) -> str | None:
    is_one_hot = type_.dtype.is_integer and array.ndim == type_.rank + 1
    return "For one-hot rows use loss='categorical_crossentropy'" if is_one_hot else None
