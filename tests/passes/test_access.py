"""Reads through views as one read."""

from numbanet.ops.fused import Access, contiguous
from numbanet.passes.access import compose


def test_a_transpose_read_through_a_slice_is_one_strided_read() -> None:
    last_rows, transposed = Access(4, (4, 1)), Access(0, (1, 3))
    assert compose(last_rows, (2, 4), (3, 4), transposed) == Access(1, (1, 3))


def test_a_reshape_across_axes_is_not_one_read() -> None:
    assert compose(contiguous((6,)), (6,), (2, 3), Access(0, (1, 2))) is None


def test_what_is_empty_can_be_read_through_anything() -> None:
    found = compose(
        Access(0, (0, 2, 0, 1)), (2, 0, 1, 2), (2, 0, 1, 2), contiguous((2, 0, 1, 2))
    )
    assert found is not None
    assert len(found.strides) == 4
