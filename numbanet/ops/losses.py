"""Losses. They return a value for each sample or element; the mean is the caller's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from numbanet.errors import DTypeError
from numbanet.ir.op import Arg, Attrs, Case, Op, register
from numbanet.ir.types import DType, TensorType
from numbanet.ir.value import Node, Value
from numbanet.ops.activations import softplus
from numbanet.ops.arithmetic import absolute, clip, square
from numbanet.ops.casts import cast
from numbanet.ops.checks import require_integers, require_shape
from numbanet.ops.comparison import where
from numbanet.ops.indexing import check_range, is_position, one_hot
from numbanet.ops.reductions import mean
from numbanet.ops.reductions import sum as sum_over
from numbanet.ops.shapes import expand_dims
from numbanet.ops.softmax import log_softmax, require_classes
from numbanet.ops.transcendental import exp, log


def cross_entropy(logits: Value, labels: Value) -> Value:
    """Cross-entropy between the softmax of ``logits`` and ``labels``.

    Parameters
    ----------
    logits : Value
        ``[..., C]``, floating-point.
    labels : Value
        Classes ``[...]``, integers from 0 to C - 1, which whoever feeds them checks; or
        probabilities ``[..., C]`` of the logits' dtype.

    Returns
    -------
    Value
        ``[...]``: ``-log(softmax(logits)[label])`` of each sample, or
        ``-sum(labels * log_softmax(logits))``.

    Raises
    ------
    ShapeError
        If the shapes do not meet.
    DTypeError
        If the logits are not floating-point, or the labels bools or of another float.
    """
    if labels.dtype.is_floating:
        _require_same("cross_entropy", logits, labels)
        return -sum_over(labels * log_softmax(logits), -1)
    loss, _ = CROSS_ENTROPY(logits, labels)
    return loss


def nll(log_probabilities: Value, labels: Value) -> Value:
    """Negative log likelihood of classes.

    Parameters
    ----------
    log_probabilities : Value
        ``[..., C]``, for example from `log_softmax`.
    labels : Value
        Classes ``[...]``, integers from 0 to C - 1.

    Returns
    -------
    Value
        ``[...]``: ``-log_probabilities[label]`` of each sample.

    Raises
    ------
    ShapeError, DTypeError
        If the shapes do not meet, or the labels are not integers.
    """
    _check_labels("nll", log_probabilities.type, labels.type)
    return -_picked(log_probabilities, labels)


def mean_squared_error(predictions: Value, targets: Value) -> Value:
    """The mean over the last axis of ``(predictions - targets) ** 2``.

    Parameters
    ----------
    predictions, targets : Value
        ``[..., D]``, of one type. Nothing broadcasts.

    Returns
    -------
    Value
        ``[...]``.

    Raises
    ------
    ShapeError, DTypeError
        If the types differ.
    """
    return _mean_error("mean_squared_error", square, predictions, targets)


def mean_absolute_error(predictions: Value, targets: Value) -> Value:
    """The mean over the last axis of ``|predictions - targets|``.

    Parameters, result and errors as in `mean_squared_error`.
    """
    return _mean_error("mean_absolute_error", absolute, predictions, targets)


def _mean_error(
    name: str, measure: Callable[[Value], Value], predictions: Value, targets: Value
) -> Value:
    _require_same(name, predictions, targets)
    return mean(measure(predictions - targets), -1)


def binary_cross_entropy(probabilities: Value, targets: Value, epsilon: float = 1e-7) -> Value:
    """``-(t log p + (1 - t) log(1 - p))`` of each element.

    Parameters
    ----------
    probabilities, targets : Value
        Of one type. Nothing broadcasts.
    epsilon : float
        Probabilities are kept this far from 0 and 1, as Keras does; the gradient is zero
        beyond. From logits, `binary_cross_entropy_with_logits` needs no such limit.

    Returns
    -------
    Value
        Of the same type.

    Raises
    ------
    ShapeError, DTypeError
        If the types differ.
    """
    _require_same("binary_cross_entropy", probabilities, targets)
    p = clip(probabilities, epsilon, 1.0 - epsilon)
    return -(targets * log(p) + (1.0 - targets) * log(1.0 - p))


def binary_cross_entropy_with_logits(logits: Value, targets: Value) -> Value:
    """Binary cross-entropy of ``sigmoid(logits)``: ``softplus(z) - z t``, finite for all z.

    Parameters
    ----------
    logits, targets : Value
        Of one type. Nothing broadcasts.

    Returns
    -------
    Value
        Of the same type, a value for each element.

    Raises
    ------
    ShapeError, DTypeError
        If the types differ.
    """
    _require_same("binary_cross_entropy_with_logits", logits, targets)
    return softplus(logits) - logits * targets


def _require_same(name: str, predictions: Value, targets: Value) -> None:
    """Broadcasting ``[N, 1]`` with ``[N]`` is the classic silent bug of losses."""
    if targets.dtype is not predictions.dtype:
        raise DTypeError(
            f"{name}() takes targets of the predictions' dtype",
            got=str(targets.type),
            expected=str(predictions.dtype),
            mend="Convert them with ops.cast(value, dtype)",
        )
    require_shape(
        name, "targets", targets.type, predictions.shape, "Reshape them to the predictions"
    )


def _check_labels(name: str, logits: TensorType, labels: TensorType) -> None:
    require_classes(name, logits)
    require_integers(name, "labels", labels)
    require_shape(name, "labels", labels, logits.shape[:-1], "Give one class for each sample")


def _picked(rows: Value, labels: Value) -> Value:
    """``rows[label]`` of each row. Chosen, not multiplied: 0 * -inf would be no number."""
    classes = rows.type.shape[-1] or 0
    return sum_over(where(is_position(labels, classes), rows, 0.0), -1)


def _infer(_: Attrs, logits: TensorType, labels: TensorType) -> tuple[TensorType, TensorType]:
    _check_labels("cross_entropy", logits, labels)
    return TensorType(logits.shape[:-1], logits.dtype), logits


def _reference(
    _: Attrs, logits: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    check_range("labels", labels, logits.shape[-1])
    places = labels[..., np.newaxis].astype(np.int64)
    shifted = logits - np.max(logits, axis=-1, keepdims=True)
    powers = np.exp(shifted)
    totals = np.sum(powers, axis=-1, keepdims=True)
    loss = np.log(totals) - np.take_along_axis(shifted, places, axis=-1)
    unit = powers / totals
    chosen = np.take_along_axis(unit, places, axis=-1)
    np.put_along_axis(unit, places, chosen - 1, axis=-1)
    return loss[..., 0], unit


def _gradient(node: Node, g: Value | None, h: Value | None) -> tuple[Value | None, None]:
    """``h`` is the gradient of the unit gradient: of a gradient's gradient."""
    logits, labels = node.inputs
    unit = node.outputs[1]
    parts = [] if g is None else [expand_dims(g, -1) * unit]
    if h is not None:
        y = unit + one_hot(labels, logits.type.sizes[-1], logits.dtype)
        parts.append(y * (h - sum_over(h * y, -1, keepdims=True)))
    return (parts[0] if len(parts) == 1 else parts[0] + parts[1]), None


