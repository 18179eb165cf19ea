"""numbanet: a deep-learning engine in Python.

Layers record a static graph; a planner turns forward pass, loss, gradients and optimizer into
one scheduled, memory-planned program; executors run it with Numba kernels on CPUs and on CUDA.
"""

from numbanet import initializers, layers, losses, metrics, ops, optimizers
from numbanet.initializers import set_seed
from numbanet.layers import Input, Module
from numbanet.models import Callback, History, LearningRateScheduler, Model, Sequential

__version__ = "0.1.0"

__all__ = [
    "Callback",
    "History",
    "Input",
    "LearningRateScheduler",
    "Model",
    "Module",
    "Sequential",
    "__version__",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "ops",
    "optimizers",
    "set_seed",
]
