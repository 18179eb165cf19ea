"""Programs on NVIDIA GPUs, and on Numba's simulator of one."""

from numbanet.runtime.cuda.availability import is_available, open_device

__all__ = ["is_available", "open_device"]
