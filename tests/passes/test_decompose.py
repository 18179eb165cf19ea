"""Decomposition into what a device has, and inference forms."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.errors import DeviceError
from numbanet.ir import REGISTRY, DType, Graph, scope
from numbanet.ops.random import dropout
from numbanet.ops.softmax import softmax
from numbanet.passes.decompose import decompose
from numbanet.passes.inference import inference
from numbanet.testing import evaluate

PRIMITIVE = frozenset(name for name, op in REGISTRY.items() if op.decompose is None)


def names(graph):
    return {node.op.name for node in graph.nodes}


def test_native_op_stays():
    x = ops.input_value("x", (3, 4))
    graph = Graph((x,), {"y": softmax(x)})
    assert decompose(graph, frozenset({"softmax"})) is graph


def test_composite_op_becomes_what_the_device_has_and_keeps_its_path():
    x = ops.input_value("x", (3, 4), DType.FLOAT64)
    with scope("head"):
        y = softmax(x)
    graph = decompose(Graph((x,), {"y": y}), PRIMITIVE)
    assert "softmax" not in names(graph)
    assert {node.path for node in graph.nodes if not node.op.is_leaf} == {"head"}
    numbers = np.random.default_rng(0).uniform(-3, 3, (3, 4))
    exponentials = np.exp(numbers)
    np.testing.assert_allclose(
        evaluate(graph, {"x": numbers})["y"],
        exponentials / exponentials.sum(1, keepdims=True),
        rtol=1e-12,
    )


def test_op_without_kernel_or_decomposition_is_named():
    x = ops.input_value("x", (3, 4))
    with scope("encoder"):
        y = ops.argmax(x)
    with pytest.raises(DeviceError, match=r"encoder: .*argmax\(\)"):
        decompose(Graph((x,), {"y": y}), frozenset())


def test_inference_drops_dropout():
    x = ops.input_value("x", (3, 4))
    seed, step = ops.constant(1, DType.INT64), ops.constant(2, DType.INT64)
    y = ops.relu(dropout(x, 0.5, seed, step))
    graph = inference(Graph((x,), {"y": y}))
    assert names(graph) == {"input", "relu"}
