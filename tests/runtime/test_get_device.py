"""Choosing a device by name."""

import pytest

from numbanet.errors import ArgumentError, DeviceError
from numbanet.runtime import cuda as cuda_runtime
from numbanet.runtime import get_device


def test_the_cpu_is_one_device():
    device = get_device("cpu")
    assert device.name == "cpu"
    assert get_device("cpu") is device
    assert get_device(device) is device


def test_an_unknown_name_is_refused():
    with pytest.raises(ArgumentError, match=r"'tpu'.*'cpu' or 'cuda'"):
        get_device("tpu")


def test_the_default_is_the_gpu_where_there_is_one():
    expected = "cuda" if cuda_runtime.is_available() else "cpu"
    assert get_device().name == expected


@pytest.mark.skipif(cuda_runtime.is_available(), reason="there is a GPU, or its simulator")
def test_cuda_without_a_gpu_is_an_error_that_says_what_to_do():
    with pytest.raises(DeviceError) as caught:
        get_device("cuda")
    assert caught.value.mend
