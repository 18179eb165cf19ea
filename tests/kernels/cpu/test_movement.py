"""Putting tensors together, against NumPy: bit for bit, and each element written once."""

import math

import numpy as np
import pytest

from numbanet.ir import REGISTRY, DType
from numbanet.kernels.movement import MOVEMENTS, pieces
from numbanet.ops import concatenate
from numbanet.ops.fused import Access
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
        assert math.prod(piece.shape) > 0
        for write in piece.writes:
            count[positions(write.access, piece.shape)] += 1
    assert (count == 1).all()


def positions(access: Access, shape: tuple[int, ...]) -> np.ndarray:
    """The positions of an access's elements."""
    steps = zip(np.ogrid[tuple(map(slice, shape))], access.strides, strict=True)
    return access.offset + sum((axis * stride for axis, stride in steps), np.zeros(shape, int))


def test_large_copies_are_cut_into_tiles():
    rng = np.random.default_rng(2)
    arrays = [rng.uniform(size=(37, 300, 2)), rng.uniform(size=(37, 300, 5))]
    node = concatenate(leaves(arrays), axis=2).node
    (result,) = compute(node, arrays, is_backwards=True)
    np.testing.assert_array_equal(result, np.concatenate(arrays, axis=2))
    assert node.output.dtype is DType.FLOAT64
