"""Row kernels against NumPy in float64: short and long rows, and rows of infinities and NaN."""

import numpy as np
import pytest

from numbanet.ir import REGISTRY
from numbanet.kernels.cpu.compile import run_kernel
from numbanet.kernels.cpu.registry import LOWERINGS
from numbanet.ops.layer_norm import LayerNormAttrs
from tests.kernels.cpu.lowered import check, compute, leaves

SHAPES = [(1, 1), (5,), (3, 2), (2000, 10), (7, 33), (2, 3, 77), (37, 1000), (3, 9001), (0, 4)]
KINDS = [(shape, np.float32) for shape in SHAPES] + [((5,), np.float64), ((9, 700), np.float64)]


def numbers(shape, dtype=np.float32, scale=4.0):
    return (np.random.default_rng(0).standard_normal(shape) * scale).astype(dtype)


def node_of(name, arrays, **attrs):
    return REGISTRY[name].node(*leaves(arrays), **attrs)


@pytest.mark.parametrize(("shape", "dtype"), KINDS)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name, shape, dtype):
    x = numbers(shape, dtype)
    check(node_of(name, [x]), [x])


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("columns", [5, 70])
def test_rows_of_extremes(name, columns):
    """Large numbers do not overflow; infinities and NaN spread over their row, and no other."""
    x = numbers((9, columns))
    x[0] = 1e38
    x[1] = -1e38
    x[2, 0] = -np.inf
    x[3] = -np.inf
    x[4, 1] = np.inf
    x[5, 2] = np.nan
    x[6, 3] = -np.nan
    x[7] = np.linspace(-300, 300, columns)
    (result,) = compute(node_of(name, [x]), [x])
    with np.errstate(all="ignore"):
        expected = REGISTRY[name].reference(None, x.astype(np.float64))
    np.testing.assert_allclose(result, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("ids", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize(("shape", "dtype"), KINDS)
def test_cross_entropy(shape, dtype, ids):
    x = numbers(shape, dtype)
    count = min(shape[-1], 256)
    labels = np.random.default_rng(1).integers(0, count, shape[:-1]).astype(ids)
    check(node_of("cross_entropy", [x, labels]), [x, labels])


@pytest.mark.parametrize("columns", [5, 70])
def test_cross_entropy_of_extremes(columns):
    x = numbers((4, columns))
    x[0, 0] = 1e30
    x[1, 0] = -np.inf
    x[2, 1] = np.nan
    labels = np.array([1, 0, 0, 2])
    results = compute(node_of("cross_entropy", [x, labels]), [x, labels])
    with np.errstate(all="ignore"):
        expected = REGISTRY["cross_entropy"].reference(None, x.astype(np.float64), labels)
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, wanted, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("columns", [5, 70])
def test_a_label_that_names_no_class_gives_nan(columns):
    """Without reading or writing beyond the row: the memory of `compute` has walls."""
    x, labels = numbers((3, columns)), np.array([columns, -1, 2])
    loss, unit = compute(node_of("cross_entropy", [x, labels]), [x, labels])
    assert np.isnan(loss).tolist() == [True, True, False]
    softmax = REGISTRY["softmax"].reference(None, x.astype(np.float64))
    np.testing.assert_allclose(unit[:2], softmax[:2], rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(("shape", "dtype"), KINDS)
def test_layer_norm(shape, dtype):
    arrays = [numbers(s, dtype) + dtype(3) for s in (shape, shape[-1:], shape[-1:])]
    attrs = LayerNormAttrs(1e-3)
    check(node_of("layer_norm", arrays, attrs=attrs), arrays, rtol=None, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "dtype"), [*KINDS, ((700, 300), np.float32), ((1, 5000), np.float64)]
)
def test_layer_norm_grad(shape, dtype):
    shapes = (shape, shape[-1:], shape[:-1], shape[:-1], shape)
    arrays = [numbers(s, dtype, scale=1.0) for s in shapes]
    arrays[4] = arrays[4][::-1].copy()
    check(node_of("layer_norm_grad", arrays), arrays)


def test_layer_norm_far_from_zero():
    """The variance is that of distances from the mean, not a difference of large squares."""
    x = numbers((3, 500), scale=0.01) + np.float32(100)
    one, zero = np.ones(500, np.float32), np.zeros(500, np.float32)
    node = node_of("layer_norm", [x, one, zero], attrs=LayerNormAttrs(1e-8))
    y, _, _ = compute(node, [x, one, zero])
    wide = x.astype(np.float64)
    expected = (wide - wide.mean(1, keepdims=True)) / wide.std(1, keepdims=True)
    np.testing.assert_allclose(y, expected, atol=2e-3)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "cross_entropy", "layer_norm"])
@pytest.mark.parametrize("columns", [10, 300])
def test_results_may_take_the_place_of_inputs(name, columns):
    x = numbers((50, columns))
    arrays, attrs = [x], {}
    if name == "cross_entropy":
        arrays.append(np.arange(50) % columns)
    if name == "layer_norm":
        arrays += [x[0].copy(), x[1].copy()]
        attrs = {"attrs": LayerNormAttrs(1e-3)}
    node = node_of(name, arrays, **attrs)
    (call,) = LOWERINGS[name](node)
    ((read, written),) = call.in_place
    results = dict(zip(node.outputs, compute(node, arrays), strict=True))
    memory = {value: np.empty_like(result) for value, result in results.items()}
    memory |= dict(zip(node.inputs, arrays, strict=True))
    memory[call.arguments[written]] = memory[call.arguments[read]]
    run_kernel(call.kernel, [memory.get(a, a) for a in call.arguments], call.tiles)
    for value, result in results.items():
        np.testing.assert_array_equal(memory[value], result)


def test_a_node_says_what_it_costs():
    x, labels = numbers((8, 10)), np.zeros(8, np.int32)
    (call,) = LOWERINGS["cross_entropy"](node_of("cross_entropy", [x, labels]))
    assert call.nbytes == 2 * x.nbytes + labels.nbytes + 8 * 4
    assert call.flops == 5 * x.size


def test_the_kernel_does_not_depend_on_the_number_of_rows():
    first, second = (
        LOWERINGS["softmax"](node_of("softmax", [numbers((rows, 100))]))[0]
        for rows in (3, 4000)
    )
    assert first.kernel.key == second.kernel.key
