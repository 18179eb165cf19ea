"""The table of CPU lowerings, and the decorator that enters functions into it."""

from numbanet.kernels.lowerings import Lowerings

LOWERINGS = Lowerings("CPU")
lowering = LOWERINGS.enter
