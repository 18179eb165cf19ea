"""The real driver: on a GPU where there is one, and its handling of errors everywhere."""

import enum
import importlib
from types import SimpleNamespace

import numpy as np
import pytest

from numbanet.errors import DeviceError, OutOfMemoryError
from numbanet.ir import Variable
from numbanet.runtime.cuda import open_device
from numbanet.runtime.cuda.real import RealDriver
from tests.runtime.cuda.programs import MULTIPLY, multiply_add


class Status(enum.IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_NO_DEVICE = 100
    CUDA_ERROR_LAUNCH_FAILED = 719


class FakeApi:
    """Answers every call of the driver with success, or as told; and keeps a record."""

    CUresult = Status

    def __init__(self):
        self.calls = []
        self.answers = {
            "cuDeviceGetName": (Status.CUDA_SUCCESS, b"fake\0\0"),
            "cuMemGetInfo": (Status.CUDA_SUCCESS, 3, 7),
            "cuGetErrorString": (Status.CUDA_SUCCESS, b"what went wrong"),
        }
        names = ("CUstream_flags", "CUstreamCaptureMode", "CUdevice_attribute")
        for name in (*names, "CUfunction_attribute"):
            setattr(self, name, _Anything())

    def __getattr__(self, name):
        if not name.startswith("cu"):
            raise AttributeError(name)

        def call(*arguments):
            self.calls.append(name)
            return self.answers.get(name, (Status.CUDA_SUCCESS, 9))

        return call


class _Anything:
    def __getattr__(self, name):
        return SimpleNamespace(value=1, name=name)


@pytest.fixture
def api(monkeypatch):
    fake = FakeApi()
    real = importlib.import_module
    monkeypatch.setattr(
        importlib,
        "import_module",
        lambda name: fake if name == "cuda.bindings.driver" else real(name),
    )
    return fake


def test_results_are_unpacked(api):
    driver = RealDriver()
    assert driver.description == "fake"
    assert driver.compute_capability == (9, 9)
    assert driver.memory_info() == (3, 7)
    assert driver.allocate(1) == 9


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (Status.CUDA_ERROR_OUT_OF_MEMORY, OutOfMemoryError, "memory is full"),
        (Status.CUDA_ERROR_NO_DEVICE, DeviceError, "no NVIDIA GPU"),
        (Status.CUDA_ERROR_LAUNCH_FAILED, DeviceError, "what went wrong.*LAUNCH_FAILED"),
    ],
)
def test_a_bad_status_is_a_typed_error(api, status, error, message):
    driver = RealDriver()
    api.answers["cuMemAlloc"] = (status, None)
    with pytest.raises(error, match=message):
        driver.allocate(1)


def test_capture_ends_after_an_error(api):
    driver = RealDriver()

    def failing():
        raise DeviceError("the launch fails")

    with pytest.raises(DeviceError, match="the launch fails"):
        driver.capture([failing])
    assert api.calls[-2:] == ["cuStreamBeginCapture", "cuStreamEndCapture"]


@pytest.mark.gpu
def test_runs_on_a_gpu():
    rng = np.random.default_rng(0)
    x, w, c = rng.standard_normal((3, 1001)).astype(np.float32)
    weight = Variable(w, "w")
    step = open_device().load(multiply_add(weight, c))
    step.bind("x", x)
    for i in range(4):
        step.run()
        np.testing.assert_allclose(step.output("y"), x * (w + i) + c, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(weight.numpy(), w + 4, rtol=1e-6)


@pytest.mark.gpu
def test_a_gpu_without_room_says_so():
    device = open_device()
    _, total = device.driver.memory_info()
    with pytest.raises(OutOfMemoryError):
        device.driver.allocate(total * 2)
    assert device.driver.prepare(MULTIPLY, (0, 0, 0, 0), 1)


def test_launches_are_timed_by_events(api):
    api.answers["cuEventElapsedTime"] = (Status.CUDA_SUCCESS, 4.0)
    driver = RealDriver()
    api.calls.clear()
    done = []
    seconds = driver.time([lambda: done.append(1), lambda: done.append(2)])
    assert seconds == [0.004, 0.004]
    assert done == [1, 2]
    assert api.calls.count("cuEventCreate") == api.calls.count("cuEventDestroy") == 3
    order = [name for name in api.calls if name in ("cuEventRecord", "cuStreamSynchronize")]
    assert order == ["cuEventRecord"] * 3 + ["cuStreamSynchronize"]


def test_events_are_destroyed_after_a_failure(api):
    driver = RealDriver()
    api.calls.clear()
    api.answers["cuEventRecord"] = (Status.CUDA_ERROR_LAUNCH_FAILED,)
    with pytest.raises(DeviceError, match="what went wrong"):
        driver.time([lambda: None])
    assert api.calls.count("cuEventDestroy") == 2
