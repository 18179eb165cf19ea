"""DLPack capsules of memory on GPUs, in and out, by their C structures.

https://dmlc.github.io/dlpack: version 0.8, which consumers of version 1 take, too.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError, DTypeError

CUDA = 2
"""DLPack's name of a GPU's memory."""

_CODES = {"i": 0, "u": 1, "f": 2, "b": 6}
_KINDS = {code: kind for kind, code in _CODES.items()}
_NAME, _USED = b"dltensor", b"used_dltensor"


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    _fields_ = (
        ("tensor", _Tensor),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


_DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_DESTRUCTOR = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)

_EXPORTED: dict[int, tuple[Any, ...]] = {}
"""What capsules point to, by address, until their consumers are done."""


def _python(name: str, result: Any, *arguments: Any) -> Any:
    """A function of Python's own, with prototypes that no other module can change."""
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


_new = _python("PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, _DESTRUCTOR)
_pointer = _python("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
_is_named = _python("PyCapsule_IsValid", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)
_rename = _python("PyCapsule_SetName", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)
# Of a capsule that is being destroyed, and must not be counted again.
_dying_is_named = _python("PyCapsule_IsValid", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
_dying_pointer = _python(
    "PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p
)


@_DELETER
def _delete(address: int) -> None:
    _EXPORTED.pop(address, None)


@_DESTRUCTOR
def _drop(capsule: int) -> None:
    """A capsule that nobody took still has its name."""
    if _dying_is_named(capsule, _NAME):
        _EXPORTED.pop(_dying_pointer(capsule, _NAME), None)


def export(
    owner: object, address: int, shape: tuple[int, ...], dtype: np.dtype, ordinal: int
) -> Any:
    """A capsule of contiguous numbers at ``address``; ``owner`` lives until it is done with."""
    sizes = (ctypes.c_int64 * len(shape))(*shape)
    tensor = _Tensor(
        data=address,
        device_type=CUDA,
        device_id=ordinal,
        ndim=len(shape),
        code=_CODES[dtype.kind],
        bits=dtype.itemsize * 8,
        lanes=1,
        shape=sizes,
        strides=None,  # contiguous
        byte_offset=0,
    )
    managed = _Managed(tensor, None, ctypes.cast(_delete, ctypes.c_void_p))
    place = ctypes.addressof(managed)
    _EXPORTED[place] = (managed, sizes, owner)
    return _new(place, _NAME, _drop)


class Imported:
    """Another library's array; it is told when nobody holds this any more.

    Attributes
    ----------
    address : int
    device : tuple of int
        Kind and number.
    shape : tuple of int
    byte_strides : tuple of int or None
        None for contiguous numbers.
    dtype : numpy.dtype
    """

    def __init__(self, place: int) -> None:
        managed = _Managed.from_address(place)
        if managed.deleter:
            delete = _DELETER(managed.deleter)
            weakref.finalize(self, delete, place).atexit = False
        tensor = managed.tensor
        self.dtype = _dtype(tensor)
        self.address = (tensor.data or 0) + tensor.byte_offset
        self.device = (tensor.device_type, tensor.device_id)
        self.shape = tuple(tensor.shape[: tensor.ndim])
        self.byte_strides = None
        if tensor.strides:
            strides = tensor.strides[: tensor.ndim]
            self.byte_strides = tuple(each * self.dtype.itemsize for each in strides)


def import_from(capsule: Any) -> Imported:
    """What a capsule holds, which nobody else can take from now on."""
    if not _is_named(capsule, _NAME):
        raise ArgumentError("no DLPack capsule, or one that was taken", got=repr(capsule))
    place = _pointer(capsule, _NAME)
    _rename(capsule, _USED)
    return Imported(place)


def _dtype(tensor: _Tensor) -> np.dtype:
    kind = _KINDS.get(tensor.code)
    if kind is None or tensor.lanes != 1 or tensor.bits % 8:
        raise DTypeError(
            "an array's dtype is none of numbanet's",
            got=f"DLPack code {tensor.code}, {tensor.bits} bits, {tensor.lanes} lanes",
        )
    return np.dtype(f"{kind}{tensor.bits // 8}")
