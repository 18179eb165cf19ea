"""Tensors and other libraries' arrays on a GPU: copied there, and lent where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet.errors import ArgumentError, DeviceError
from numbanet.runtime.cuda.device import CudaDevice
from numbanet.runtime.cuda.simulated import SimulatorDriver
from numbanet.tensors.flush import device as default_device
from numbanet.tensors.flush import set_default_device

X = np.arange(7, dtype=np.float32)


class Lent:
    def __init__(self, array: Any) -> None:
        self.__cuda_array_interface__ = array.__cuda_array_interface__
        self.__dlpack__, self.__dlpack_device__ = array.__dlpack__, array.__dlpack_device__


class NoDownloads(SimulatorDriver):
    is_strict = False

    def download(self, address: int, array: np.ndarray) -> None:
        assert not self.is_strict
        super().download(address, array)


@pytest.fixture
def device() -> Iterator[CudaDevice]:
    before, made = default_device(), CudaDevice(NoDownloads())
    set_default_device(made)
    yield made
    set_default_device(before)


@pytest.mark.simulator
@pytest.mark.parametrize("take", [nb.from_dlpack, nb.tensor])
def test_arrays_are_copied_on_the_device(device: Any, take: Any) -> None:
    device.driver.is_strict = True
    array = device.put(X)
    tensor = take(Lent(array))
    with device.driver:
        device.driver.upload(array.address, -X)
    device.driver.is_strict = False
    np.testing.assert_array_equal((tensor * 2 + 1).numpy(), X * 2 + 1)
    np.testing.assert_array_equal(tensor.numpy(), X)


@pytest.mark.simulator
def test_other_dtypes_and_gradients(device: Any) -> None:
    wide = device.put(X.astype(np.float64))
    tensor = nb.tensor(Lent(wide), dtype="float32", requires_grad=True)
    (tensor * tensor).sum().backward()
    np.testing.assert_array_equal(tensor.grad.numpy(), 2 * X)
    with pytest.raises(ArgumentError, match="requires gradients"):
        tensor.__dlpack__()


@pytest.mark.simulator
def test_tensors_are_lent_where_they_lie(device: Any) -> None:
    tensor = nb.tensor(Lent(device.put(X)))
    device.driver.is_strict = True
    assert tensor.__dlpack_device__() == (2, 0)
    address = tensor.__cuda_array_interface__["data"][0]
    for taken in (device.borrow(Lent(tensor)), device.borrow(tensor)):
        assert taken.address == address
    device.driver.is_strict = False
    tensor += 1
    np.testing.assert_array_equal(device.borrow(Lent(tensor)).numpy(), X + 1)


def test_a_cpu_says_what_to_do() -> None:
    class Elsewhere:
        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 0

    set_default_device("cpu")
    for take in (nb.from_dlpack, nb.tensor):
        with pytest.raises(DeviceError, match=r"Elsewhere is not in the host's.*\.cpu\(\)"):
            take(Elsewhere())
    assert not hasattr(nb.tensor([1.0]), "__cuda_array_interface__")
