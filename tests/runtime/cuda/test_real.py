"""The real driver without a GPU: what it asks of NVIDIA's, in which order, by which rules."""

import gc
import os
import threading
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet.errors import DeviceError, OutOfMemoryError
from numbanet.ir import DType, TensorType, Variable
from numbanet.kernels.cuda import compile as cuda_compile
from numbanet.kernels.cuda.compile import Cubin
from numbanet.layers import Dense
from numbanet.runtime.cuda import real as real_driver
from numbanet.runtime.cuda import staging
from numbanet.runtime.cuda.arrays import DeviceArray
from numbanet.runtime.cuda.device import CudaDevice
from numbanet.runtime.cuda.driver import Packed
from numbanet.runtime.cuda.real import RealDriver
from tests.runtime.cuda.programs import MULTIPLY, multiply_add

CODES: Any = pytest.importorskip("cuda.bindings.driver").CUresult
N = 5
X, W, C = np.ones((3, N), np.float32)


def loaded(driver, weight=None):
    device = CudaDevice(driver)
    step = device.load(multiply_add(weight or Variable(W, "w"), C))
    step.bind("x", X)
    return step


def put_on_stream(api, driver):
    """What is on the main stream: kinds of work, in order."""
    return [what for what, stream, *_ in api.log if stream == driver.stream]


def test_results_are_unpacked(api, driver):
    assert driver.description == "fake"
    assert driver.compute_capability == (9, 0)
    with driver:
        free, total = driver.memory_info()
        address = driver.allocate(100)
        assert driver.memory_info() == (free - 100, total)
        driver.free(address)
    assert api.calls.count("cuDevicePrimaryCtxRetain") == 1


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (CODES.CUDA_ERROR_OUT_OF_MEMORY, OutOfMemoryError, "memory is full.*batch smaller"),
        (CODES.CUDA_ERROR_NO_DEVICE, DeviceError, "no NVIDIA GPU"),
        (CODES.CUDA_ERROR_INVALID_VALUE, DeviceError, "what went wrong.*INVALID_VALUE"),
    ],
)
def test_a_bad_status_is_a_typed_error(api, driver, status, error, message):
    api.answers["cuMemAlloc"] = (status, None)
    with driver, pytest.raises(error, match=message):
        driver.allocate(1)


def test_an_old_gpu_is_refused(api):
    api.answers["cuDeviceGetAttribute"] = (CODES.CUDA_SUCCESS, 7)
    RealDriver()
    api.answers["cuDeviceGetAttribute"] = (CODES.CUDA_SUCCESS, 6)
    with pytest.raises(DeviceError, match=r"too old, got compute capability 6\.6.*7\.5"):
        RealDriver()


def test_a_lost_gpu_stays_lost_and_says_what_to_do(api, driver):
    weight = Variable(W, "w")
    step = loaded(driver, weight)
    api.answers["cuStreamSynchronize"] = (CODES.CUDA_ERROR_ILLEGAL_ADDRESS,)
    with pytest.raises(DeviceError, match=r"dense: kernel multiply .*lost.*Start the process"):
        step.run()
    del api.answers["cuStreamSynchronize"]
    for action in (step.run, weight.numpy, lambda: loaded(driver)):
        with pytest.raises(DeviceError, match=r"lost: what went wrong.*ILLEGAL_ADDRESS"):
            action()
    calls = len(api.calls)
    del step, weight
    gc.collect()
    assert len(api.calls) == calls  # memory of a lost GPU is not freed


def test_a_forked_process_is_told_so(driver, monkeypatch):
    step = loaded(driver)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(DeviceError, match=r"forked process.*spawn"):
        step.run()


def test_a_step_is_launched_captured_and_replayed(api, driver):
    step = loaded(driver)
    api.log.clear()
    step.run()
    assert put_on_stream(api, driver) == ["launch"] * 3
    api.log.clear()
    step.run()
    step.run(2)
    assert put_on_stream(api, driver) == ["launch"] * 3 + ["replay"] * 2
    assert set(api.executables.values()) == {3}
    del step
    gc.collect()
    assert not api.executables
    assert not api.graphs


def test_many_steps_are_one_graph(api, driver):
    step = loaded(driver)
    step.run()
    api.log.clear()
    step.run(1 + 16 * 3 + 2)
    assert [each[-1] for each in api.log if each[0] == "replay"] == [48] * 3 + [3] * 2
    api.log.clear()
    step.run(17)
    assert [each[-1] for each in api.log if each[0] == "replay"] == [48, 3]


def test_capture_ends_after_an_error(api, driver):
    def failing(lane):
        raise DeviceError("the launch fails")

    with driver, pytest.raises(DeviceError, match="the launch fails"):
        driver.capture([Packed(failing)])
    assert api.capturing is None
    assert not driver.is_capturing


def test_memory_that_is_dropped_amid_a_capture_is_freed_after_it(api, driver):
    device = CudaDevice(driver)
    arrays = [device.put(X)]
    with driver:
        driver.capture([Packed(lambda lane: arrays.clear()), Packed(lambda lane: gc.collect())])
        assert len(api.memory) == 1
        driver.memory_info()
    assert not api.memory


