"""Numbers shared with other libraries, by DLPack and ``__cuda_array_interface__``.

A tensor that shows a variable which lives on a GPU is lent where it lies; all others have their
numbers on the host, and a copy is lent. What comes from a GPU is copied there, into a variable.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet.errors import ArgumentError, DTypeError
from numbanet.ir import DType
from numbanet.ir.resident import is_foreign
from numbanet.runtime import Device
from numbanet.runtime.host import aligned_copy
from numbanet.tensors.flush import device as default_device
from numbanet.tensors.flush import settle_variable
from numbanet.tensors.tensor import Tensor

_CPU = (1, 0)
"""DLPack's name of the memory that arrays of the host are in."""


def to_dlpack(tensor: Tensor, **options: Any) -> Any:
    """A capsule with a copy of a tensor's numbers, or with those that are on a GPU themselves:
    ``tensor.__dlpack__()``.

    Parameters
    ----------
    **options
        Those of the protocol: ``stream``, ``max_version``, ``dl_device``, ``copy``.

    Raises
    ------
    ArgumentError
        If the tensor requires gradients: they would not follow.
    """
    _require_no_gradients(tensor)
    lent = _lent(tensor)
    if lent is not None:
        return lent.__dlpack__(**options)
    # Whoever receives the numbers may write to them.
    return tensor.numpy().__dlpack__(**_understood(options))


def cuda_array_interface(tensor: Tensor) -> dict[str, Any]:
    """``tensor.__cuda_array_interface__``; AttributeError where it is not on a GPU."""
    lent = _lent(tensor)
    if lent is None:
        raise AttributeError("the tensor's numbers are on the host")
    _require_no_gradients(tensor)
    return lent.__cuda_array_interface__


def _require_no_gradients(tensor: Tensor) -> None:
    if tensor.requires_grad:
        raise ArgumentError(
            "exporting a tensor that requires gradients", mend="Use tensor.detach()"
        )


def _lent(tensor: Tensor) -> Any:
    """The numbers where they lie on a device, if they do."""
    variable = tensor.variable
    if variable is None or variable.layout is not None:
        return None
    if not isinstance(variable.home, Device):
        return None
    settle_variable(variable)
    return variable.home.lend(variable)


def _understood(options: dict[str, Any]) -> dict[str, Any]:
    """What this version of NumPy takes; a copy is what it gets in any case."""
    if options.get("copy") is False:
        raise ArgumentError("exporting numbers without a copy", mend="Leave copy=False out")
    if options.get("dl_device") not in (None, _CPU):
        raise ArgumentError("exporting to another device than the host")
    known = (
        {"stream"}
        if np.lib.NumpyVersion(np.__version__) < "2.1.0"
        else {
            "stream",
            "max_version",
        }
    )
    return {name: value for name, value in options.items() if name in known}


def dlpack_device(tensor: Tensor) -> tuple[int, int]:
    """Where the numbers are exported: on the GPU where they lie, or on the host."""
    lent = _lent(tensor)
    return _CPU if lent is None else lent.__dlpack_device__()


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor with a copy of the numbers of another library's.

    Parameters
    ----------
    ext_tensor : object
        With the methods ``__dlpack__`` and ``__dlpack_device__``. Numbers on the GPU that
        computes are copied there.

    Raises
    ------
    ArgumentError, DTypeError
        If it is no such object, or of an unknown dtype.
    DeviceError
        If it is on another device.
    """
    device = getattr(ext_tensor, "__dlpack_device__", None)
    if device is None:
        raise DTypeError("from_dlpack() takes a tensor", got=type(ext_tensor).__name__)
    if is_foreign(ext_tensor):
        return from_device(ext_tensor)
    return Tensor.wrap(aligned_copy(np.from_dlpack(ext_tensor)))


def from_device(array: Any, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy, on the device that computes, of another library's array there."""
    device = default_device()
    data = device.borrow(array)
    if dtype is not None and dtype is not data.type.dtype:
        data = data.astype(dtype.numpy)
    return Tensor.of_variable(device.copied(data), requires_grad)
