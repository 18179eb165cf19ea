"""Metrics with Keras's names: totals that a step adds to on the device, and what they mean."""

from __future__ import annotations

from collections.abc import Callable

from numbanet.arrays.functions import kind_of
from numbanet.arrays.naming import find
from numbanet.ir import Value
from numbanet.losses import (
    Loss,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from numbanet.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    SuitableAccuracy,
    TopKCategoricalAccuracy,
)
from numbanet.metrics.confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from numbanet.metrics.curve import AUC
from numbanet.metrics.distance import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanRelativeError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from numbanet.metrics.functions import (
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from numbanet.metrics.metric import (
    LossMetric,
    Mean,
    MeanMetric,
    MeanMetricWrapper,
    Metric,
    Sum,
)
from numbanet.metrics.overlap import (
    BinaryIoU,
    ConfusionMatrix,
    IoU,
    MeanIoU,
    OneHotIoU,
    OneHotMeanIoU,
)
from numbanet.metrics.score import F1Score, FBetaScore, R2Score

MetricLike = str | Metric | Loss | Callable[[Value, Value], Value]

_CLASSES: tuple[type[Metric], ...] = (
    SuitableAccuracy,
    SparseCategoricalAccuracy,
    CategoricalAccuracy,
    BinaryAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    Precision,
    Recall,
    TruePositives,
    FalsePositives,
    FalseNegatives,
    TrueNegatives,
    AUC,
    F1Score,
    FBetaScore,
    BinaryIoU,
    R2Score,
    MeanSquaredError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    RootMeanSquaredError,
    LogCoshError,
    CosineSimilarity,
    Poisson,
    KLDivergence,
    Hinge,
    SquaredHinge,
    CategoricalHinge,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
_SHORT: dict[str, Callable[..., Metric]] = {
    "acc": SuitableAccuracy,
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
    "rmse": RootMeanSquaredError,
}
_NAMES: dict[str, Callable[..., Metric]] = {each.name: each for each in _CLASSES}
_NAMES |= _SHORT
_NAMES |= {name.upper(): each for name, each in _SHORT.items()}
_NAMES |= {each.__name__: each for each in _CLASSES if each is not SuitableAccuracy}

__all__ = [
    "Accuracy",
    "ConfusionMatrix",
    "IoU",
    "LossMetric",
    "Mean",
    "MeanIoU",
    "MeanMetric",
    "MeanMetricWrapper",
    "MeanRelativeError",
    "Metric",
    "MetricLike",
    "OneHotIoU",
    "OneHotMeanIoU",
    "Sum",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]
__all__ += [each.__name__ for each in _CLASSES]


def get(identifier: MetricLike) -> Metric:
    """The metric of a name such as ``"accuracy"``, which then is called by that name.

    A metric is returned as it is; a loss, or a function ``(y_true, y_pred) -> values``, is
    averaged.
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, Loss):
        return LossMetric(identifier)
    kind = kind_of(identifier)
    if kind is not None:
        found = kind(name=identifier.__name__)  # type: ignore[union-attr]
        return LossMetric(found) if isinstance(found, Loss) else found
    if callable(identifier) and not isinstance(identifier, type):
        return MeanMetricWrapper(identifier)
    metric = find("metric", identifier, _NAMES, "a Metric, or a function")()
    metric.name = str(identifier)
    return metric