def test_memory_waits_for_the_work_that_uses_it(api, driver):
    array = CudaDevice(driver).put(X)
    api.calls.clear()
    del array
    gc.collect()
    assert [c for c in api.calls if c.startswith(("cuStream", "cuMem"))] == [
        "cuStreamSynchronize",
        "cuMemFree",
    ]


def test_each_thread_has_the_driver_alone(api, driver):
    """While one captures, no launch of another may get into its graph."""
    steps = [loaded(driver) for _ in range(3)]

    def train(step):
        for _ in range(30):
            step.run()
            step.output("y")

    threads = [threading.Thread(target=train, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(api.executables.values()) == [3, 3, 3]


def order_of(api, driver, upload):
    """What an upload waits for: how much of the main stream's work."""
    copies = next(s for s in api.streams if s > 2 and s != driver.stream)
    at = api.log.index(upload)
    (*_, wait) = [each for each in api.log[:at] if each[:2] == ("wait", copies)]
    return wait[-1][1]


def test_the_next_batch_travels_while_the_last_step_runs(api, driver):
    step = loaded(driver)
    step.run(2)
    seen = []
    for number in range(2, 6):
        batch = np.full(N, number, np.float32)
        before = api.streams[driver.stream]
        step.bind("x", batch)
        (upload,) = [e for e in api.log if e[0] == "upload" and e[-1] == batch.tobytes()]
        seen.append(before - order_of(api, driver, upload))
        step.run()
    # The first into the second piece of memory waits for all; then each for all but a step.
    assert seen[0] == 0
    assert all(late >= 1 for late in seen[1:])
    assert len(step._replays) == 2


def test_uploads_go_through_two_pinned_buffers_in_turn(api, driver, monkeypatch):
    monkeypatch.setattr(staging, "_PINNED_BYTES", 256)
    numbers = np.arange(1000, dtype=np.uint8)
    CudaDevice(driver).put(numbers)
    uploads = [each[-1] for each in api.log if each[0] == "upload"]
    assert b"".join(uploads) == numbers.tobytes()
    assert [len(each) for each in uploads] == [256, 256, 256, 232]
    assert len(api.pinned) == 2
    assert api.calls.count("cuEventSynchronize") == 3
    CudaDevice(driver).put(numbers[:10])
    assert len(api.pinned) == 2


def test_small_uploads_share_a_buffer(api, driver):
    device = CudaDevice(driver)
    for _ in range(20):
        device.put(X)
    assert "cuEventSynchronize" not in api.calls
    assert "cuStreamSynchronize" not in api.calls[: -len(api.memory)]


def test_much_shared_memory_is_asked_for(api, driver):
    with driver:
        driver.load(replace(MULTIPLY, shared_bytes=48 * 1024))
        assert "cuFuncSetAttribute" not in api.calls
        driver.load(replace(MULTIPLY, shared_bytes=100 * 1024))
        assert api.calls[-1] == "cuFuncSetAttribute"


def test_launches_are_timed_by_events(api, driver):
    done = []
    events = len(api.events)
    with driver:
        api.calls.clear()
        assert driver.time([lambda lane: done.append(1), lambda lane: done.append(2)]) == [
            0.004,
            0.004,
        ]
    assert done == [1, 2]
    assert len(api.events) == events
    order = [name for name in api.calls if name in ("cuEventRecord", "cuStreamSynchronize")]
    assert order == ["cuEventRecord"] * 3 + ["cuStreamSynchronize"]


def test_events_are_destroyed_after_a_failure(api, driver):
    events = len(api.events)
    api.answers["cuEventRecord"] = (CODES.CUDA_ERROR_LAUNCH_FAILED,)
    with driver, pytest.raises(DeviceError, match="what went wrong"):
        driver.time([lambda lane: None])
    assert len(api.events) == events


class Foreign:
    """Another library's array on the GPU."""

    def __init__(self, address, stream=7, strides=None):
        self.__cuda_array_interface__ = {
            "shape": (N,),
            "typestr": "<f4",
            "data": (address, False),
            "version": 3,
            "strides": strides,
            "stream": stream,
        }


def test_another_library_s_array_is_read_on_its_stream_s_order(api, driver):
    api.streams[7] = 0
    owned = CudaDevice(driver).put(X)
    step = loaded(driver)
    step.bind("x", Foreign(owned.address))
    api.log.clear()
    step.run()
    streams = [(what, stream) for what, stream, *_ in api.log]
    assert streams[0] == ("wait", driver.stream)
    assert api.log[0][-1][0] == 7  # ... for what the library had put on its stream
    assert streams[-1] == ("wait", 7)
    assert api.log[-1][-1] == (driver.stream, api.streams[driver.stream])
    assert "upload" not in dict(streams)


def test_a_part_that_kernels_cannot_load_is_copied_in_the_streams_order(api, driver):
    api.streams[7] = 0
    device = CudaDevice(driver)
    owned = device.put(X)
    data = device.borrow(Foreign(owned.address))
    assert data.address == owned.address
    api.log.clear()
    assert data[4:].address % 16 == data[1:].address % 16 == 0
    expected = [("wait", driver.stream), ("copy", driver.stream), ("wait", 7)]
    assert [each[:2] for each in api.log] == expected
    assert api.log[1][-1] == 4 * (N - 1)


def test_another_library_s_array_is_held_until_the_steps_are_done(api, driver):
    api.streams[7] = 0
    owned = CudaDevice(driver).put(X)
    foreign = Foreign(owned.address)
    gone = weakref.ref(foreign)
    step = loaded(driver)
    step.bind("x", foreign)
    del foreign
    step.run()
    api.answers["cuEventQuery"] = (CODES.CUDA_ERROR_NOT_READY,)
    step.bind("x", X)
    gc.collect()
    assert gone() is not None
    del api.answers["cuEventQuery"]
    step.bind("x", X)
    gc.collect()
    assert gone() is None


def test_what_is_exported_lets_the_caller_s_stream_wait(api, driver):
    api.streams[7] = 0
    array = CudaDevice(driver).put(X)
    api.log.clear()
    capsule = array.__dlpack__(stream=7)
    assert [each[:2] for each in api.log] == [("wait", 7)]
    assert "dltensor" in repr(capsule)
    assert array.__cuda_array_interface__["stream"] == driver.stream
    assert array.__cuda_array_interface__["data"] == (array.address, False)


def test_an_array_of_another_gpu_is_refused(api, driver):
    type_ = TensorType((N,), DType.FLOAT32)
    elsewhere = DeviceArray(driver, 0x10, type_, None)
    step = loaded(driver)
    foreign = Foreign(elsewhere.address)
    with pytest.raises(DeviceError, match=r"another device's memory, got the host's memory"):
        step.bind("x", foreign)
    owned = CudaDevice(driver).put(X)
    success = CODES.CUDA_SUCCESS
    api.answers["cuPointerGetAttribute"] = (success, 2)
    with pytest.raises(DeviceError, match=r"got GPU 2, expected GPU 0, fake\. Move it"):
        step.bind("x", Foreign(owned.address))


def test_kernels_are_compiled_for_the_gpu_at_hand(api, driver, monkeypatch):
    seen = []
    cubin = Cubin(b"\x7fELF", "numbanet_fake", 1, 0, 0, 0, "")
    monkeypatch.setattr(
        real_driver, "cached_cubin", lambda kernel, cc: seen.append((kernel.name, cc)) or cubin
    )
    loaded(driver)
    assert seen == [("multiply", (9, 0)), ("add", (9, 0)), ("increment", (9, 0))]
    assert driver.compute_capability >= cuda_compile.OLDEST


def train(device):
    """Arrays, batches, validation, prediction, weights: numbers mean nothing here."""
    x, y = np.zeros((131, 6), np.float32), np.arange(131) % 3
    model = nb.Sequential([nb.Input((6,)), Dense(8, activation="relu"), Dense(3)])
    loss = nb.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(nb.optimizers.Adam(0.01), loss, metrics=["accuracy"], device=device)
    for _ in range(2):
        model.fit(x, y, 2, verbose=0, validation_data=(x[:9], y[:9]))
        model.fit(((x[:5], y[:5]) for _ in range(4)), verbose=0)
        model.evaluate(x, y)
        for size in (1, 8):
            assert model.predict(x, batch_size=size).shape == (131, 3)
        model.set_weights(model.get_weights())


def test_whole_trainings_keep_the_rules(api, driver):
    device = CudaDevice(driver)
    used = []
    for _ in range(4):
        train(device)
        gc.collect()
        used.append(sum(api.memory.values()))
        assert not api.executables
    assert max(used[2:]) <= max(used[:2]) < 2000  # parameters of a last model or two
    steps = [each[-1] for each in api.log if each[0] == "replay"]
    assert max(steps) >= 16 * min(steps)  # epochs of many steps in few graphs


class Hooked(nb.Callback):
    """Has hooks for batches, and looks at their logs where it is told to."""

    def __init__(self, looks_at=()):
        self.looks_at = looks_at
        self.told = 0

    def on_train_batch_end(self, batch, logs=None):
        self.told += 1
        if batch in self.looks_at:
            assert logs["loss"] is not None


def waits(api, device, callback, **options):
    """How often the host waits for the device in an epoch of twenty steps, at most."""
    x, y = np.zeros((40, 6), np.float32), np.arange(40) % 3
    model = nb.Sequential([nb.Input((6,)), Dense(3)])
    loss = nb.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(nb.optimizers.Adam(0.01), loss, device=device, **options)
    model.fit(x, y, 2, verbose=0)
    before = api.calls.count("cuStreamSynchronize")
    model.fit(x, y, 2, verbose=0, callbacks=callback)
    return api.calls.count("cuStreamSynchronize") - before


def test_only_who_looks_waits(api, driver):
    device = CudaDevice(driver)
    without = waits(api, device, None)
    hooked, curious = Hooked(), Hooked(looks_at=(3, 5))
    assert waits(api, device, hooked) == without
    assert waits(api, device, curious) > without
    assert hooked.told == curious.told == 20
    together = Hooked()
    assert waits(api, device, together, steps_per_execution=8) == without
    assert together.told == 3
