"""Optimizers with Keras's names, and learning-rate schedules.

The rules themselves are in `numbanet.optimizers.rules`: elementwise steps on flat values, so
that one launch updates a whole model. `numbanet.optim` offers them under PyTorch's names.
"""

from __future__ import annotations

from numbanet.arrays.naming import find
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
    name = identifier.lower() if isinstance(identifier, str) else identifier
    return find("optimizer", name, _NAMES, "an Optimizer")()
