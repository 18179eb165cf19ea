"""Numbers that go to other libraries and come from them."""

import numpy as np
import pytest

from numbanet.errors import ArgumentError, DTypeError
from numbanet.tensors import creation, methods  # noqa: F401 - attaches the protocol
from numbanet.tensors.interop import from_dlpack

torch = pytest.importorskip("torch")

DTYPES = ("float32", "float64", "int32", "int64", "uint8", "bool")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 4), (1,)])
def test_there_and_back(dtype, shape):
    array = (np.arange(np.prod(shape)).reshape(shape) % 2).astype(dtype)
    there = torch.from_dlpack(creation.tensor(array))
    np.testing.assert_array_equal(there.numpy(), array)
    assert str(there.dtype) == f"torch.{dtype}"
    back = from_dlpack(there)
    np.testing.assert_array_equal(back.numpy(), array)
    assert back.dtype.value == dtype


def test_from_strided_memory():
    theirs = torch.arange(12.0).reshape(3, 4).T[::2]
    np.testing.assert_array_equal(from_dlpack(theirs).numpy(), theirs.numpy())


def test_numpy_reads_tensors():
    ours = creation.tensor([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(np.asarray(ours), [[1, 2], [3, 4]])
    assert np.asarray(ours, dtype=np.float64).dtype == np.float64
    np.testing.assert_array_equal(np.from_dlpack(ours * 2), [[2, 4], [6, 8]])


def test_nobody_writes_to_a_tensor_from_outside():
    ours = creation.zeros(3)
    torch.from_dlpack(ours)[0] = 5
    np.asarray(ours)[1] = 5
    ours.numpy()[2] = 5
    assert ours.tolist() == [0, 0, 0]
    theirs = torch.zeros(3)
    taken = from_dlpack(theirs)
    theirs[0] = 5
    assert taken.tolist() == [0, 0, 0]


def test_errors():
    leaf = creation.ones(2, requires_grad=True)
    with pytest.raises(ArgumentError, match="detach"):
        leaf.__dlpack__()
    with pytest.raises(ArgumentError, match="copy"):
        leaf.detach().__dlpack__(copy=False)
    with pytest.raises(ArgumentError, match="device"):
        leaf.detach().__dlpack__(dl_device=(2, 0))
    with pytest.raises(DTypeError):
        from_dlpack([1, 2])
    with pytest.raises(DTypeError):
        from_dlpack(np.zeros(2, np.complex64))
    assert leaf.__dlpack_device__() == (1, 0)
