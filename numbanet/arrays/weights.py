"""Weights of samples, given for samples or for classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from numbanet.arrays.inputs import as_data, by_name, to_type
from numbanet.errors import ArgumentError, DataError
from numbanet.ir import DType
from numbanet.ir.resident import Array, Resident


def sample_weights(given: Any, targets: Mapping[str, Array], dtype: DType) -> dict[str, Array]:
    """Checked weights by output.

    Parameters
    ----------
    given : array_like, or list or dict of them, or None
        A single one serves all outputs. A dict may leave outputs out, a list may say None.
    targets : dict of str to ndarray
    dtype : DType

    Raises
    ------
    DataError
        If a shape is not that of the leading axes of the targets.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        named = {name: given.get(name) for name in targets}
        by_name({**named, **given}, list(targets), "sample_weight")
    elif len(targets) > 1 and isinstance(given, list | tuple):
        named = by_name(given, list(targets), "sample_weight")
    else:
        named = dict.fromkeys(targets, given)
    return {
        name: _checked(part, targets[name], dtype, f"sample_weight {name!r}")
        for name, part in named.items()
        if part is not None
    }


def _checked(given: Any, target: Array, dtype: DType, name: str) -> Array:
    array = as_data(given, name)
    if array.ndim == 2 and array.shape[1] == 1 and target.ndim < 2:
        array = array.reshape(array.shape[:1])
    # A different length is told with those of all arrays.
    if array.ndim > target.ndim or array.shape[1:] != target.shape[1 : array.ndim]:
        raise DataError(
            f"{name}: weights go with the leading axes of the targets",
            got=str(array.shape),
            expected=f"{target.shape[:1]} or more of {target.shape}",
        )
    return to_type(array, dtype, name)


def class_weights(given: Mapping[int, float], targets: Mapping[str, Array]) -> np.ndarray:
    """The weight of each sample's class; 1 for classes that are not named.

    Raises
    ------
    ArgumentError
        If there are several outputs, a class is no number, or targets are on a device.
    DataError
        If targets are no classes: neither labels nor one-hot.
    """
    if len(targets) != 1:
        raise ArgumentError(
            "class_weight is for models of one output",
            got=f"{len(targets)} outputs",
            mend="Give sample_weight instead",
        )
    (target,) = targets.values()
    if isinstance(target, Resident):
        raise ArgumentError(
            "class_weight is for targets on the host",
            got="targets on a device",
            mend="Give sample_weight instead",
        )
    if target.dtype.kind == "f" and target.ndim == 2 and target.shape[1] > 1:
        classes = target.argmax(axis=1)
    elif target.ndim == 1 or (target.ndim == 2 and target.shape[1] == 1):
        classes = target.reshape(-1).round().astype(np.int64)
    else:
        raise DataError("class_weight takes labels or one-hot targets", got=str(target.shape))
    weights = np.ones(len(classes))
    for which, weight in given.items():
        if not isinstance(which, int | np.integer):
            raise ArgumentError("class_weight maps classes to weights", got=repr(which))
        weights[classes == which] = weight
    return weights
