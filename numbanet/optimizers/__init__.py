"""Optimizers with Keras's names, and learning-rate schedules.

The rules themselves are in `numbanet.optimizers.rules`: elementwise steps on flat values, so
that one launch updates a whole model. `numbanet.optim` offers them under PyTorch's names.
"""

from __future__ import annotations

from numbanet.errors import ArgumentError
from numbanet.optimizers import schedules
from numbanet.optimizers.classes import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Muon,
    Nadam,
    RMSprop,
)
from numbanet.optimizers.optimizer import Optimizer
from numbanet.optimizers.rules import Hyper, Rule, Slot

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Hyper",
    "Lion",
    "Muon",
    "Nadam",
    "Optimizer",
    "OptimizerLike",
    "RMSprop",
    "Rule",
    "Slot",
    "get",
    "schedules",
]

OptimizerLike = str | Optimizer

_CLASSES = (SGD, Adam, AdamW, Adamax, Nadam, RMSprop, Adagrad, Adadelta, Lion, Muon)
_NAMES = {each.__name__.lower(): each for each in _CLASSES}


def get(identifier: OptimizerLike) -> Optimizer:
    """The optimizer of a name such as ``"sgd"``, with its defaults."""
    if isinstance(identifier, Optimizer):
        return identifier
    make = _NAMES.get(identifier.lower()) if isinstance(identifier, str) else None
    if make is None:
        raise ArgumentError(
            "unknown optimizer",
            got=repr(identifier),
            expected=", ".join(_NAMES) + ", or an Optimizer",
        )
    return make()
