"""CUDA's matrix products against NumPy in float64, on the simulator."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.errors import DeviceError
from numbanet.ir import NO_ATTRS, REGISTRY, DType
from numbanet.kernels.cuda import matmul
from numbanet.kernels.cuda.matmul import load_width, lower_matmul
from numbanet.kernels.cuda.tiling import choose, divide, tilings
from numbanet.ops.expression import Expression, Step
from numbanet.ops.matmul import MATMUL, MatmulAttrs
from tests.kernels.cuda.lowered import (
    calls_of,
    case_arrays,
    check_node,
    node_of,
    normal,
    run_calls,
)

F32 = DType.FLOAT32


@pytest.mark.simulator
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("number", range(len(MATMUL.cases)))
def test_agrees_with_its_reference(number, dtype):
    case = MATMUL.cases[number]
    check_node(MATMUL, case.attrs, case_arrays(case, dtype))


@pytest.mark.simulator
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("sizes", [(9, 17, 11), (12, 20, 16), (8, 8, 8)])
def test_takes_several_tiles_in_each_direction(transpose_a, transpose_b, sizes):
    rows, columns, terms = sizes  # all multiples of four are loaded in quads
    a = normal(*((terms, rows) if transpose_a else (rows, terms)))
    b = normal(*((columns, terms) if transpose_b else (terms, columns)), seed=1)
    check_node(MATMUL, MatmulAttrs(transpose_a, transpose_b), (a, b))


@pytest.mark.simulator
def test_broadcasts_leading_axes_that_do_not_collapse():
    a, b = normal(3, 1, 2, 5, 4), normal(1, 2, 1, 4, 3, seed=1)
    check_node(MATMUL, MatmulAttrs(), (a, b))


@pytest.mark.simulator
def test_keeps_infinities_and_nans_to_their_rows():
    """The edge of a tile is padded with zeros on both sides: nothing leaks from beyond."""
    a, b = np.ones((9, 9), np.float32), np.ones((9, 9), np.float32)
    a[2, 8], b[8, 3] = np.inf, np.nan
    node = node_of(MATMUL, MatmulAttrs(), (a, b))
    (y,) = run_calls(node, calls_of(node), (a, b))
    assert np.isnan(y[:, 3]).all()
    assert np.isinf(np.delete(y[2], 3)).all()
    assert (np.delete(np.delete(y, 3, 1), 2, 0) == 9).all()


def relu_of_sums(count):
    """relu(x + e0 + e1 + ..) of ``count`` extra inputs."""
    inputs = 1 + count
    add, relu = REGISTRY["add"], REGISTRY["relu"]
    lasts = (0, *range(inputs, inputs + count))
    steps = [Step(add, NO_ATTRS, (lasts[i], 1 + i), F32) for i in range(count)]
    steps.append(Step(relu, NO_ATTRS, (lasts[-1],), F32))
    return Expression((F32,) * inputs, tuple(steps), (inputs + count,))


def with_extras(rows, columns):
    """A product with an epilogue that takes a number, a vector and a whole matrix."""
    attrs = MatmulAttrs(epilogue=relu_of_sums(3))
    shapes = ((rows, 10), (10, columns), (), (columns,), (rows, columns))
    return attrs, [normal(*shape, seed=i) for i, shape in enumerate(shapes)]


@pytest.mark.simulator
def test_applies_epilogues_with_all_kinds_of_extras():
    check_node(MATMUL, *with_extras(9, 11))


@pytest.mark.simulator
def test_epilogues_count_positions_through_leading_axes():
    attrs = MatmulAttrs(epilogue=relu_of_sums(2))
    shapes = ((2, 3, 4), (2, 4, 5), (5,), (2, 3, 5))
    check_node(MATMUL, attrs, [normal(*shape, seed=i) for i, shape in enumerate(shapes)])


@pytest.mark.simulator
def test_epilogues_may_change_the_dtype():
    less = Step(REGISTRY["less"], NO_ATTRS, (0, 1), DType.BOOL)
    attrs = MatmulAttrs(epilogue=Expression((F32, F32), (less,), (2,)))
    arrays = (normal(3, 4), normal(4, 5, seed=1), normal(5, seed=2))
    check_node(MATMUL, attrs, arrays)


@pytest.mark.simulator
@pytest.mark.parametrize("splits", [2, 3, 9])
def test_adds_partial_sums(monkeypatch, splits):
    """Nine splits are many for the simulator: several threads share an element's sums."""

    def split(rows, columns, terms, count, dtype):
        return divide(tilings(dtype)[0], splits, terms)

    monkeypatch.setattr(matmul, "choose", split)
    a, b = normal(3, 9 * 8 - 5), normal(9 * 8 - 5, 10, seed=1)
    node = node_of(MATMUL, MatmulAttrs(), (a, b))
    calls = calls_of(node)
    assert [call.kernel.name for call in calls] == ["matmul_nn_8x8", "sum_partials"]
    assert calls[0].tiles == 2 * splits
    (y,) = run_calls(node, calls, (a, b))
    np.testing.assert_allclose(y, a.astype(np.float64) @ b, rtol=1e-5, atol=1e-5)
    attrs, arrays = with_extras(5, 7)
    check_node(MATMUL, attrs, arrays)


def test_states_its_work():
    node = node_of(MATMUL, MatmulAttrs(), (normal(9, 10), normal(10, 17)))
    (call,) = calls_of(node)
    assert call.flops == 2 * 9 * 10 * 17
    assert call.nbytes == 4 * (90 + 170 + 153)


@pytest.mark.parametrize(
    ("sizes", "tile"),
    [((4096, 4096, 4096), 128), ((600, 40, 100), 32), ((4096, 10, 128), 16)],
)
def test_larger_products_take_larger_tiles(sizes, tile):
    tiling = choose(*sizes, 1, F32).tiling
    assert min(tiling.rows, tiling.columns) <= tile <= max(tiling.rows, tiling.columns)


def test_long_sums_of_small_results_are_split():
    plan = choose(128, 10, 60000, 1, F32)
    assert plan.splits > 8
    assert plan.chunk % plan.tiling.depth == 0
    assert (plan.splits - 1) * plan.chunk < 60000 <= plan.splits * plan.chunk


def test_chunks_cover_all_terms():
    for terms in (0, 1, 8, 100, 1000):
        for splits in (1, 2, 5):
            plan = divide(tilings(F32)[0], splits, terms)
            assert plan.splits * plan.chunk >= terms
            assert plan.splits == 1 or (plan.splits - 1) * plan.chunk < terms


def test_refuses_what_32_bits_cannot_count():
    huge = ops.input_value("x", (70000, 70000), F32)
    node = ops.matmul(huge, huge).node
    with pytest.raises(DeviceError, match="too large"):
        lower_matmul(node)


def test_unaligned_parts_of_other_values_are_not_loaded_in_quads():
    flat = ops.input_value("flat", (1000,), F32)
    aligned, unaligned = (ops.segment(flat, offset, (8, 8)) for offset in (8, 9))
    assert load_width(aligned) == 4
    assert load_width(unaligned) == 1
    assert load_width(ops.reshape(unaligned, (4, 16))) == 1
    assert load_width(ops.input_value("odd", (4, 7), F32)) == 1


def test_partial_sums_stay_within_32_bits():
    plan = choose(30000, 30000, 100000, 1, F32)
    assert plan.splits * 30000 * 30000 < 2**31
