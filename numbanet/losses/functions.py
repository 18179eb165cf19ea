"""Losses as functions, with Keras's names: ``mean_squared_error(y_true, y_pred)``.

A function returns a loss's values, with nothing reduced: one for each sample, or for each of a
sample's parts. Its further arguments are those of the loss's class. It takes symbolic values,
or arrays, of which it returns an array.
"""

from __future__ import annotations

from typing import Any

from numbanet.arrays.functions import Judge, as_function
from numbanet.arrays.host import is_symbolic
from numbanet.losses.entropy import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    KLDivergence,
    SparseCategoricalCrossentropy,
)
from numbanet.losses.loss import Loss
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


def _values(loss: Loss, y_true: Any, y_pred: Any) -> Any:
    loss.reduction = None
    return loss(loss.suited(y_true, y_pred) if is_symbolic(y_pred) else y_true, y_pred)


def _function(kind: type[Loss], name: str | None = None) -> Judge:
    return as_function(kind, name or kind.name, _values)


binary_crossentropy = _function(BinaryCrossentropy)
binary_focal_crossentropy = _function(BinaryFocalCrossentropy)
categorical_crossentropy = _function(CategoricalCrossentropy)
categorical_focal_crossentropy = _function(CategoricalFocalCrossentropy)
categorical_generalized_cross_entropy = _function(CategoricalGeneralizedCrossEntropy)
categorical_hinge = _function(CategoricalHinge)
cosine_similarity = _function(CosineSimilarity)
dice = _function(Dice)
hinge = _function(Hinge)
huber = _function(Huber, "huber")
kl_divergence = _function(KLDivergence)
log_cosh = _function(LogCosh)
mean_absolute_error = _function(MeanAbsoluteError)
mean_absolute_percentage_error = _function(MeanAbsolutePercentageError)
mean_squared_error = _function(MeanSquaredError)
mean_squared_logarithmic_error = _function(MeanSquaredLogarithmicError)
poisson = _function(Poisson)
sparse_categorical_crossentropy = _function(SparseCategoricalCrossentropy)
squared_hinge = _function(SquaredHinge)
tversky = _function(Tversky)
