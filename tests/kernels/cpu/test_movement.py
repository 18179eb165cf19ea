"""Putting tensors together, against NumPy: bit for bit, and each element written once."""

import math

import numpy as np
import pytest

from numbanet.ir import REGISTRY, DType
from numbanet.kernels.movement import MOVEMENTS, pieces
from numbanet.ops import concatenate
from tests.kernels.cpu.lowered import compute, leaves

CASES = [
    pytest.param(REGISTRY[name], case, id=f"{name}-{i}")
    for name in MOVEMENTS
    for i, case in enumerate(REGISTRY[name].cases)
]


def record(op, case, dtype=None):
    rng = np.random.default_rng(1)
    arrays = [
        rng.uniform(-100, 100, arg.shape).astype(dtype or arg.dtype.numpy) for arg in case.args
    ]
    return op.node(*leaves(arrays), attrs=case.attrs), arrays


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint8, np.bool_])
@pytest.mark.parametrize(("op", "case"), CASES)
def test_every_case_and_element_type(op, case, dtype):
    if op.name == "pad" and case.attrs.number < 0 and dtype == np.uint8:
        pytest.skip("a negative number cannot stand around unsigned ones")
    node, arrays = record(op, case, dtype)
    for is_backwards in (False, True):
        (result,) = compute(node, arrays, is_backwards=is_backwards)
        np.testing.assert_array_equal(result, op.reference(node.attrs, *arrays))


@pytest.mark.parametrize(("op", "case"), CASES)
def test_pieces_write_each_element_once(op, case):
    node, _ = record(op, case)
    count = np.zeros(node.output.type.size, int)
    for piece in pieces(node):
        (write,) = piece.writes
        assert math.prod(piece.shape) > 0
        positions = write.access.offset + sum(
            (
                np.arange(size).reshape(
                    [-1 if a == axis else 1 for a in range(len(piece.shape))]
                )
                * write.access.strides[axis]
                for axis, size in enumerate(piece.shape)
            ),
            start=np.zeros(piece.shape, int),
        )
        count[positions] += 1
    assert (count == 1).all()


def test_large_copies_are_cut_into_tiles():
    rng = np.random.default_rng(2)
    arrays = [rng.uniform(size=(37, 300, 2)), rng.uniform(size=(37, 300, 5))]
    node = concatenate(leaves(arrays), axis=2).node
    (result,) = compute(node, arrays, is_backwards=True)
    np.testing.assert_array_equal(result, np.concatenate(arrays, axis=2))
    assert node.output.dtype is DType.FLOAT64
