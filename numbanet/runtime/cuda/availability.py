"""Whether there is a CUDA device here, and if not, what to do about it."""

from __future__ import annotations

import functools
import importlib
import re
import threading
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np
from numba import config

from numbanet.errors import DeviceError

if TYPE_CHECKING:
    from numbanet.runtime.cuda.device import CudaDevice

_PACKAGES = ("numba-cuda", "cuda-bindings", "cuda-core")
_INSTALL = (
    'Install it with pip install "numbanet[cuda]", or "numbanet[cuda12]" where the NVIDIA '
    "driver is one of CUDA 12"
)
_LAST_BROKEN_BY_NUMPY_2_5 = (0, 30, 4)
_OPENING = threading.Lock()


def is_available() -> bool:
    """Whether `open_device` gives a device."""
    try:
        open_device()
    except DeviceError:
        return False
    return True


def open_device() -> CudaDevice:
    """The CUDA device of this process: the first GPU, or with ``NUMBA_ENABLE_CUDASIM=1`` the
    simulator.

    Raises
    ------
    DeviceError
        If there is none, with what to install or to update.
    """
    # Two threads that ask at once must not open it twice.
    with _OPENING:
        return _open()


@functools.cache
def _open() -> CudaDevice:
    if is_simulated():
        # Not at the top, here and below: with missing packages the imports would fail.
        from numbanet.runtime.cuda.device import CudaDevice
        from numbanet.runtime.cuda.simulated import SimulatorDriver

        return CudaDevice(SimulatorDriver())
    require_packages()
    require_driver()
    from numbanet.runtime.cuda.device import CudaDevice
    from numbanet.runtime.cuda.real import RealDriver

    return CudaDevice(RealDriver())


def is_simulated() -> bool:
    return bool(config.ENABLE_CUDASIM)  # pyright: ignore[reportAttributeAccessIssue]


def require_packages() -> None:
    """Raise DeviceError unless the Python packages are here and go together."""
    versions = {name: installed_version(name) for name in _PACKAGES}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        raise DeviceError(
            f"CUDA support is not installed: {', '.join(missing)} not found", mend=_INSTALL
        )
    numba_cuda = versions["numba-cuda"]
    is_broken = numba_cuda is not None and numba_cuda <= _LAST_BROKEN_BY_NUMPY_2_5
    if is_broken and _numbers(np.__version__) >= (2, 5):
        raise DeviceError(
            "numba-cuda up to 0.30.4 cannot be imported with NumPy 2.5 or later",
            got=f"NumPy {np.__version__}",
            mend='Downgrade with pip install "numpy<2.5"',
        )


def require_driver() -> None:
    """Raise DeviceError unless there is an NVIDIA driver as new as the installed toolkit."""
    driver = importlib.import_module("cuda.bindings.driver")
    try:
        status, version = driver.cuDriverGetVersion()
    except RuntimeError as error:
        raise DeviceError(
            "there is no NVIDIA driver here", mend='Install one, or use device="cpu"'
        ) from error
    if status != driver.CUresult.CUDA_SUCCESS:
        raise DeviceError(f"the NVIDIA driver does not answer: {status.name}")
    toolkit = installed_version("cuda-bindings") or (0,)
    if version // 1000 < toolkit[0]:
        raise DeviceError(
            "the NVIDIA driver is older than the installed CUDA packages",
            got=f"a driver of CUDA {version // 1000}.{version % 1000 // 10}",
            expected=f"CUDA {toolkit[0]} or later",
            mend='Update the driver, or install "numbanet[cuda12]"',
        )


def installed_version(package: str) -> tuple[int, ...] | None:
    """The version's leading numbers, or None if the package is not installed."""
    try:
        return _numbers(metadata.version(package))
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
