"""Kernels under Numba's CUDA simulator: the same functions, one Python thread a CUDA thread.

The simulator is on in processes that start with ``NUMBA_ENABLE_CUDASIM=1``.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import config, cuda

from numbanet.kernels.cuda.compile import numpy_dtype
from numbanet.kernels.kernel import Kernel

SIMULATED: bool = bool(config.ENABLE_CUDASIM)  # pyright: ignore[reportAttributeAccessIssue]


def launch(kernel: Kernel, arguments: Sequence[np.ndarray | float], tiles: int) -> None:
    """Run ``tiles`` blocks of ``kernel``, one after the other.

    Parameters
    ----------
    arguments : sequence
        One-dimensional C-contiguous arrays where the signature has addresses, changed in
        place; they may overlap. Numbers for the rest.
    """
    if not SIMULATED:
        raise RuntimeError("the simulator is off: set NUMBA_ENABLE_CUDASIM=1")
    if tiles == 0:
        return
    device_arguments = [
        _argument(name, argument)
        for name, argument in zip(kernel.signature, arguments, strict=True)
    ]
    with warnings.catch_warnings():
        # A GPU wraps integers and overflows to infinity without a word.
        warnings.filterwarnings("ignore", "(overflow|divide by zero|invalid value|underflow)")
        _simulated(kernel)[tiles, kernel.threads, 0, kernel.shared_bytes](*device_arguments)


@functools.cache
def _simulated(kernel: Kernel) -> Any:
    return cuda.jit(kernel.make(*kernel.parameters))


def _argument(name: str, argument: np.ndarray | float) -> object:
    if not name.endswith("*"):
        return numpy_dtype(name).type(argument)
    if not isinstance(argument, np.ndarray) or argument.ndim != 1:
        raise TypeError(f"the simulator takes a one-dimensional array for {name!r}")
    # Wrapped and not converted: a conversion would copy, and arrays could not overlap.
    return _shared(argument.view(numpy_dtype(name)))


def _shared(array: np.ndarray) -> object:
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

    return FakeCUDAArray(array)
