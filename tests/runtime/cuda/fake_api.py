"""A driver without a GPU: `cuda.bindings.driver`, whose functions keep the rules and compute
nothing.

Names, numbers of arguments and enumerations are those of the real module. A call fails with the
status that the documentation names where no context is current, where memory or handles are
unknown or gone, and where a call must not be made during a capture.
"""

from __future__ import annotations

import ctypes
import importlib
import inspect
import itertools
import re
import threading
from typing import Any

import numpy as np

real: Any = importlib.import_module("cuda.bindings.driver")
OK = real.CUresult.CUDA_SUCCESS
MEMORY_BYTES = 1 << 30

ANYWHERE = {
    "cuInit",
    "cuDriverGetVersion",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceGetAttribute",
    "cuDevicePrimaryCtxRetain",
    "cuCtxPushCurrent",
    "cuGetErrorString",
}
"""What needs no current context."""

NOT_WHILE_CAPTURING = {
    "cuStreamSynchronize",
    "cuMemFree",
    "cuMemAlloc",
    "cuMemHostAlloc",
    "cuMemcpyHtoDAsync",
    "cuMemcpyDtoHAsync",
    "cuMemcpyDtoDAsync",
    "cuEventSynchronize",
    "cuEventQuery",
}


class StatusError(Exception):
    """The status of a call that fails."""


class Capture:
    """A graph that is being recorded.

    ``nodes`` holds what each launch directly waits for, as numbers of earlier ones; ``ends``,
    by stream, what the next one on it will wait for.
    """

    def __init__(self, origin: int) -> None:
        self.origin = origin
        self.nodes: list[frozenset[int]] = []
        self.ends: dict[int, frozenset[int]] = {origin: frozenset()}

    def add(self, stream: int) -> None:
        self.nodes.append(self.ends[stream])
        self.ends[stream] = frozenset({len(self.nodes) - 1})

    def before(self, start: frozenset[int]) -> set[int]:
        """All that is done before what waits for ``start``."""
        found: set[int] = set()
        stack = [*start]
        while stack:
            node = stack.pop()
            if node not in found:
                found.add(node)
                stack.extend(self.nodes[node])
        return found


def _method(name: str) -> str:
    """``_mem_alloc`` for ``cuMemAlloc``."""
    return re.sub("(?=[A-Z])", "_", name.removeprefix("cu")).lower()


