"""CPU kernels. Importing a module of lowerings here enters them into ``LOWERINGS``."""

from numbanet.kernels.cpu import fused, indexing, matmul, movement, pooling, rows
from numbanet.kernels.cpu.registry import LOWERINGS

__all__ = ["LOWERINGS", "fused", "indexing", "matmul", "movement", "pooling", "rows"]
