"""Targets on the host: checked before anything indexes with them."""

from __future__ import annotations

import numpy as np

from numbanet.arrays.inputs import as_array, to_type
from numbanet.errors import DataError
from numbanet.ir import TensorType


def labels(
    y: object, type_: TensorType, classes: int, name: str, ignored: int | None = None
) -> np.ndarray:
    """Class labels as int64 in ``0 .. classes - 1``, of shape ``type_.shape``.

    A column ``(n, 1)`` is taken for ``(n,)``, and floating-point numbers for the integers that
    they are. The label ``ignored`` may be out of range.

    Raises
    ------
    DataError
        On labels that are no whole numbers, not of that shape, or out of range.
    """
    array = as_array(y, name)
    if array.ndim == type_.rank + 1 and array.shape[-1] == 1:
        array = array[..., 0]
    _check_shape(array, type_, name)
    broken = array[~(np.isfinite(array) & (array == np.trunc(array)))]
    if broken.size:
        raise DataError(
            f"{name}: class labels are integers",
            got=f"{broken[0]:g}",
            mend="For one-hot or soft rows use loss='categorical_crossentropy'",
        )
    kept = array if ignored is None else array[array != ignored]
    if kept.size and not (kept.min() >= 0 and kept.max() < classes):
        raise DataError(
            f"{name}: labels out of range",
            got=f"{int(kept.min())} .. {int(kept.max())}",
            expected=f"0 .. {classes - 1}, as the output has {classes} classes",
        )
    return np.ascontiguousarray(array, dtype=np.int64)


def numbers(y: object, type_: TensorType, name: str) -> np.ndarray:
    """Floating-point targets of ``type_``; ``(n,)`` is taken for a column ``(n, 1)``."""
    array = as_array(y, name)
    if array.ndim == type_.rank - 1 and type_.shape[-1] == 1:
        array = array[..., None]
    _check_shape(array, type_, name)
    return to_type(array, type_.dtype, name)


def any_numbers(y: object, prediction: TensorType, name: str) -> np.ndarray:
    """Targets of any shape in the prediction's dtype, for a loss that may take any.

    As in `numbers`, ``(n,)`` becomes a column if the prediction is one: broadcasting would
    pair every target with every prediction.
    """
    array = as_array(y, name)
    if array.ndim == prediction.rank - 1 and prediction.shape[-1] == 1:
        array = array[..., None]
    return to_type(array, prediction.dtype, name)


def probabilities(y: object, type_: TensorType, name: str) -> np.ndarray:
    """Targets in [0, 1]."""
    array = numbers(y, type_, name)
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        raise DataError(
            f"{name}: targets out of range",
            got=f"{array.min():g} .. {array.max():g}",
            expected="0 .. 1",
        )
    return array


def _check_shape(array: np.ndarray, type_: TensorType, name: str) -> None:
    if array.ndim != type_.rank or array.shape[1:] != type_.shape[1:]:
        raise DataError(
            f"{name}: targets do not fit the output",
            got=str(array.shape),
            expected=str(type_.shape),
            mend=_mend(array, type_),
        )


def _mend(array: np.ndarray, type_: TensorType) -> str | None:
    is_one_hot = type_.dtype.is_integer and array.ndim == type_.rank + 1
    return "For one-hot rows use loss='categorical_crossentropy'" if is_one_hot else None
