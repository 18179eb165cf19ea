"""The table of CUDA lowerings, and the decorator that enters functions into it."""

from numbanet.kernels.lowerings import Lowerings

LOWERINGS = Lowerings("CUDA")
lowering = LOWERINGS.enter
