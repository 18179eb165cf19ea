"""Functions that draw random numbers, computed by the ops' references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.ir import Graph, Value, attrs_of
from numbanet.ops.random import RANDOM_STATE, RandomStateAttrs
from numbanet.passes.inference import inference
from numbanet.testing import evaluate, inputs_like


def drawn(
    function: Callable[..., Value], x: np.ndarray, seed: int = 5, step: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The result of ``function`` on ``x``, and the gradient of its sum."""
    (value,) = inputs_like([x])
    graph = ops.number_streams(Graph((value,), {"y": function(value)}))
    y = graph.outputs["y"]
    results = [y, *differentiate([ops.sum(y)], [value])]
    first, second = evaluate(results, {value: x, **_states(results, seed, step)})
    return first, second


def at_inference(function: Callable[..., Value], x: np.ndarray) -> np.ndarray:
    """The result at inference of ``function`` on ``x``, recorded without a batch size."""
    value = ops.input_value("x", (None, *x.shape[1:]), inputs_like([x])[0].dtype)
    graph = inference(Graph((value,), {"y": function(value)}))
    return evaluate(graph.outputs["y"], {value: x})


def _states(results: Sequence[Value], seed: int, step: int) -> dict[Any, Any]:
    nodes = Graph((), {str(i): each for i, each in enumerate(results)}).nodes
    return {
        node.output: np.array(seed if attrs_of(node, RandomStateAttrs).kind == "seed" else step)
        for node in nodes
        if node.op is RANDOM_STATE
    }
