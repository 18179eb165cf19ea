"""Transposes between channels-first layers cancel; data moves at the edges only."""

import numpy as np

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.ir import REGISTRY, DType, Graph
from numbanet.ops.convolution import conv2d
from numbanet.ops.random import dropout
from numbanet.passes.algebra import algebra
from numbanet.passes.decompose import decompose
from numbanet.passes.fold import fold
from numbanet.passes.layout import layout
from numbanet.testing import evaluate

NHWC, NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
F64 = DType.FLOAT64


def transposes(graph):
    return sum(node.op.name == "transpose" for node in graph.nodes)


def convolve(x, w):
    """A channels-first convolution."""
    return ops.transpose(conv2d(ops.transpose(x, NHWC), w, padding="same"), NCHW)


def channels_first_network():
    """Convolution, bias and activation in between, a skip connection, a concatenation."""
    x = ops.input_value("x", (2, 3, 5, 4), F64)
    w = ops.input_value("w", (3, 3, 3, 3), F64)
    bias = ops.input_value("bias", (3,), F64)
    hidden = ops.relu(convolve(x, w) + ops.reshape(bias, (1, 3, 1, 1)))
    skipped = ops.tanh(convolve(hidden, w)) + hidden * 0.5
    joined = ops.concatenate([skipped, hidden], axis=1)
    cropped = ops.pad(joined, [(0, 0), (0, 0), (1, 0), (0, 0)])[:, :3, 1:]
    return (x, w, bias), convolve(cropped, w)


def feeds_for(inputs):
    rng = np.random.default_rng(0)
    return {value: rng.uniform(-1, 1, value.type.sizes) for value in inputs}


def test_transposes_cancel_between_convolutions():
    inputs, y = channels_first_network()
    before = Graph(inputs, {"y": y})
    after = layout(before)
    assert transposes(before) == 6
    assert transposes(after) == 2
    feeds = feeds_for(inputs)
    np.testing.assert_allclose(
        evaluate(after, {v.node.attrs.name: a for v, a in feeds.items()})["y"],
        evaluate(before, feeds)["y"],
        rtol=1e-12,
        atol=1e-12,
    )


def test_backward_pass_is_mended_too():
    inputs, y = channels_first_network()
    loss = ops.mean(y * y)
    gradients = differentiate([loss], inputs)
    named = {f"d{i}": gradient for i, gradient in enumerate(gradients[1:])}
    before = Graph(inputs, {"loss": loss, **named})
    # A split is several slices before it comes to layout.
    plain = decompose(before, frozenset(REGISTRY) - {"split"})
    after = layout(algebra(fold(plain)))
    # The image comes in channels-first; nothing else moves.
    assert transposes(after) == 1
    feeds = {v.node.attrs.name: a for v, a in feeds_for(inputs).items()}
    expected, got = evaluate(before, feeds), evaluate(after, feeds)
    for name in expected:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-12, atol=1e-12)


def test_statistics_of_channels_need_no_transpose():
    x = ops.input_value("x", (2, 5, 4, 3), F64)
    mean = ops.mean(ops.transpose(x, NCHW), (0, 2, 3))
    graph = layout(Graph((x,), {"y": mean}))
    assert transposes(graph) == 0
    numbers = np.random.default_rng(1).uniform(size=(2, 5, 4, 3))
    np.testing.assert_allclose(
        evaluate(graph, {"x": numbers})["y"], numbers.mean((0, 1, 2)), rtol=1e-12
    )


def test_reduction_that_mixes_the_order_moves_only_its_result():
    x = ops.input_value("x", (2, 3, 4), F64)
    total = ops.sum(ops.transpose(x, (2, 1, 0)), 1)
    graph = layout(Graph((x,), {"y": total}))
    assert [n.op.name for n in graph.nodes] == ["input", "sum", "transpose"]
    numbers = np.random.default_rng(1).uniform(size=(2, 3, 4))
    np.testing.assert_allclose(
        evaluate(graph, {"x": numbers})["y"], numbers.sum(1).T, rtol=1e-12
    )


def test_operand_in_another_order_keeps_the_transpose_above():
    x, y = ops.input_value("x", (3, 4)), ops.input_value("y", (4, 3))
    graph = layout(Graph((x, y), {"z": ops.transpose(x) + y}))
    assert [n.op.name for n in graph.nodes] == ["input", "input", "transpose", "add"]


def test_random_numbers_stay_with_their_elements():
    x = ops.input_value("x", (3, 4))
    seed, step = ops.constant(1, DType.INT64), ops.constant(2, DType.INT64)
    graph = layout(Graph((x,), {"y": dropout(ops.transpose(x), 0.5, seed, step)}))
    assert graph.outputs["y"].node.op.name == "dropout"
