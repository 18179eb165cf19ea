"""CUDA's kernels for composite nodes, against NumPy in float64."""

import numpy as np
import pytest

from numbanet.compile import Options, optimise
from numbanet.ir import DType
from numbanet.kernels.cuda import LOWERINGS
from numbanet.ops.composite import POOLED, ROWS
from tests.kernels.cuda.lowered import calls_of, run_calls
from tests.passes.test_composite import POOLINGS, classifier, pooling


def optimised(graph):
    native = frozenset(LOWERINGS)
    return optimise(graph, native, Options())


def composite_nodes(graph):
    return [node for node in graph.nodes if node.op in (ROWS, POOLED)]


@pytest.mark.simulator
@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.FLOAT64])
@pytest.mark.parametrize(
    "sizes", [(5, 7, 6, 3), (1, 40, 9, 1), (3, 33, 1, 12), (3, 1030, 17, 4)]
)
def test_agrees_with_its_reference(sizes, dtype):
    check(classifier(*sizes, dtype=dtype), dtype, classes=sizes[3])


@pytest.mark.simulator
@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.FLOAT64])
@pytest.mark.parametrize("pool", POOLINGS.values(), ids=POOLINGS)
def test_pools_agree_with_their_references(pool, dtype):
    check(pooling(pool, dtype=dtype), dtype)


def check(graph, dtype, classes=3):
    nodes = composite_nodes(optimised(graph))
    assert nodes
    rng = np.random.default_rng(1)
    for node in nodes:
        arrays = [
            rng.normal(size=value.type.sizes).astype(value.dtype.numpy)
            if value.dtype.is_floating
            else rng.integers(0, classes, value.type.sizes).astype(value.dtype.numpy)
            for value in node.inputs
        ]
        wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
        expected = node.op.reference(node.attrs, *wide)
        expected = expected if isinstance(expected, tuple) else (expected,)
        found = run_calls(node, calls_of(node), arrays)
        tolerance = 2e-5 if dtype is DType.FLOAT32 else 1e-11
        for got, want in zip(found, expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def test_chains_compile_clean(assert_clean):
    for sizes in ((64, 784, 128, 10), (128, 96, 200, 30)):
        for node in composite_nodes(optimised(classifier(*sizes, dtype=DType.FLOAT32))):
            assert_clean(calls_of(node)[-1].kernel)


@pytest.mark.parametrize("pool", POOLINGS.values(), ids=POOLINGS)
def test_pools_compile_clean(assert_clean, pool):
    for node in composite_nodes(optimised(pooling(pool, dtype=DType.FLOAT32))):
        (call,) = calls_of(node)
        assert_clean(call.kernel)
