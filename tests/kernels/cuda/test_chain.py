"""Row nodes: what the pass makes of a graph, and what CUDA's kernel makes of a row node."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.compile import Options, compile_program, optimise
from numbanet.ir import DType, Graph, attrs_of
from numbanet.kernels.cuda import LOWERINGS
from numbanet.ops.rows import ROWS, RowsAttrs, members
from numbanet.passes.epilogue import epilogue
from numbanet.passes.fuse import fuse
from numbanet.passes.rows import rows
from tests.kernels.cuda.lowered import calls_of, flat, run_calls
from tests.reference_device import ReferenceDevice


def classifier(count, features, hidden, classes, dtype=DType.FLOAT32):
    """Loss and gradients of two layers, without the products for the weights' gradients."""
    x = ops.input_value("x", (count, features), dtype)
    w1 = ops.input_value("w1", (features, hidden), dtype)
    b1 = ops.input_value("b1", (hidden,), dtype)
    w2 = ops.input_value("w2", (hidden, classes), dtype)
    b2 = ops.input_value("b2", (classes,), dtype)
    labels = ops.input_value("labels", (count,), DType.INT32)
    h = ops.relu(x @ w1 + b1)
    loss = ops.cross_entropy(h @ w2 + b2, labels)
    mean = ops.mean(loss)
    inputs = (x, w1, b1, w2, b2, labels)
    gradients = differentiate([mean], [w1, b1, w2, b2])
    named = {f"d{i}": each for i, each in enumerate(gradients)}
    return Graph(inputs, {"loss": mean, "h": h, **named})


def optimised(graph):
    native = frozenset(LOWERINGS)
    return optimise(graph, native, Options())


def row_nodes(graph):
    return [node for node in graph.nodes if node.op is ROWS]


def feeds_of(graph, seed=0):
    rng = np.random.default_rng(seed)
    return {
        value.node.attrs.name: rng.integers(0, 3, value.type.sizes).astype(np.int32)
        if value.dtype is DType.INT32
        else rng.normal(size=value.type.sizes).astype(value.dtype.numpy)
        for value in graph.inputs
    }


def test_a_small_classifier_is_one_row_node():
    (node,) = row_nodes(optimised(classifier(64, 784, 128, 10)))
    names = [step.op.name for step in members(node)]
    assert names == ["matmul", "matmul", "cross_entropy", "fused", "matmul"]
    assert attrs_of(node, RowsAttrs).has_head


def test_large_products_are_left_to_tiles():
    graph = optimised(classifier(64, 784, 512, 200))
    assert all(
        step.op.name != "matmul" for node in row_nodes(graph) for step in members(node)[1:]
    )


def test_the_pass_changes_no_number():
    graph = classifier(5, 7, 6, 3, DType.FLOAT64)
    after = rows(fuse(epilogue(graph)))
    assert row_nodes(after)
    feeds = feeds_of(graph)
    device = ReferenceDevice(frozenset(LOWERINGS) | {"rows"})
    found = []
    for passes in (Options().passes, frozenset()):
        executable = device.load(compile_program(graph, device, options=Options(passes)))
        for name, array in feeds.items():
            executable.bind(name, array)
        executable.run()
        found.append([executable.output(name) for name in graph.outputs])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.simulator
@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.FLOAT64])
@pytest.mark.parametrize(
    "sizes", [(5, 7, 6, 3), (1, 40, 9, 1), (3, 33, 1, 12), (3, 1030, 17, 4)]
)
def test_agrees_with_its_reference(sizes, dtype):
    graph = optimised(classifier(*sizes, dtype=dtype))
    nodes = row_nodes(graph)
    assert nodes
    rng = np.random.default_rng(1)
    for node in nodes:
        arrays = [
            rng.integers(0, max(sizes[3], 1), value.type.sizes).astype(np.int32)
            if value.dtype is DType.INT32
            else rng.normal(size=value.type.sizes).astype(value.dtype.numpy)
            for value in node.inputs
        ]
        wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
        expected = ROWS.reference(node.attrs, *wide)
        expected = expected if isinstance(expected, tuple) else (expected,)
        found = run_calls(node, calls_of(node), [flat(a).reshape(a.shape) for a in arrays])
        tolerance = 2e-5 if dtype is DType.FLOAT32 else 1e-11
        for got, want in zip(found, expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def test_chains_compile_clean(assert_clean):
    for sizes in ((64, 784, 128, 10), (128, 96, 200, 30)):
        for node in row_nodes(optimised(classifier(*sizes))):
            assert_clean(calls_of(node)[-1].kernel)
