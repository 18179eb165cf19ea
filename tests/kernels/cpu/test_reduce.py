"""Reduction kernels against NumPy in float64: every nest of loops, whole and in parts."""

import numpy as np
import pytest

from numbanet.errors import ShapeError
from numbanet.ir import NO_ATTRS, REGISTRY, DType
from numbanet.kernels.cpu.nest import PART_ELEMENTS, PART_ROWS
from numbanet.kernels.cpu.registry import LOWERINGS
from numbanet.ops.creation import IotaAttrs
from numbanet.ops.expression import Expression, Step, identity
from numbanet.ops.fused import FUSED, Access, FusedAttrs, Reduction, broadcast, contiguous
from tests.kernels.cpu.lowered import check, compute, leaves

F32 = DType.FLOAT32


def numbers(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).uniform(-2, 2, shape).astype(dtype)


def reduction(kind, shape, axes, array, keepdims=False, access=None):
    dtype = DType.of(array.dtype)
    attrs = FusedAttrs(
        identity(dtype),
        shape,
        (access or contiguous(shape),),
        Reduction(kind, axes, keepdims),
    )
    return FUSED.node(*leaves([array]), attrs=attrs)


LONG, TALL = 2 * PART_ELEMENTS + 77, 2 * PART_ROWS + 13
SPACES = [
    ((1,), (0,)),
    ((5,), (0,)),
    ((77,), (0,)),
    ((1000,), (0,)),
    ((LONG,), (0,)),
    ((4, 6), (0, 1)),
    ((3, 77), (1,)),
    ((3, 300), (1,)),
    ((3, LONG), (1,)),
    ((300, 7), (1,)),
    ((70, 7), (0,)),
    ((70, 77), (0,)),
    ((TALL, 7), (0,)),
    ((TALL, 77), (0,)),
    ((TALL, 16), (0,)),
    ((4 * PART_ROWS, 16), (0,)),
    ((3, PART_ROWS, 3), (0, 1)),
    ((3, 4, PART_ROWS, 8), (0, 2)),
    ((TALL, 700), (0,)),
    ((2, 3, 4, 5), (0, 2)),
    ((2, 3, 4, 5), (1, 3)),
    ((6, 3, 5, 40), (0, 2)),
    ((6, 40, 5, 40), (1, 3)),
    ((40, 3, 40, 40), (0, 2, 3)),
    ((40, 3, 40, 40), (0, 2)),
    ((3, 9, 3, 2000), (1, 3)),
    ((5, 1, 4), (1,)),
]


@pytest.mark.parametrize("kind", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize(("shape", "axes"), SPACES)
def test_every_nest_of_loops(shape, axes, kind):
    array = numbers(*shape)
    check(reduction(kind, shape, axes, array), [array])


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.int64, np.uint8])
@pytest.mark.parametrize("kind", ["sum", "max", "min"])
@pytest.mark.parametrize(
    ("shape", "axes"), [((3, 300), (1,)), ((70, 77), (0,)), ((4, 0), (0,))]
)
def test_other_element_types(shape, axes, kind, dtype):
    array = (numbers(*shape) * 100).astype(dtype)
    (result,) = compute(reduction(kind, shape, axes, array), [array])
    extra = {"dtype": dtype} if kind == "sum" else {}
    np.testing.assert_allclose(
        result, getattr(np, kind)(array, axis=axes, **extra), rtol=1e-12, atol=1e-10
    )


def test_kept_dimensions_have_size_one():
    array = numbers(2, 3, 4)
    check(reduction("sum", (2, 3, 4), (0, 2), array, keepdims=True), [array])


@pytest.mark.parametrize(
    "access",
    [Access(0, (1, 90)), Access(8_099, (-90, -1)), Access(0, (0, 1)), Access(0, (1, 0))],
)
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_strided_inputs(access, axes):
    array = numbers(8_100)
    check(reduction("sum", (90, 90), axes, array, access=access), [array])


