"""numbanet: a deep-learning engine in Python.

Layers record a static graph; a planner turns forward pass, loss, gradients and optimizer into
one scheduled, memory-planned program; executors run it with Numba kernels on CPUs and on CUDA.

Two doors lead in: `numbanet.layers` and `numbanet.Model` with Keras's names, `numbanet.nn` and
`numbanet.tensor` with PyTorch's.
"""

from numbanet import (
    activations,
    autograd,
    constraints,
    data,
    initializers,
    io,
    layers,
    lint,
    losses,
    metrics,
    nn,
    ops,
    optim,
    optimizers,
    regularizers,
    tensors,
)
from numbanet.configuration import register
from numbanet.data import Generator
from numbanet.initializers import set_seed
from numbanet.io import load, load_tensors, save, save_tensors
from numbanet.layers import Input, Module
from numbanet.models import (
    Callback,
    History,
    LearningRateScheduler,
    Model,
    Sequential,
    callbacks,
)

# The functions of tensors, under the names that `torch` has them: some are Python's own.
from numbanet.tensors import *  # noqa: F403
from numbanet.viz.plotting import plot_model

__version__ = "0.1.0"

__all__ = [
    "Callback",
    "Generator",
    "History",
    "Input",
    "LearningRateScheduler",
    "Model",
    "Module",
    "Sequential",
    "__version__",
    "activations",
    "autograd",
    "callbacks",
    "constraints",
    "data",
    "initializers",
    "io",
    "layers",
    "lint",
    "load",
    "load_tensors",
    "losses",
    "metrics",
    "nn",
    "ops",
    "optim",
    "optimizers",
    "plot_model",
    "register",
    "regularizers",
    "save",
    "save_tensors",
    "set_seed",
    "tensors",
]
__all__ += tensors.__all__
