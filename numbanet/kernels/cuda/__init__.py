"""CUDA kernels: compiled ahead of time for real GPUs, run on Numba's simulator in tests."""

from numbanet.kernels.cuda.registry import LOWERINGS, lowering

__all__ = ["LOWERINGS", "lowering"]
