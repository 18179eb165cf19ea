"""Numbers shared with other libraries, by DLPack."""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet.errors import ArgumentError, DTypeError
from numbanet.runtime.host import aligned_copy
from numbanet.tensors.tensor import Tensor

_CPU = (1, 0)
"""DLPack's name of the memory that arrays of the host are in."""


def to_dlpack(tensor: Tensor, **options: Any) -> Any:
    """A capsule with a copy of a tensor's numbers: ``tensor.__dlpack__()``.

    Parameters
    ----------
    **options
        Those of the protocol: ``stream``, ``max_version``, ``dl_device``, ``copy``.

    Raises
    ------
    ArgumentError
        If the tensor requires gradients: they would not follow.
    """
    return _exported(tensor).__dlpack__(**_understood(options))


def _exported(tensor: Tensor) -> np.ndarray:
    if tensor.requires_grad:
        raise ArgumentError(
            "exporting a tensor that requires gradients", mend="Use tensor.detach()"
        )
    # Whoever receives the numbers may write to them.
    return tensor.numpy()


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
    """Where the numbers are exported: on the host."""
    return _CPU


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor with a copy of the numbers of another library's.

    Parameters
    ----------
    ext_tensor : object
        With the methods ``__dlpack__`` and ``__dlpack_device__``, its numbers on the host.

    Raises
    ------
    ArgumentError, DTypeError
        If it is no such object, or on another device, or of an unknown dtype.
    """
    device = getattr(ext_tensor, "__dlpack_device__", None)
    if device is None:
        raise DTypeError("from_dlpack() takes a tensor", got=type(ext_tensor).__name__)
    if next(iter(device())) != _CPU[0]:
        raise ArgumentError("numbers on another device than the host", got=str(device()))
    return Tensor.wrap(aligned_copy(np.from_dlpack(ext_tensor)))
