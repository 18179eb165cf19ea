"""Optimizers and learning-rate schedules with PyTorch's names."""

from numbanet.optim import lr_scheduler, swa_utils
from numbanet.optim.descent import ASGD, SGD, Rprop
from numbanet.optim.lbfgs import LBFGS
from numbanet.optim.moments import Adam, Adamax, AdamW, NAdam, RAdam
from numbanet.optim.optimizer import Optimizer
from numbanet.optim.squares import Adadelta, Adagrad, RMSprop

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
    "swa_utils",
]
