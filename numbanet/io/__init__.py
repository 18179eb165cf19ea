"""Files: models and tensors in safetensors, and weights from PyTorch and Keras."""

from numbanet.io.foreign import from_keras, from_torch
from numbanet.io.objects import load, save
from numbanet.io.report import Report, Taken
from numbanet.io.tensors import load_tensors, save_tensors
from numbanet.io.weights import load_weights, save_weights

__all__ = [
    "Report",
    "Taken",
    "from_keras",
    "from_torch",
    "load",
    "load_tensors",
    "load_weights",
    "save",
    "save_tensors",
    "save_weights",
]
