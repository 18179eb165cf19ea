"""Arrays in device memory: numbanet's own, and other libraries' without a copy.

Other libraries' come and go by DLPack, or by ``__cuda_array_interface__`` (version 3). Work of
two streams is ordered by events: ours waits for what the owner has put on its stream before,
and the owner's waits for ours before it goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError, DeviceError, ShapeError
from numbanet.ir import DType, TensorType
from numbanet.ir.resident import Typed
from numbanet.runtime.cuda import dlpack
from numbanet.runtime.cuda.driver import Driver
from numbanet.runtime.cuda.memory import Block

VECTOR_BYTES = 16
"""What kernels load at once, and so where arrays begin."""

LEGACY_STREAM = 1
"""What both protocols, and the driver, call the default stream."""


class DeviceArray(Typed):
    """Contiguous numbers on a GPU, which other libraries can use where they lie.

    ``cupy.asarray(array)``, ``torch.from_dlpack(array)`` and their like copy nothing. What
    they see changes when a program writes there again.

    Attributes
    ----------
    address : int
    type : TensorType
    """

    def __init__(
        self, driver: Driver, address: int, type_: TensorType, owner: object, stream: int = 0
    ) -> None:
        self.address, self.type = address, type_
        self.driver, self._owner = driver, owner
        self.stream = stream
        """Of the library that owns it, to be waited for; 0 for our own."""

    def numpy(self) -> np.ndarray:
        """A copy on the host."""
        array = np.empty(self.shape, self.dtype)
        with self.driver:
            self.driver.download(self.address, array)
        return array

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address if self.type.size else 0, False),
            "version": 3,
            "strides": None,
            "stream": self.driver.stream or LEGACY_STREAM,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return dlpack.CUDA, self.driver.ordinal

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A capsule of the numbers where they lie; ``stream`` waits for the work on them."""
        if copy or dl_device not in (None, self.__dlpack_device__()):
            raise BufferError("only numbers on the GPU, and not copied, can be exported")
        if stream != -1:
            with self.driver:
                self.driver.precede(LEGACY_STREAM if stream is None else stream)
        return dlpack.export(self, self.address, self.shape, self.dtype, self.driver.ordinal)


def put(driver: Driver, array: np.ndarray) -> DeviceArray:
    """A copy of a host array on the device."""
    numbers = np.ascontiguousarray(array).reshape(array.shape)
    type_ = TensorType(numbers.shape, DType.of(numbers.dtype))
    with driver:
        block = Block(driver, type_.nbytes)
        driver.upload(block.address, numbers)
    return DeviceArray(driver, block.address, type_, block)


def aligned(array: DeviceArray) -> DeviceArray:
    """``array``, or a copy where it does not begin where kernels can load from."""
    if array.address % VECTOR_BYTES == 0:
        return array
    block = copy(array)
    return DeviceArray(array.driver, block.address, array.type, block)


def copy(array: DeviceArray) -> Block:
    """Memory of our own with the same numbers."""
    driver = array.driver
    with driver:
        block = Block(driver, array.nbytes)
        if array.stream:
            driver.follow(array.stream)
        driver.copy(block.address, array.address, array.nbytes)
        if array.stream:
            driver.precede(array.stream)
    return block


def adopt(driver: Driver, array: Any) -> DeviceArray:
    """Another library's array, where it lies.

    Raises
    ------
    ArgumentError
        If the library does not lend it, as with a tensor that requires gradients.
    DeviceError
        If it is in another device's memory.
    ShapeError
        If its elements are not next to each other.
    """
    if isinstance(array, DeviceArray) and array.driver is driver:
        return array
    with driver:
        adopted = _adopted(driver, array)
        if adopted.nbytes:
            owner = driver.owner_of(adopted.address)
            if owner != driver.ordinal:
                where = "the host's memory" if owner is None else f"GPU {owner}"
                raise _elsewhere(driver, where)
    return adopted


def _adopted(driver: Driver, array: Any) -> DeviceArray:
    if hasattr(array, "__dlpack_device__"):
        kind, number = array.__dlpack_device__()
        if (int(kind), int(number)) != (dlpack.CUDA, driver.ordinal):
            raise _elsewhere(driver, f"DLPack's device ({int(kind)}, {int(number)})")
    interface = _asked(array, lambda: getattr(array, "__cuda_array_interface__", {}))
    # Whoever names no stream of its own knows better which one it is by DLPack.
    if interface.get("stream") or not hasattr(array, "__dlpack__"):
        return _by_interface(driver, array, interface)
    return _by_dlpack(driver, array)


def _asked(array: Any, question: Callable[[], Any]) -> Any:
    """What the library answers that owns ``array``."""
    try:
        return question()
    except (BufferError, RuntimeError) as error:
        raise ArgumentError(
            f"a {type(array).__name__} on the GPU is not lent", got=str(error)
        ) from error


def _by_interface(driver: Driver, array: Any, found: dict[str, Any]) -> DeviceArray:
    dtype = np.dtype(found["typestr"])
    shape, strides = tuple(found["shape"]), found.get("strides")
    if found.get("mask") is not None:
        raise ArgumentError("an array with a mask")
    _require_contiguous(shape, strides, dtype.itemsize)
    # None says that there is nothing to wait for. Older versions do not speak of streams.
    stream = found.get("stream") or LEGACY_STREAM
    type_ = TensorType(shape, DType.of(dtype))
    address = int(found["data"][0] or 0)
    return DeviceArray(driver, address, type_, array, stream)


def _by_dlpack(driver: Driver, array: Any) -> DeviceArray:
    # The owner lets our stream wait for its own.
    stream = driver.stream or LEGACY_STREAM
    found = dlpack.import_from(_asked(array, lambda: array.__dlpack__(stream=stream)))
    if found.device != (dlpack.CUDA, driver.ordinal):
        raise _elsewhere(driver, str(found.device))
    _require_contiguous(found.shape, found.byte_strides, found.dtype.itemsize)
    type_ = TensorType(found.shape, DType.of(found.dtype))
    return DeviceArray(driver, found.address, type_, found, LEGACY_STREAM)


def _require_contiguous(
    shape: tuple[int, ...], strides: tuple[int, ...] | None, itemsize: int
) -> None:
    if strides is None:
        return
    step = itemsize
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != step and 0 not in shape:
            raise ShapeError(
                "an array on the GPU is not contiguous",
                got=f"strides {tuple(strides)} of shape {shape}",
                mend="Make it contiguous first",
            )
        step *= size


def require_aligned(array: DeviceArray) -> None:
    """Raise ShapeError where kernels cannot load from the array's beginning."""
    if array.nbytes and array.address % VECTOR_BYTES:
        raise ShapeError(
            "an array on the GPU is not aligned",
            got=f"address {array.address:#x}",
            expected=f"a multiple of {VECTOR_BYTES}",
            mend="Copy it into memory of its own first",
        )


def _elsewhere(driver: Driver, where: str) -> DeviceError:
    return DeviceError(
        "an array is in another device's memory",
        got=where,
        expected=f"GPU {driver.ordinal}, {driver.description}",
        mend="Move it there, or to the host",
    )
