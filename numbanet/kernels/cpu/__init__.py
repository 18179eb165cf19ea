"""CPU kernels. Importing a module of lowerings here enters them into ``LOWERINGS``."""

from numbanet.kernels.cpu import (
    attention,
    attention_grad,
    batch_norm,
    convolution,
    fused,
    indexing,
    layer_norm_grad,
    matmul,
    movement,
    pooling,
    rows,
    weight_gradient,
)
from numbanet.kernels.cpu.registry import LOWERINGS

__all__ = [
    "LOWERINGS",
    "attention",
    "attention_grad",
    "batch_norm",
    "convolution",
    "fused",
    "indexing",
    "layer_norm_grad",
    "matmul",
    "movement",
    "pooling",
    "rows",
    "weight_gradient",
]
