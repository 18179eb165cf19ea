"""Devices: where programs run."""

from __future__ import annotations

import functools

from numbanet.errors import ArgumentError
from numbanet.runtime.device import Device, Executable

__all__ = ["Device", "Executable", "get_device"]


def get_device(name: str | Device | None = None) -> Device:
    """The device called ``name``, the same object every time.

    Parameters
    ----------
    name : {"cpu", "cuda"} or Device, optional
        By default ``"cuda"`` where there is a GPU that can be used, else ``"cpu"``.

    Raises
    ------
    DeviceError
        If ``"cuda"`` is asked for where no GPU can be used; it says what to install.
    ArgumentError
        If there is no device of that name.
    """
    if isinstance(name, Device):
        return name
    if name is None:
        name = "cuda" if _has_cuda() else "cpu"
    if name == "cpu":
        return _cpu()
    if name == "cuda":
        return _cuda()
    raise ArgumentError("unknown device", got=repr(name), expected="'cpu' or 'cuda'")


def _has_cuda() -> bool:
    from numbanet.runtime import cuda

    return cuda.is_available()


# Devices are imported when they are asked for: each brings a compiler's worth of modules.


@functools.cache
def _cpu() -> Device:
    from numbanet.runtime.cpu import CpuDevice

    return CpuDevice()


@functools.cache
def _cuda() -> Device:
    from numbanet.runtime import cuda

    return cuda.open_device()
