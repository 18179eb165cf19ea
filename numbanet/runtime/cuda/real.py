"""The driver below a real device: NVIDIA's, through cuda.bindings.

Launches are packed once: a launch is one call with the addresses of its parameters. Numba's
own CUDA context is never used; a process needs Numba only to compile what is not yet cached.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import weakref
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from numbanet.errors import DeviceError, OutOfMemoryError
from numbanet.kernels.cuda.cache import cached_cubin
from numbanet.kernels.cuda.compile import OLDEST
from numbanet.kernels.kernel import Kernel
from numbanet.runtime.cuda.driver import Driver, Graph, Launcher, Mark, Packed
from numbanet.runtime.cuda.lanes import LaneStreams
from numbanet.runtime.cuda.staging import CopyStream

_PARAMETERS: dict[str, Any] = {
    "int32": ctypes.c_int32,
    "uint32": ctypes.c_uint32,
    "int64": ctypes.c_int64,
    "uint64": ctypes.c_uint64,
    "float32": ctypes.c_float,
    "float64": ctypes.c_double,
}

_SHARED_BYTES_WITHOUT_ASKING = 48 * 1024

_FATAL = frozenset(
    f"CUDA_ERROR_{name}"
    for name in (
        "ASSERT",
        "CONTAINED",
        "CONTEXT_IS_DESTROYED",
        "DEVICE_UNAVAILABLE",
        "ECC_UNCORRECTABLE",
        "EXTERNAL_DEVICE",
        "HARDWARE_STACK_ERROR",
        "ILLEGAL_ADDRESS",
        "ILLEGAL_INSTRUCTION",
        "INVALID_ADDRESS_SPACE",
        "INVALID_PC",
        "LAUNCH_FAILED",
        "LAUNCH_TIMEOUT",
        "MISALIGNED_ADDRESS",
        "MPS_CLIENT_TERMINATED",
        "NVLINK_UNCORRECTABLE",
        "TENSOR_MEMORY_LEAK",
        "UNKNOWN",
    )
)
"""After one of these every call of the process fails alike."""


class RealDriver(Driver):
    """A GPU, its primary context, a stream of its own, and more for uploads and for lanes.

    Parameters
    ----------
    ordinal : int
        Which GPU.
    """

    def __init__(self, ordinal: int = 0) -> None:
        super().__init__()
        self._lost: str | None = None
        self._api: Any = importlib.import_module("cuda.bindings.driver")
        self._check(self._api.cuInit(0))
        self.ordinal = ordinal
        self._device = self._check(self._api.cuDeviceGet(ordinal))
        name: bytes = self._check(self._api.cuDeviceGetName(256, self._device))
        self.description = name.split(b"\0")[0].decode()
        self.compute_capability = (self._attribute("MAJOR"), self._attribute("MINOR"))
        self._require_new_gpu()
        # Other libraries use the primary context, too: so addresses can be shared with them.
        self._context = self._check(self._api.cuDevicePrimaryCtxRetain(self._device))
        self._functions: dict[Kernel, Any] = {}
        with self:
            flags = self._api.CUstream_flags.CU_STREAM_NON_BLOCKING
            self._main = self._check(self._api.cuStreamCreate(flags.value))
            self.stream = int(self._main)
            self._copies = CopyStream(self._api, self._check, self._main)
            self._lanes = LaneStreams(self._api, self._check, self._main)
            self._point = self.mark()

    def push(self) -> None:
        if self._lost is not None:
            raise self._is_lost()
        self._check(self._api.cuCtxPushCurrent(self._context))

    def pop(self) -> None:
        # Unchecked: what was worth an error has had one, and a lost context comes off, too.
        self._api.cuCtxPopCurrent()

    def memory_info(self) -> tuple[int, int]:
        self.free_returned()
        return self._check(self._api.cuMemGetInfo())

    def allocate(self, nbytes: int) -> int:
        self.free_returned()
        return int(self._check(self._api.cuMemAlloc(nbytes)))

    def free(self, address: int) -> None:
        # cuMemFree "may" wait for the work that uses the memory, so somebody has to.
        self.synchronise()
        self._check(self._api.cuMemFree(address))

    def free_returned(self) -> None:
        try:
            super().free_returned()
        except DeviceError:
            # With a lost context its memory is gone: that is no news to a garbage collector.
            if self._lost is None:
                raise
            self._returned.clear()

    def zero(self, address: int, nbytes: int) -> None:
        if nbytes:
            self._check(self._api.cuMemsetD8Async(address, 0, nbytes, self._main))

    def upload(self, address: int, array: np.ndarray, after: Mark | None = None) -> None:
        if array.nbytes:
            self._copies.send(address, array, None if after is None else after.handle)

    def copy(self, to: int, address: int, nbytes: int) -> None:
        if nbytes:
            self._check(self._api.cuMemcpyDtoDAsync(to, address, nbytes, self._main))

    def download(self, address: int, array: np.ndarray) -> None:
        if array.nbytes:
            target = array.ctypes.data
            self._check(self._api.cuMemcpyDtoHAsync(target, address, array.nbytes, self._main))
        self.synchronise()

    def prepare(self, kernel: Kernel, arguments: Sequence[int | float], tiles: int) -> Launcher:
        function = self.load(kernel)
        packed = _Parameters(kernel, arguments)
        launch, streams, check = self._api.cuLaunchKernel, self._lanes.streams, self._check
        sizes = (tiles, 1, 1, kernel.threads, 1, 1, kernel.shared_bytes)

        def launcher(lane: int) -> None:
            check(launch(function, *sizes, streams[lane], packed.address, 0))

        return launcher

    def capture(self, step: Sequence[Packed], times: int = 1) -> Graph:
        graph = self._capture(step, times)
        try:
            executable = self._check(self._api.cuGraphInstantiate(graph, 0))
        finally:
            self._check(self._api.cuGraphDestroy(graph))
        launch, stream, check = self._api.cuGraphLaunch, self._main, self._check

        def replay() -> None:
            check(launch(executable, stream))

        # A graph that is being run is destroyed when it is done.
        destroy = self._api.cuGraphExecDestroy
        weakref.finalize(replay, self.destroy, destroy, executable).atexit = False
        return replay

    def _capture(self, step: Sequence[Packed], times: int) -> Any:
        self._lanes.open(step)
        # Relaxed: what other threads do with streams of their own is no concern of this.
        mode = self._api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
        self.is_capturing = True
        try:
            self._check(self._api.cuStreamBeginCapture(self._main, mode))
            try:
                for _ in range(times):
                    self._lanes.play(step)
            finally:
                # Also after an error: a stream that is still capturing can do nothing else.
                ended = self._api.cuStreamEndCapture(self._main)
            return self._check(ended)
        finally:
            self.is_capturing = False

    def mark(self, mark: Mark | None = None) -> Mark:
        if mark is None:
            timeless = self._api.CUevent_flags.CU_EVENT_DISABLE_TIMING
            handle = self._check(self._api.cuEventCreate(timeless.value))
            mark = _Event(handle)
            destroy = self._api.cuEventDestroy
            weakref.finalize(mark, self.destroy, destroy, handle).atexit = False
        self._check(self._api.cuEventRecord(mark.handle, self._main))
        return mark

    def destroy(self, function: Callable[[Any], Any], handle: Any) -> None:
        """Destroy something, from wherever the garbage collector runs.

        What is in use goes once it is not: so nothing waits. What fails is lost anyway.
        """
        if self._lost is None and self._process == os.getpid():
            self._api.cuCtxPushCurrent(self._context)
            function(handle)
            self._api.cuCtxPopCurrent()

    def is_past(self, mark: Mark) -> bool:
        (status,) = self._api.cuEventQuery(mark.handle)
        if status == self._api.CUresult.CUDA_ERROR_NOT_READY:
            return False
        self._check((status,))
        return True

    def time(self, launchers: Sequence[Launcher]) -> list[float]:
        """By events between the launches: the GPU's own clock, without Python's part."""
        events = [self._check(self._api.cuEventCreate(0)) for _ in range(len(launchers) + 1)]
        try:
            self._check(self._api.cuEventRecord(events[0], self._main))
            for launcher, event in zip(launchers, events[1:], strict=True):
                launcher(0)
                self._check(self._api.cuEventRecord(event, self._main))
            self.synchronise()
            return [
                float(self._check(self._api.cuEventElapsedTime(start, end))) / 1e3
                for start, end in pairwise(events)
            ]
        finally:
            for event in events:
                self._check(self._api.cuEventDestroy(event))

    def synchronise(self) -> None:
        self._check(self._api.cuStreamSynchronize(self._main))

    def load(self, kernel: Kernel) -> Any:
        """The function of ``kernel``; cubins stay loaded as long as the process runs."""
        if kernel not in self._functions:
            cubin = cached_cubin(kernel, self.compute_capability)
            module = self._check(self._api.cuModuleLoadData(cubin.code))
            function = self._check(self._api.cuModuleGetFunction(module, cubin.entry.encode()))
            if kernel.shared_bytes > _SHARED_BYTES_WITHOUT_ASKING:
                attribute = self._api.CUfunction_attribute
                most = attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
                self._check(self._api.cuFuncSetAttribute(function, most, kernel.shared_bytes))
            self._functions[kernel] = function
        return self._functions[kernel]

    def _attribute(self, part: str) -> int:
        attributes = self._api.CUdevice_attribute
        attribute = getattr(attributes, f"CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_{part}")
        return self._check(self._api.cuDeviceGetAttribute(attribute, self._device))

    def follow(self, stream: int) -> None:
        self._check(self._api.cuEventRecord(self._point.handle, stream))
        self._check(self._api.cuStreamWaitEvent(self._main, self._point.handle, 0))

    def precede(self, stream: int) -> None:
        self.mark(self._point)
        self._check(self._api.cuStreamWaitEvent(stream, self._point.handle, 0))

    def owner_of(self, address: int) -> int | None:
        about = self._api.CUpointer_attribute
        status, kind = self._api.cuPointerGetAttribute(
            about.CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address
        )
        if status == self._api.CUresult.CUDA_ERROR_INVALID_VALUE:
            return None  # memory that CUDA has never heard of
        self._check((status,))
        if int(kind) != int(self._api.CUmemorytype.CU_MEMORYTYPE_DEVICE):
            return None
        ordinal = about.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
        return int(self._check(self._api.cuPointerGetAttribute(ordinal, address)))

    def _require_new_gpu(self) -> None:
        if self.compute_capability < OLDEST:
            raise DeviceError(
                f"the GPU, {self.description}, is too old",
                got="compute capability {}.{}".format(*self.compute_capability),
                expected="{}.{} or later".format(*OLDEST),
                mend='Use device="cpu"',
            )

    def _check(self, result: tuple[Any, ...]) -> Any:
        """What a call of the driver returned besides its status; raises if that is bad."""
        status, *values = result
        if status != self._api.CUresult.CUDA_SUCCESS:
            raise self._error(status)
        if not values:
            return None
        return values[0] if len(values) == 1 else tuple(values)

    def _error(self, status: Any) -> DeviceError:
        codes = self._api.CUresult
        if status == codes.CUDA_ERROR_OUT_OF_MEMORY:
            return OutOfMemoryError(
                "the GPU's memory is full",
                mend="Make the batch smaller, or end other processes that use the GPU",
            )
        if status == codes.CUDA_ERROR_NO_DEVICE:
            return DeviceError("there is no NVIDIA GPU here", mend='Use device="cpu"')
        _, text = self._api.cuGetErrorString(status)
        message = f"{text.decode() if text else 'unknown error'} ({status.name})"
        if status.name in _FATAL:
            self._lost = message
            return self._is_lost()
        return DeviceError(f"the CUDA driver reports: {message}")

    def _is_lost(self) -> DeviceError:
        return DeviceError(
            f"the GPU was lost: {self._lost}",
            mend="Start the process again, from the last checkpoint: the numbers on the GPU "
            "are gone, and this process cannot use it any more",
        )


class _Event:
    def __init__(self, handle: Any) -> None:
        self.handle = handle


class _Parameters:
    """Parameters of one launch as the driver reads them: an array of their addresses."""

    def __init__(self, kernel: Kernel, arguments: Sequence[int | float]) -> None:
        self._values = [
            _PARAMETERS["uint64" if name.endswith("*") else name](argument)
            for name, argument in zip(kernel.signature, arguments, strict=True)
        ]
        pointers = [ctypes.addressof(value) for value in self._values]
        self._pointers = (ctypes.c_void_p * len(pointers))(*pointers)
        self.address = ctypes.addressof(self._pointers)
