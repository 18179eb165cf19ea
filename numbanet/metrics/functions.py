"""Metrics as functions, with Keras's names: ``binary_accuracy(y_true, y_pred)``.

A function returns a number for each sample, or for each of a sample's parts, of symbolic
values, or of arrays. The functions of losses are here by the same names.
"""

from __future__ import annotations

from typing import Any

from numbanet import ops
from numbanet.arrays.functions import Judge, as_function
from numbanet.arrays.host import is_symbolic, on_host
from numbanet.ir import Value
from numbanet.metrics.accuracy import (
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from numbanet.metrics.metric import MeanMetric


def _values(metric: MeanMetric, y_true: Any, y_pred: Any) -> Any:
    def values(true: Value, pred: Value, _: Value | None = None) -> Value:
        return ops.cast(metric.values(true, pred), pred.dtype)

    return (
        values(y_true, y_pred)
        if is_symbolic(y_pred)
        else on_host(values, metric, y_true, y_pred)
    )


def _function(kind: type[MeanMetric]) -> Judge:
    return as_function(kind, kind.name, _values)


binary_accuracy = _function(BinaryAccuracy)
categorical_accuracy = _function(CategoricalAccuracy)
sparse_categorical_accuracy = _function(SparseCategoricalAccuracy)
sparse_top_k_categorical_accuracy = _function(SparseTopKCategoricalAccuracy)
top_k_categorical_accuracy = _function(TopKCategoricalAccuracy)
