"""CUDA kernels: compiled ahead of time for real GPUs, run on Numba's simulator in tests."""

# Each of these enters its lowerings into the table.
from numbanet.kernels.cuda import (
    attention,
    attention_grad,
    batch_norm,
    chain,
    convolution,
    fused,
    indexing,
    matmul,
    measured,
    movement,
    pooling,
    rows,
    weight_gradient,
)
from numbanet.kernels.cuda.registry import LOWERINGS, lowering

__all__ = [
    "LOWERINGS",
    "attention",
    "attention_grad",
    "batch_norm",
    "chain",
    "convolution",
    "fused",
    "indexing",
    "lowering",
    "matmul",
    "measured",
    "movement",
    "pooling",
    "rows",
    "weight_gradient",
]
