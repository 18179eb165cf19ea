"""Composite nodes: rows and pooling with what is around them, as NumPy computes them."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.compile import Options, compile_program, optimise
from numbanet.ir import DType, Graph, attrs_of
from numbanet.ir.verify import verify
from numbanet.ops.composite import POOLED, ROWS, CompositeAttrs, members
from numbanet.testing import run as run_reference
from tests.plan.test_models import KERNELS
from tests.reference_device import ReferenceDevice

DEVICE_OPS = KERNELS | {"avg_pool2d", "avg_pool2d_grad", POOLED.name, ROWS.name}


def classifier(count, features, hidden, classes, dtype=DType.FLOAT64) -> Graph:
    """Loss and gradients of two layers."""
    x = ops.input_value("x", (count, features), dtype)
    w1 = ops.input_value("w1", (features, hidden), dtype)
    b1 = ops.input_value("b1", (hidden,), dtype)
    w2 = ops.input_value("w2", (hidden, classes), dtype)
    b2 = ops.input_value("b2", (classes,), dtype)
    labels = ops.input_value("labels", (count,), DType.INT32)
    h = ops.relu(x @ w1 + b1)
    loss = ops.mean(ops.cross_entropy(h @ w2 + b2, labels))
    gradients = differentiate([loss], [w1, b1, w2, b2])
    named = {f"d{i}": each for i, each in enumerate(gradients)}
    return Graph((x, w1, b1, w2, b2, labels), {"loss": loss, "h": h, **named})


def pooling(pool, *, rate=0.25, activation=ops.relu, dtype=DType.FLOAT64) -> Graph:
    """Activation, pooling, dropout and a product; the gradient with respect to the images."""
    x = ops.input_value("x", (2, 5, 6, 3), dtype)
    seed = ops.input_value("seed", (), DType.INT64)
    step = ops.input_value("step", (), DType.INT64)
    y = ops.dropout(pool(activation(x)), rate, seed, step)
    size = y.type.size // 2
    w = ops.input_value("w", (size, 4), dtype)
    loss = ops.sum(ops.square(ops.reshape(y, (2, size)) @ w))
    (gradient,) = differentiate([loss], [x])
    return Graph((x, seed, step, w), {"y": y, "dx": gradient})


POOLINGS = {
    "max": lambda x: ops.max_pool2d(x, 2),
    "max, windows overlap": lambda x: ops.max_pool2d(x, 3, stride=2, padding=1),
    "average": lambda x: ops.avg_pool2d(x, 2),
}


def feeds_of(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        value.node.attrs.name: rng.normal(size=value.type.sizes).astype(value.dtype.numpy)  # type: ignore[attr-defined]
        if value.dtype.is_floating
        else rng.integers(0, 3, value.type.sizes).astype(value.dtype.numpy)
        for value in graph.inputs
    }


def composites(graph: Graph, native=DEVICE_OPS) -> list[list[str]]:
    """Of each composite node the names of its steps."""
    after = optimise(graph, native, Options())
    verify(after)
    nodes = [node for node in after.nodes if node.op in (ROWS, POOLED)]
    return [[step.op.name for step in members(node)] for node in nodes]


def check(graph: Graph) -> None:
    """A device that has kernels for composites computes what NumPy does."""
    device, feeds = ReferenceDevice(DEVICE_OPS), feeds_of(graph)
    executable = device.load(compile_program(graph, device))
    for name, array in feeds.items():
        executable.bind(name, array)
    executable.run()
    for name, want in run_reference(graph, feeds).items():
        np.testing.assert_allclose(executable.output(name), want, rtol=1e-9, atol=1e-12)


def test_a_small_classifier_is_one_row_node() -> None:
    graph = optimise(classifier(64, 784, 128, 10, DType.FLOAT32), DEVICE_OPS, Options())
    (node,) = (node for node in graph.nodes if node.op is ROWS)
    names = [step.op.name for step in members(node)]
    assert names == ["matmul", "matmul", "cross_entropy", "fused", "matmul"]
    assert attrs_of(node, CompositeAttrs).has_head


def test_large_products_are_left_to_tiles() -> None:
    for names in composites(classifier(64, 784, 512, 200)):
        assert "matmul" not in names[1:]


@pytest.mark.parametrize("sizes", [(5, 7, 6, 3), (1, 4, 2, 1), (4, 1200, 20, 3)])
def test_rows_change_no_number(sizes) -> None:
    graph = classifier(*sizes)
    assert composites(graph)
    check(graph)


def test_pooling_takes_along_what_is_around_it() -> None:
    forward, backward = (
        names for names in composites(pooling(POOLINGS["max"])) if "matmul" not in names
    )
    assert forward == ["max_pool2d", "fused"]
    assert backward == ["fused", "max_pool2d_grad", "fused"]


@pytest.mark.parametrize("pool", POOLINGS.values(), ids=POOLINGS)
@pytest.mark.parametrize("activation", [ops.relu, ops.tanh])
def test_pools_change_no_number(pool, activation) -> None:
    graph = pooling(pool, activation=activation)
    assert composites(graph)
    check(graph)


def test_a_gradient_that_others_read_is_computed_once() -> None:
    x = ops.input_value("x", (1, 4, 4, 2), DType.FLOAT64)
    g = ops.input_value("g", (1, 2, 2, 2), DType.FLOAT64)
    y = ops.max_pool2d(x, 2)
    scaled = ops.tanh(g)
    (gradient,) = differentiate([y], [x], [scaled])
    graph = Graph((x, g), {"dx": gradient, "scaled": scaled})
    assert composites(graph) == []
    check(graph)


def test_devices_without_kernels_for_composites_get_none() -> None:
    assert composites(classifier(5, 7, 6, 3), KERNELS) == []
    assert composites(pooling(POOLINGS["max"]), KERNELS) == []
