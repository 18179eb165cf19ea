"""Layers with Keras's names: what models are made of. Channels last."""

from numbanet.layers.activation import ELU, GELU, Activation, LeakyReLU, ReLU, Softmax
from numbanet.layers.convolution import Conv2D
from numbanet.layers.dense import Dense
from numbanet.layers.dropout import Dropout
from numbanet.layers.embedding import Embedding
from numbanet.layers.input import Input
from numbanet.layers.merging import (
    Add,
    Average,
    Concatenate,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
)
from numbanet.layers.module import Module
from numbanet.layers.normalization import BatchNormalization, LayerNormalization
from numbanet.layers.pooling import (
    AveragePooling2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
)
from numbanet.layers.reshaping import Flatten, Reshape

__all__ = [
    "ELU",
    "GELU",
    "Activation",
    "Add",
    "Average",
    "AveragePooling2D",
    "BatchNormalization",
    "Concatenate",
    "Conv2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "Input",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "Module",
    "Multiply",
    "ReLU",
    "Reshape",
    "Softmax",
    "Subtract",
]
