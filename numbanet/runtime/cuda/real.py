"""The driver below a real device: NVIDIA's, through cuda.bindings.

Launches are packed once: a launch is one call with the addresses of its parameters. Numba's
own CUDA context is never used; a process needs Numba only to compile what is not yet cached.
"""

from __future__ import annotations

import ctypes
import importlib
import weakref
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from numbanet.errors import DeviceError, OutOfMemoryError
from numbanet.kernels.cuda.cache import cached_cubin
from numbanet.kernels.kernel import Kernel
from numbanet.runtime.cuda.driver import Driver, Launcher

_PARAMETERS: dict[str, Any] = {
    "int32": ctypes.c_int32,
    "uint32": ctypes.c_uint32,
    "int64": ctypes.c_int64,
    "uint64": ctypes.c_uint64,
    "float32": ctypes.c_float,
    "float64": ctypes.c_double,
}

_SHARED_BYTES_WITHOUT_ASKING = 48 * 1024


class RealDriver(Driver):
    """A GPU, its primary context and a stream of its own.

    Parameters
    ----------
    ordinal : int
        Which GPU.
    """

    def __init__(self, ordinal: int = 0) -> None:
        self._api: Any = importlib.import_module("cuda.bindings.driver")
        self._check(self._api.cuInit(0))
        self._device = self._check(self._api.cuDeviceGet(ordinal))
        self._context = self._check(self._api.cuDevicePrimaryCtxRetain(self._device))
        self.make_current()
        flags = self._api.CUstream_flags.CU_STREAM_NON_BLOCKING
        self._stream = self._check(self._api.cuStreamCreate(flags.value))
        self._functions: dict[Kernel, Any] = {}
        name: bytes = self._check(self._api.cuDeviceGetName(256, self._device))
        self.description = name.split(b"\0")[0].decode()
        self.compute_capability = (self._attribute("MAJOR"), self._attribute("MINOR"))

    def make_current(self) -> None:
        self._check(self._api.cuCtxSetCurrent(self._context))

    def memory_info(self) -> tuple[int, int]:
        return self._check(self._api.cuMemGetInfo())

    def allocate(self, nbytes: int) -> int:
        return int(self._check(self._api.cuMemAlloc(nbytes)))

    def free(self, address: int) -> None:
        self._check(self._api.cuMemFree(address))

    def zero(self, address: int, nbytes: int) -> None:
        if nbytes:
            self._check(self._api.cuMemsetD8Async(address, 0, nbytes, self._stream))

    def upload(self, address: int, array: np.ndarray) -> None:
        # From pageable memory the call returns once the driver has its own copy.
        if array.nbytes:
            source = array.ctypes.data
            self._check(
                self._api.cuMemcpyHtoDAsync(address, source, array.nbytes, self._stream)
            )

    def download(self, address: int, array: np.ndarray) -> None:
        if array.nbytes:
            target = array.ctypes.data
            self._check(
                self._api.cuMemcpyDtoHAsync(target, address, array.nbytes, self._stream)
            )
        self.synchronise()

    def prepare(self, kernel: Kernel, arguments: Sequence[int | float], tiles: int) -> Launcher:
        function = self._function(kernel)
        packed = _Parameters(kernel, arguments)
        launch, stream, check = self._api.cuLaunchKernel, self._stream, self._check
        threads, shared = kernel.threads, kernel.shared_bytes

        def launcher() -> None:
            check(
                launch(function, tiles, 1, 1, threads, 1, 1, shared, stream, packed.address, 0)
            )

        return launcher

    def capture(self, launchers: Sequence[Launcher]) -> Launcher:
        mode = self._api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
        self._check(self._api.cuStreamBeginCapture(self._stream, mode))
        try:
            for launcher in launchers:
                launcher()
        finally:
            # Also after an error: a stream that is still capturing can do nothing else.
            ended = self._api.cuStreamEndCapture(self._stream)
        graph = self._check(ended)
        try:
            executable = self._check(self._api.cuGraphInstantiate(graph, 0))
        finally:
            self._check(self._api.cuGraphDestroy(graph))
        launch, stream, check = self._api.cuGraphLaunch, self._stream, self._check

        def replay() -> None:
            check(launch(executable, stream))

        weakref.finalize(replay, self._api.cuGraphExecDestroy, executable).atexit = False
        return replay

    def time(self, launchers: Sequence[Launcher]) -> list[float]:
        """By events between the launches: the GPU's own clock, without Python's part."""
        events = [self._check(self._api.cuEventCreate(0)) for _ in range(len(launchers) + 1)]
        try:
            self._check(self._api.cuEventRecord(events[0], self._stream))
            for launcher, event in zip(launchers, events[1:], strict=True):
                launcher()
                self._check(self._api.cuEventRecord(event, self._stream))
            self.synchronise()
            return [
                float(self._check(self._api.cuEventElapsedTime(start, end))) / 1e3
                for start, end in pairwise(events)
            ]
        finally:
            for event in events:
                self._check(self._api.cuEventDestroy(event))

    def synchronise(self) -> None:
        self._check(self._api.cuStreamSynchronize(self._stream))

    def _function(self, kernel: Kernel) -> Any:
        """The loaded function of ``kernel``; cubins stay loaded as long as the process runs."""
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

    def _check(self, result: tuple[Any, ...]) -> Any:
        """What a call of the driver returned besides its status; raises if that is bad."""
        status, *values = result
        if status != self._api.CUresult.CUDA_SUCCESS:
            raise self._error(status)
        if not values:
            return None
        return values[0] if len(values) == 1 else tuple(values)

    def _error(self, status: Any) -> DeviceError:
        _, text = self._api.cuGetErrorString(status)
        message = text.decode() if text else "unknown error"
        codes = self._api.CUresult
        if status == codes.CUDA_ERROR_OUT_OF_MEMORY:
            return OutOfMemoryError("the GPU's memory is full")
        if status == codes.CUDA_ERROR_NO_DEVICE:
            return DeviceError("there is no NVIDIA GPU here", mend='Use device="cpu"')
        return DeviceError(f"the CUDA driver reports: {message} ({status.name})")


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