def _decompose(node: Node) -> tuple[Value, Value]:
    logits, labels = node.inputs
    log_probabilities = log_softmax(logits)
    is_label = is_position(labels, logits.type.sizes[-1])
    loss = -sum_over(where(is_label, log_probabilities, 0.0), -1)
    return loss, exp(log_probabilities) - cast(is_label, logits.dtype)


CROSS_ENTROPY = register(
    Op(
        "cross_entropy",
        infer=_infer,
        reference=_reference,
        gradient=_gradient,
        decompose=_decompose,
        # For each element: compare, subtract, exponential, add, divide.
        flops=lambda node: 5 * node.inputs[0].type.size,
        cases=(
            Case((Arg((5, 7)), Arg((5,), DType.INT64, low=0, high=7))),
            Case((Arg((2, 3, 4)), Arg((2, 3), DType.INT32, low=0, high=4))),
            Case((Arg((9,)), Arg((), DType.UINT8, low=0, high=9))),
            Case((Arg((1, 1)), Arg((1,), DType.INT64, low=0, high=1))),
            Case((Arg((0, 3)), Arg((0,), DType.INT64, low=0, high=3))),
        ),
    )
)
"""``(logits, labels) -> (loss, softmax - one_hot)``. The second is the gradient of the first
but for the factor that comes from above, computed in the same pass."""