def test_sums_of_programs_with_several_outputs_and_broadcast_inputs():
    shape = (33, 50, 40)
    x, y = numbers(*shape), numbers(50, 1)
    expression = Expression(
        (F32, F32),
        (
            Step(REGISTRY["multiply"], NO_ATTRS, (0, 1), F32),
            Step(REGISTRY["subtract"], NO_ATTRS, (0, 1), F32),
        ),
        (2, 3),
    )
    accesses = (contiguous(shape), broadcast((50, 1), shape))
    for axes in [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]:
        for kind in ("mean", "max"):
            attrs = FusedAttrs(expression, shape, accesses, Reduction(kind, axes, False))
            check(FUSED.node(*leaves([x, y]), attrs=attrs), [x, y])


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_programs_know_positions_whatever_the_order_of_the_fold(axes):
    """A sum over random numbers draws those of the whole tensor's positions."""
    shape = (3, 40, 50)
    iota = Step(REGISTRY["iota"], IotaAttrs(3 * 40 * 50, F32), (), F32)
    expression = Expression((), (iota,), (0,))
    attrs = FusedAttrs(expression, shape, (), Reduction("max", axes, False))
    (result,) = compute(FUSED.node(attrs=attrs), [])
    positions = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(result, positions.max(axis=axes))


@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize(
    ("shape", "axes"), [((3, 300), (1,)), ((70, 77), (0,)), ((LONG,), (0,))]
)
def test_extrema_of_nan_are_nan(shape, axes, kind):
    array = numbers(*shape)
    array[-1, ...] = np.nan
    (result,) = compute(reduction(kind, shape, axes, array), [array])
    np.testing.assert_array_equal(result, getattr(np, kind)(array, axis=axes))
    array[...] = -np.inf if kind == "max" else np.inf
    (result,) = compute(reduction(kind, shape, axes, array), [array])
    np.testing.assert_array_equal(result, getattr(np, kind)(array, axis=axes))


@pytest.mark.parametrize(("shape", "axes"), [((0,), (0,)), ((0, 4), (0,)), ((3, 0, 50), (1,))])
def test_folds_of_nothing(shape, axes):
    array = np.empty(shape, np.float32)
    kept = np.sum(array, axis=axes)
    (result,) = compute(reduction("sum", shape, axes, array), [array])
    np.testing.assert_array_equal(result, kept)
    (result,) = compute(reduction("mean", shape, axes, array), [array])
    np.testing.assert_array_equal(result, kept * np.nan)
    for kind in ("max", "min"):
        node = reduction(kind, shape, axes, array)
        with pytest.raises(ShapeError, match="no elements"):
            LOWERINGS["fused"](node)


def test_nothing_kept_needs_no_call():
    array = np.empty((0, 4), np.float32)
    assert LOWERINGS["fused"](reduction("sum", (0, 4), (1,), array)) == ()


@pytest.mark.parametrize(("shape", "axes"), [((1 << 20,), (0,)), ((1 << 14, 64), (0,))])
def test_long_float32_sums_stay_as_exact_as_pairwise_ones(shape, axes):
    array = numbers(*shape) + np.float32(2)
    (result,) = compute(reduction("sum", shape, axes, array), [array])
    exact = np.sum(array, axis=axes, dtype=np.float64)
    assert np.max(np.abs(result / exact - 1)) < 2e-6


@pytest.mark.parametrize(
    ("rows", "columns"), [(4096, 3), (4096, 16), (4096, 64), (4099, 8), (4099, 16)]
)
def test_contiguous_columns_are_read_in_order_though_they_are_few(rows, columns):
    array = numbers(rows, columns)
    first, *_ = LOWERINGS["fused"](reduction("sum", (rows, columns), (0,), array))
    assert "load(x0, q0 + j)" in first.kernel.parameters[0]


def test_parts_do_not_depend_on_how_many_threads_there_are():
    array = numbers(100_000)
    first, last = LOWERINGS["fused"](reduction("sum", (100_000,), (0,), array))
    assert first.tiles == -(-100_000 // PART_ELEMENTS)
    assert last.tiles == 1


def test_another_batch_size_needs_no_other_kernel():
    def keys(batch):
        array = numbers(batch, 100)
        calls = LOWERINGS["fused"](reduction("sum", (batch, 100), (0,), array))
        return [call.kernel.key for call in calls]

    assert keys(32) == keys(57)


def test_kernel_text_is_readable(golden):
    array = numbers(8, 300)
    (call,) = LOWERINGS["fused"](reduction("mean", (8, 300), (1,), array))
    golden("cpu_fused_mean", call.kernel.parameters[0])
