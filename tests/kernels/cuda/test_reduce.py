"""Folds against NumPy in float64, and compiled for every target."""

import math

import numpy as np
import pytest

from numbanet.ir import NO_ATTRS, REGISTRY, DType
from numbanet.kernels.cuda import tuning
from numbanet.kernels.cuda.registry import LOWERINGS
from numbanet.kernels.kernel import Scratch
from numbanet.ops.expression import Expression, Step, identity
from numbanet.ops.fused import FUSED, Access, FusedAttrs, Reduction, contiguous
from tests.kernels.cuda.lowered import check_node, node_of, run_calls

F32 = DType.FLOAT32
KINDS = ["sum", "mean", "max", "min"]
SHAPES = [
    ((3, 5), (1,)),
    ((3, 5), (0,)),
    ((37, 6), (0,)),
    ((6, 37), (1,)),
    ((2, 70), (1,)),
    ((70, 2), (0,)),
    ((130,), (0,)),
    ((1,), (0,)),
    ((4, 1), (1,)),
    ((5, 1, 3), (0, 2)),
    ((2, 3, 4, 5), (0, 2)),
    ((2, 3, 4, 5), (1, 3)),
    ((3, 4, 5), (0, 1)),
    ((1, 9), (0,)),
    ((3, 430), (1,)),  # enough for threads to load many at once
    ((500, 3), (0,)),
]


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-2, 2, shape).astype(np.float32)


def attrs(shape, axes, kind="sum", expression=None, accesses=None, keepdims=False):
    return FusedAttrs(
        expression or identity(F32),
        shape,
        accesses or (contiguous(shape),),
        Reduction(kind, axes, keepdims),
    )


def run(attributes, arrays):
    node = node_of(FUSED, attributes, arrays)
    return run_calls(node, LOWERINGS["fused"](node), arrays)


@pytest.mark.simulator
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shape", "axes"), SHAPES)
def test_folds_any_axes(kind, shape, axes):
    check_node(FUSED, attrs(shape, axes, kind), [numbers(*shape)])


@pytest.mark.simulator
@pytest.mark.filterwarnings("ignore:invalid value")  # NumPy's, of the mean of nothing
@pytest.mark.parametrize("kind", KINDS)
def test_plain_reductions(kind):
    for case in REGISTRY[kind].cases:
        check_node(REGISTRY[kind], case.attrs, [numbers(*arg.shape) for arg in case.args])


@pytest.mark.simulator
@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.int64, np.uint8])
@pytest.mark.parametrize("kind", ["sum", "max", "min"])
def test_other_dtypes(dtype, kind):
    x = np.random.default_rng(0).integers(0, 90, (7, 23)).astype(dtype)
    expression = identity(DType.of(dtype))
    reduce = {"sum": lambda: x.sum(1, dtype=dtype), "max": lambda: x.max(1)}
    reduce["min"] = lambda: x.min(1)
    (result,) = run(attrs((7, 23), (1,), kind, expression), [x])
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, reduce[kind]())


@pytest.mark.simulator
def test_several_results_of_a_program():
    """Sums of products, and of the second input, that is broadcast and transposed."""
    product = Step(REGISTRY["multiply"], NO_ATTRS, (0, 1), F32)
    expression = Expression((F32, F32), (product,), (2, 1))
    shape = (3, 4, 11)
    accesses = (contiguous(shape), Access(2, (0, 1, 4)))
    for axes in ((0,), (2,), (0, 1, 2), (1, 2)):
        arrays = [numbers(*shape), numbers(60, seed=1)]
        check_node(FUSED, attrs(shape, axes, "sum", expression, accesses), arrays)


