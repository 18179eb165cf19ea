"""Collapsed spaces name the same elements, in the same order, as the shapes they came from."""

import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from numbanet.kernels.iteration import Dims, Step, collapse, split
from numbanet.ops.fused import Access, broadcast, contiguous

SIZES = st.integers(0, 4)


@st.composite
def spaces(draw):
    """A shape, and operands that are broadcast, permuted, sliced, or strided at random."""
    shape = tuple(draw(st.lists(SIZES, max_size=5)))
    accesses = draw(st.lists(one_access(shape), max_size=3))
    return shape, tuple(accesses)


def one_access(shape):
    source = st.tuples(*(st.sampled_from([1, size]) for size in shape))
    broadcasts = source.map(lambda sizes: broadcast(sizes, shape))
    permuted = st.permutations(range(len(shape))).map(lambda perm: permute(shape, perm))
    strides = st.tuples(*(st.integers(-3, 9) for _ in shape))
    return st.one_of(broadcasts, permuted, strides.map(lambda each: Access(100, each)))


def permute(shape, perm):
    strides = contiguous(tuple(shape[axis] for axis in perm)).strides
    return Access(0, tuple(strides[list(perm).index(axis)] for axis in range(len(shape))))


def walk(sizes, strides):
    """Positions in row-major order, one loop a dimension."""
    for index in itertools.product(*(range(size) for size in sizes)):
        yield sum(i * stride for i, stride in zip(index, strides, strict=True))


@given(spaces())
def test_collapsing_keeps_every_position_in_order(space):
    shape, accesses = space
    dims = collapse(shape, accesses)
    assert dims.size == math.prod(shape)
    for access, strides in zip(accesses, dims.strides, strict=True):
        assert list(walk(dims.sizes, strides)) == list(walk(shape, access.strides))


@given(spaces())
def test_nothing_is_left_to_merge(space):
    shape, accesses = space
    dims = collapse(shape, accesses)
    assert dims.rank == 1 or 1 not in dims.sizes
    for axis in range(dims.rank - 1):
        assert any(
            strides[axis] != strides[axis + 1] * dims.sizes[axis + 1]
            for strides in dims.strides
        )


@given(spaces(), st.data())
def test_splitting_names_the_elements_that_each_output_folds(space, data):
    shape, accesses = space
    axes = (
        tuple(sorted(data.draw(st.sets(st.sampled_from(range(len(shape))))))) if shape else ()
    )
    kept, reduced = split(shape, accesses, axes)
    order = [axis for axis in range(len(shape)) if axis not in axes] + list(axes)
    for operand, access in enumerate(accesses):
        positions = np.array(list(walk(shape, access.strides)), dtype=int).reshape(shape)
        want = positions.transpose(order).reshape(kept.size, reduced.size)
        starts = list(walk(kept.sizes, kept.strides[operand]))
        steps = list(walk(reduced.sizes, reduced.strides[operand]))
        got = np.add.outer(starts, steps)
        np.testing.assert_array_equal(got.reshape(want.shape), want)


def test_a_bias_along_the_last_axis_keeps_two_dimensions():
    shape = (2, 3, 5)
    dims = collapse(shape, (contiguous(shape), broadcast((5,), shape)))
    assert dims == Dims((6, 5), ((5, 1), (0, 1)))
    assert dims.inner == (Step.ONE, Step.ONE)


def test_a_transposed_operand_keeps_its_stride():
    dims = collapse((4, 3), (contiguous((4, 3)), Access(0, (1, 4))))
    assert dims.inner == (Step.ONE, Step.ANY)


def test_contiguous_operands_are_one_row():
    shape = (2, 1, 3, 5)
    assert collapse(shape, (contiguous(shape),) * 2) == Dims((30,), ((1,), (1,)))


def test_a_single_element_is_one_dimension_of_size_one():
    assert collapse((), (Access(7, ()),)) == Dims((1,), ((0,),))
    assert collapse((1, 1), ()) == Dims((1,), ())


def test_sums_over_batch_and_space_fold_one_dimension():
    shape = (8, 6, 6, 3)
    kept, reduced = split(shape, (contiguous(shape),), (0, 1, 2))
    assert (kept, reduced) == (Dims((3,), ((1,),)), Dims((288,), ((3,),)))
