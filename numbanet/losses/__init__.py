"""Losses with Keras's names: numbers for each sample, out of targets and predictions.

A loss also says what targets it takes, so that labels are checked on the host, before they
index anything.
"""

from __future__ import annotations

from collections.abc import Callable

from numbanet.arrays.functions import kind_of
from numbanet.arrays.naming import find
from numbanet.ir import Value
from numbanet.losses.entropy import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    KLDivergence,
    SparseCategoricalCrossentropy,
)
from numbanet.losses.functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    categorical_hinge,
    cosine_similarity,
    dice,
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
    tversky,
)
from numbanet.losses.loss import FunctionLoss, Loss
from numbanet.losses.margin import CategoricalHinge, Hinge, SquaredHinge
from numbanet.losses.overlap import Dice, Tversky
from numbanet.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
)

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Dice",
    "FunctionLoss",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossLike",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "cosine_similarity",
    "dice",
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
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]

LossLike = str | Loss | Callable[[Value, Value], Value]

_CLASSES: tuple[type[Loss], ...] = (
    SparseCategoricalCrossentropy,
    CategoricalCrossentropy,
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    KLDivergence,
    Poisson,
    MeanSquaredError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    CosineSimilarity,
    Huber,
    LogCosh,
    Hinge,
    SquaredHinge,
    CategoricalHinge,
    Dice,
    Tversky,
)
_SHORT: dict[str, type[Loss]] = {
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
    "huber": Huber,
    "logcosh": LogCosh,
}
_NAMES = {each.name: each for each in _CLASSES} | _SHORT
_NAMES |= {name.upper(): each for name, each in _SHORT.items()}
_NAMES |= {each.__name__: each for each in _CLASSES}


def get(identifier: LossLike) -> Loss:
    """The loss of a name such as ``"mse"``.

    A loss is returned as it is; a function ``(y_true, y_pred) -> values`` becomes one, those of
    this package their own.
    """
    if isinstance(identifier, Loss):
        return identifier
    kind = kind_of(identifier)
    if kind is not None:
        return kind(name=identifier.__name__)  # type: ignore[union-attr]
    if callable(identifier) and not isinstance(identifier, type):
        return FunctionLoss(identifier)
    return find("loss", identifier, _NAMES, "a Loss, or a function")()