class FakeApi:
    """``answers[name]`` overrides what a call returns; ``calls`` is the record."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.answers: dict[str, tuple[Any, ...]] = {}
        self.memory: dict[int, int] = {}
        self.pinned: list[np.ndarray] = []
        self.events: dict[int, tuple[Any, Any] | None] = {}
        self.streams: dict[int, int] = {0: 0, 1: 0, 2: 0}
        self.graphs: dict[int, int] = {}
        self.executables: dict[int, int] = {}
        self.log: list[tuple[Any, ...]] = []
        self.capturing: Capture | None = None
        self.captures: list[Capture] = []
        self._numbers = itertools.count(0x1000, 0x1000)
        self._stacks = threading.local()

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("cu") or not name[2].isupper():
            return getattr(real, name)

        def call(*arguments: Any) -> tuple[Any, ...]:
            inspect.signature(getattr(real, name)).bind(*arguments)
            self.calls.append(name)
            if name in self.answers:
                return self.answers[name]
            try:
                self._require_rules(name)
                found = getattr(self, _method(name))(*arguments)
            except StatusError as failure:
                return (getattr(real.CUresult, f"CUDA_ERROR_{failure}"), None)
            return (OK, *found) if isinstance(found, tuple) else (OK, found)

        return call

    def _require_rules(self, name: str) -> None:
        if name not in ANYWHERE and not self._stack:
            raise StatusError("INVALID_CONTEXT")
        if self.capturing is not None and name in NOT_WHILE_CAPTURING:
            raise StatusError("STREAM_CAPTURE_UNSUPPORTED")

    @property
    def _stack(self) -> list[Any]:
        if not hasattr(self._stacks, "contexts"):
            self._stacks.contexts = []
        return self._stacks.contexts

    @property
    def is_current(self) -> bool:
        return bool(self._stack)

    def _put(self, stream: Any, what: str, *details: Any) -> None:
        """Work on a stream: counted, so that events can tell what they stand for."""
        number = int(stream)
        if number not in self.streams:
            raise StatusError("INVALID_HANDLE")
        if self.capturing is not None and number in self.capturing.ends:
            self.capturing.add(number)
            return
        self.streams[number] += 1
        self.log.append((what, number, *details))

    # Context and device.

    def _init(self, flags: int) -> tuple[()]:
        return ()

    def _device_get(self, ordinal: int) -> Any:
        return real.CUdevice(ordinal)

    def _device_get_name(self, length: int, device: Any) -> bytes:
        return b"fake\0\0"

    def _device_get_attribute(self, attribute: Any, device: Any) -> int:
        return 9 if attribute.name.endswith("MAJOR") else 0

    def _device_primary_ctx_retain(self, device: Any) -> Any:
        return real.CUcontext(1)

    def _ctx_push_current(self, context: Any) -> tuple[()]:
        self._stack.append(int(context))
        return ()

    def _ctx_pop_current(self) -> Any:
        return real.CUcontext(self._stack.pop())

    def _get_error_string(self, status: Any) -> bytes:
        return b"what went wrong"

    # Memory.

    def _mem_get_info(self) -> tuple[int, int]:
        return MEMORY_BYTES - sum(self.memory.values()), MEMORY_BYTES

    def _mem_alloc(self, nbytes: int) -> Any:
        if nbytes > self._mem_get_info()[0]:
            raise StatusError("OUT_OF_MEMORY")
        address = 0
        while not address or any(address < a + n for a, n in self.memory.items()):
            address = next(self._numbers) * 0x1000
        self.memory[address] = nbytes
        return real.CUdeviceptr(address)

    def _mem_free(self, address: Any) -> tuple[()]:
        if int(address) not in self.memory:
            raise StatusError("INVALID_VALUE")
        del self.memory[int(address)]
        return ()

    def _mem_host_alloc(self, nbytes: int, flags: int) -> int:
        self.pinned.append(np.empty(nbytes, np.uint8))
        return self.pinned[-1].ctypes.data

    def _inside(self, address: Any, nbytes: int) -> None:
        at = int(address)
        if not any(a <= at and at + nbytes <= a + n for a, n in self.memory.items()):
            raise StatusError("INVALID_VALUE")

    def _memset_d8_async(self, to: Any, byte: int, nbytes: int, stream: Any) -> tuple[()]:
        self._inside(to, nbytes)
        self._put(stream, "set")
        return ()

    def _memcpy_hto_d_async(self, to: Any, at: int, nbytes: int, stream: Any) -> tuple[()]:
        self._inside(to, nbytes)
        source = [p for p in self.pinned if 0 <= at - p.ctypes.data <= p.size - nbytes]
        if not source:
            raise StatusError("INVALID_VALUE")  # pageable: allowed, and slow
        start = at - source[0].ctypes.data
        self._put(stream, "upload", source[0][start : start + nbytes].tobytes())
        return ()

    def _memcpy_dto_h_async(self, to: int, at: Any, nbytes: int, stream: Any) -> tuple[()]:
        self._inside(at, nbytes)
        ctypes.memset(to, 0, nbytes)
        self._put(stream, "download")
        return ()

    def _memcpy_dto_d_async(self, to: Any, at: Any, nbytes: int, stream: Any) -> tuple[()]:
        self._inside(to, nbytes)
        self._inside(at, nbytes)
        self._put(stream, "copy", nbytes)
        return ()

    def _pointer_get_attribute(self, attribute: Any, address: int) -> Any:
        self._inside(address, 1)
        is_type = attribute.name.endswith("MEMORY_TYPE")
        return real.CUmemorytype.CU_MEMORYTYPE_DEVICE if is_type else 0

    # Streams and events.

    def _stream_create(self, flags: int) -> Any:
        assert flags == real.CUstream_flags.CU_STREAM_NON_BLOCKING.value
        handle = next(self._numbers)
        self.streams[handle] = 0
        return real.CUstream(handle)

    def _stream_synchronize(self, stream: Any) -> tuple[()]:
        return ()

    def _stream_wait_event(self, stream: Any, event: Any, flags: int) -> tuple[()]:
        number, point = int(stream), self.events[int(event)]
        capture = point[0] if point and isinstance(point[0], Capture) else None
        is_captured = self.capturing is not None and number in self.capturing.ends
        if capture is None:
            if is_captured:
                raise StatusError("STREAM_CAPTURE_ISOLATION")
            self._put(stream, "wait", point)
            return ()
        if capture is not self.capturing or number not in self.streams:
            raise StatusError("CAPTURED_EVENT")
        assert point is not None
        capture.ends[number] = capture.ends.get(number, frozenset()) | point[1]
        return ()

    def _event_create(self, flags: int) -> Any:
        handle = next(self._numbers)
        self.events[handle] = None
        return real.CUevent(handle)

    def _event_record(self, event: Any, stream: Any) -> tuple[()]:
        if int(event) not in self.events:
            raise StatusError("INVALID_HANDLE")
        number, capture = int(stream), self.capturing
        if capture is not None and number in capture.ends:
            self.events[int(event)] = (capture, capture.ends[number])
        else:
            self.events[int(event)] = (number, self.streams[number])
        return ()

    def _event_query(self, event: Any) -> tuple[()]:
        return ()

    def _event_synchronize(self, event: Any) -> tuple[()]:
        return ()

    def _event_elapsed_time(self, start: Any, end: Any) -> float:
        return 4.0

    def _event_destroy(self, event: Any) -> tuple[()]:
        del self.events[int(event)]
        return ()

    # Kernels and graphs.

    def _module_load_data(self, image: bytes) -> Any:
        assert image[1:4] == b"ELF"
        return real.CUmodule(next(self._numbers))

    def _module_get_function(self, module: Any, name: bytes) -> Any:
        assert name.startswith(b"numbanet_")
        return real.CUfunction(next(self._numbers))

    def _func_set_attribute(self, function: Any, attribute: Any, value: int) -> tuple[()]:
        return ()

    def _launch_kernel(self, function: Any, *arguments: Any) -> tuple[()]:
        blocks, threads, shared, stream, parameters, extra = (
            arguments[0],
            arguments[3],
            *arguments[6:],
        )
        assert blocks > 0
        assert 0 < threads <= 1024
        assert shared <= 227 * 1024
        assert parameters
        assert extra == 0
        self._put(stream, "launch", int(function))
        return ()

    def _stream_begin_capture(self, stream: Any, mode: Any) -> tuple[()]:
        assert self.capturing is None
        self.capturing = Capture(int(stream))
        return ()

    def _stream_end_capture(self, stream: Any) -> Any:
        capture, self.capturing = self.capturing, None
        assert capture is not None
        assert capture.origin == int(stream)
        if len(capture.before(capture.ends[capture.origin])) < len(capture.nodes):
            raise StatusError("STREAM_CAPTURE_UNJOINED")
        self.captures.append(capture)
        handle = next(self._numbers)
        self.graphs[handle] = len(capture.nodes)
        return real.CUgraph(handle)

    def _graph_instantiate(self, graph: Any, flags: int) -> Any:
        handle = next(self._numbers)
        self.executables[handle] = self.graphs[int(graph)]
        return real.CUgraphExec(handle)

    def _graph_destroy(self, graph: Any) -> tuple[()]:
        del self.graphs[int(graph)]
        return ()

    def _graph_launch(self, executable: Any, stream: Any) -> tuple[()]:
        self._put(stream, "replay", self.executables[int(executable)])
        return ()

    def _graph_exec_destroy(self, executable: Any) -> tuple[()]:
        del self.executables[int(executable)]
        return ()
