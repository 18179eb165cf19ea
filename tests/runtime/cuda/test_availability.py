"""Where CUDA cannot be used, the error says why and what to do."""

import importlib
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from numbanet.errors import DeviceError
from numbanet.runtime.cuda import availability


def with_versions(monkeypatch, **versions):
    found = {name.replace("_", "-"): version for name, version in versions.items()}
    monkeypatch.setattr(availability, "installed_version", found.get)


def with_driver(monkeypatch, get_version):
    driver = SimpleNamespace(
        cuDriverGetVersion=get_version, CUresult=SimpleNamespace(CUDA_SUCCESS="success")
    )
    real = importlib.import_module
    monkeypatch.setattr(
        importlib,
        "import_module",
        lambda name: driver if name == "cuda.bindings.driver" else real(name),
    )


def test_missing_packages(monkeypatch):
    with_versions(monkeypatch, numba_cuda=(0, 30, 4))
    with pytest.raises(DeviceError, match="cuda-bindings, cuda-core not found") as caught:
        availability.require_packages()
    assert 'pip install "numbanet[cuda]"' in str(caught.value)
    assert "numbanet[cuda12]" in str(caught.value)


@pytest.mark.parametrize(
    ("numba_cuda", "numpy", "works"),
    [
        ((0, 30, 4), "2.5.0", False),
        ((0, 22), "2.10.1", False),
        ((0, 30, 4), "2.4.6", True),
        ((0, 31, 0), "2.5.0", True),
    ],
)
def test_numpy_that_numba_cuda_cannot_import(monkeypatch, numba_cuda, numpy, works):
    versions = {"cuda_bindings": (13, 0), "cuda_core": (1, 0)}
    with_versions(monkeypatch, numba_cuda=numba_cuda, **versions)
    monkeypatch.setattr(availability.np, "__version__", numpy)
    if works:
        availability.require_packages()
    else:
        with pytest.raises(DeviceError, match=r"numpy<2\.5"):
            availability.require_packages()


def test_no_driver(monkeypatch):
    def missing():
        raise RuntimeError("libcuda.so.1 not found")

    with_driver(monkeypatch, missing)
    with pytest.raises(DeviceError, match="no NVIDIA driver"):
        availability.require_driver()


def test_a_driver_older_than_the_packages(monkeypatch):
    with_versions(monkeypatch, cuda_bindings=(13, 5, 0))
    with_driver(monkeypatch, lambda: ("success", 12040))
    with pytest.raises(DeviceError, match=r"CUDA 12\.4.*CUDA 13 or later.*cuda12"):
        availability.require_driver()


def test_a_driver_that_is_new_enough(monkeypatch):
    with_versions(monkeypatch, cuda_bindings=(12, 9, 0))
    with_driver(monkeypatch, lambda: ("success", 13010))
    availability.require_driver()


def test_not_available_is_an_answer_and_an_error(monkeypatch):
    def missing():
        raise DeviceError("CUDA support is not installed")

    monkeypatch.setattr(availability, "is_simulated", lambda: False)
    monkeypatch.setattr(availability, "require_packages", missing)
    availability._open.cache_clear()
    assert availability.is_available() is False
    with pytest.raises(DeviceError, match="not installed"):
        availability.open_device()


def test_threads_that_ask_at_once_get_one_device(monkeypatch):
    opened = []

    monkeypatch.setattr(availability, "is_simulated", lambda: False)
    monkeypatch.setattr(availability, "require_packages", lambda: None)
    monkeypatch.setattr(availability, "require_driver", lambda: None)
    driver = SimpleNamespace(RealDriver=lambda: opened.append(1) or time.sleep(0.05))
    monkeypatch.setitem(sys.modules, "numbanet.runtime.cuda.real", driver)
    device = SimpleNamespace(CudaDevice=lambda driver: object())
    monkeypatch.setitem(sys.modules, "numbanet.runtime.cuda.device", device)
    availability._open.cache_clear()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(availability.open_device()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    availability._open.cache_clear()
    assert len(opened) == 1
    assert len(set(map(id, found))) == 1
