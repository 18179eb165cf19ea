"""Functions of symbolic values on arrays: computed on the host by the ops' references."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from numbanet import ops
from numbanet.arrays.inputs import as_array
from numbanet.ir import DType, TensorType, Value
from numbanet.testing import evaluate


class Prepares(Protocol):
    """What knows which targets go with a prediction."""

    def prepare(self, y: object, prediction: TensorType, name: str) -> Any: ...


def is_symbolic(value: object) -> bool:
    return isinstance(value, Value)


def on_host(
    function: Callable[[Value, Value, Value | None], Any],
    judge: Prepares,
    y_true: object,
    y_pred: object,
    weight: object = None,
) -> Any:
    """``function(y_true, y_pred, weight)`` of arrays: an array, or a list of them.

    Predictions become float32 unless they are float64. Raises DataError for targets that do
    not go with them.
    """
    predictions = floating(as_array(y_pred, "predictions"))
    type_ = TensorType((None, *predictions.shape[1:]), DType.of(predictions.dtype))
    arrays = [judge.prepare(y_true, type_, "targets"), predictions]
    if weight is not None:
        arrays.append(floating(np.asarray(weight), predictions.dtype))
    values = [
        ops.input_value(f"x{i}", array.shape, DType.of(array.dtype))
        for i, array in enumerate(arrays)
    ]
    true, pred, *rest = values
    result = function(true, pred, rest[0] if rest else None)
    return evaluate(result, dict(zip(values, arrays, strict=True)))


def floating(array: np.ndarray, dtype: Any = None) -> np.ndarray:
    """``array`` as floating-point numbers of ``dtype``, by default float32 or its own."""
    if dtype is None:
        dtype = np.float64 if array.dtype == np.float64 else np.float32
    return np.ascontiguousarray(array, dtype=dtype)