@pytest.mark.simulator
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_positions_are_those_of_the_space(axes):
    from numbanet.ir import Op
    from numbanet.ops import scalar

    position = Op(
        "position",
        infer=lambda _, x: x,
        reference=lambda _, x: np.arange(x.size, dtype=x.dtype).reshape(x.shape) + 0 * x,
        scalar=lambda _, x: scalar.cast(scalar.index(), F32) + 0 * x,
    )
    expression = Expression((F32,), (Step(position, NO_ATTRS, (0,), F32),), (1,))
    (result,) = run(attrs((7, 9), axes, "sum", expression), [numbers(7, 9)])
    np.testing.assert_array_equal(result, np.arange(63).reshape(7, 9).sum(axes))


@pytest.mark.simulator
@pytest.mark.parametrize("kind", ["max", "min"])
def test_extremes_of_nan_and_infinity(kind):
    x = numbers(6, 40)
    x[1, 7] = np.nan
    x[2] = np.inf
    x[3] = -np.inf
    x[4, 39] = np.nan
    (result,) = run(attrs((6, 40), (1,), kind), [x])
    np.testing.assert_array_equal(result, getattr(np, kind)(x, axis=1))


@pytest.mark.simulator
def test_a_fold_of_nothing():
    (total,) = run(attrs((0, 3), (0,)), [numbers(0, 3)])
    np.testing.assert_array_equal(total, np.zeros(3))
    (mean,) = run(attrs((0, 3), (0,), "mean"), [numbers(0, 3)])
    assert np.isnan(mean).all()
    node = node_of(FUSED, attrs((0, 3), (1,)), [numbers(0, 3)])
    assert LOWERINGS["fused"](node) == ()


@pytest.mark.simulator
@pytest.mark.parametrize(("shape", "axes"), [((300, 40), (0,)), ((3, 1100), (1,))])
def test_real_block_sizes(monkeypatch, shape, axes):
    monkeypatch.setattr(tuning, "TUNING", tuning.REAL)
    check_node(FUSED, attrs(shape, axes, "mean"), [numbers(*shape)])


def calls(shape, axes, kind="sum"):
    return LOWERINGS["fused"](node_of(FUSED, attrs(shape, axes, kind), [np.zeros(shape, "f4")]))


@pytest.mark.parametrize(
    ("shape", "axes", "launches"),
    [
        ((1 << 20,), (0,), 2),
        ((1 << 18, 64), (0,), 2),
        ((4, 1 << 18), (1,), 2),
        ((4096, 1024), (1,), 1),
        ((64, 4096), (0,), 1),
        ((100,), (0,), 1),
    ],
)
def test_few_outputs_are_folded_in_parts(monkeypatch, shape, axes, launches):
    monkeypatch.setattr(tuning, "TUNING", tuning.REAL)
    found = calls(shape, axes)
    assert len(found) == launches
    if launches == 2:
        (scratch,) = (a for a in found[0].arguments if isinstance(a, Scratch))
        assert scratch in found[1].arguments
        assert found[0].tiles <= tuning.REAL.blocks
        assert found[0].tiles >= tuning.REAL.blocks // 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "axes"),
    [((1 << 20,), (0,)), ((4096, 64), (0,)), ((64, 10), (1,)), ((8, 9, 10), (0, 2))],
)
def test_compiles_clean(assert_clean, kind, shape, axes):
    for call in calls(shape, axes, kind):
        assert_clean(call.kernel)


def test_shapes_share_kernels():
    one, other = calls((64, 1000), (1,)), calls((50, 1001), (1,))
    assert [each.kernel.key for each in one] == [each.kernel.key for each in other]


def test_every_part_is_covered():
    """Chunks cover all elements: checked on the numbers that the kernels are given."""
    for size in (1, 7, 4095, 4097, 1 << 20, (1 << 20) + 1):
        first = calls((size,), (0,))[0]
        _, elements, chunk, blocks, _ = first.arguments[2:7]
        parts = first.tiles // blocks
        assert elements == size
        assert (parts - 1) * chunk < size <= parts * chunk
        assert parts == math.ceil(size / chunk)


def test_kernel_text_is_readable(golden):
    (text,) = calls((4096, 64), (0,), "max")[0].kernel.parameters
    golden("cuda_fold_max", text)
