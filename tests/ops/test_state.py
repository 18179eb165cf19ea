import numpy as np
import pytest

from numbanet import ops
from numbanet.errors import ArgumentError, DTypeError, ShapeError
from numbanet.ops.state import SEGMENT
from numbanet.testing import evaluate, inputs_like


def compute(function, *arrays):
    inputs = inputs_like(arrays)
    return evaluate(function(*inputs), dict(zip(inputs, arrays, strict=True)))


def test_segments_of_what_was_packed_are_the_values():
    a, b = np.arange(6.0).reshape(2, 3), np.array(7.0)

    def there_and_back(a, b):
        flat = ops.pack([a, b], [1, 16], 32)
        return flat, ops.segment(flat, 1, (2, 3)), ops.segment(flat, 16, ())

    flat, first, second = compute(there_and_back, a, b)
    np.testing.assert_array_equal(flat, [0, *range(6), *[0] * 9, 7, *[0] * 15])
    np.testing.assert_array_equal(first, a)
    np.testing.assert_array_equal(second, b)


def test_a_segment_is_a_view_at_its_offset():
    (flat,) = inputs_like((np.zeros(9),))
    assert SEGMENT.view(ops.segment(flat, 4, (5,)).node) == 4


@pytest.mark.parametrize(("offset", "shape"), [(-1, (2,)), (8, (2,)), (0, (2, 5))])
def test_segments_outside_are_refused(offset, shape):
    (flat,) = inputs_like((np.zeros(9),))
    with pytest.raises(ShapeError, match="segment"):
        ops.segment(flat, offset, shape)


def test_a_segment_of_a_matrix_is_refused():
    (matrix,) = inputs_like((np.zeros((3, 3)),))
    with pytest.raises(ShapeError, match="flat"):
        ops.segment(matrix, 0, (3,))


@pytest.mark.parametrize(
    ("offsets", "size", "error", "match"),
    [
        ((0, 2), 9, ShapeError, "overlap"),
        ((-1, 4), 9, ShapeError, "overlap"),
        ((0, 5), 7, ShapeError, "do not fit"),
        ((0,), 7, ArgumentError, "an offset for each"),
    ],
)
def test_values_that_cannot_be_packed(offsets, size, error, match):
    values = inputs_like((np.zeros(3), np.zeros(3)))
    with pytest.raises(error, match=match):
        ops.pack(values, offsets, size)


def test_nothing_and_mixtures_cannot_be_packed():
    with pytest.raises(ArgumentError, match="0 values"):
        ops.pack([], [], 4)
    with pytest.raises(DTypeError, match="one dtype"):
        ops.pack(inputs_like((np.zeros(2), np.zeros(2, np.float32))), [0, 2], 4)
