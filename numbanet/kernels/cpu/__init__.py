"""CPU kernels. Importing a module of lowerings here enters them into ``LOWERINGS``."""

from numbanet.kernels.cpu import fused, matmul, movement
from numbanet.kernels.cpu.registry import LOWERINGS

__all__ = ["LOWERINGS", "fused", "matmul", "movement"]
