"""Layers that are called on more than one input, against Keras's: values and gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from numbanet import Input, layers
from numbanet.autodiff import differentiate
from numbanet.ir import Graph
from numbanet.layers.structure import flatten
from numbanet.ops import constant
from numbanet.state.linking import link
from numbanet.testing import evaluate, inputs_like
from tests.keras_peer import import_keras

keras = import_keras()
jax = pytest.importorskip("jax")

needs_jax = [
    pytest.mark.skipif(keras.backend.backend() != "jax", reason="gradients are taken by JAX"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy"),
]

FOR_VALUES, FOR_GRADIENTS = 1e-5, 1e-4
"""Relative to the largest element, or to one."""

Call = Callable[..., Any]
"""Calls a layer, ours or Keras's, on inputs: ``call(layer, *inputs)``."""


def compare_calls(make: Callable[[Any], Any], arrays: Sequence[np.ndarray], call: Call) -> None:
    """``call`` gives the same for ``make(layers)`` and ``make(keras.layers)``, with one set of
    weights; and so do gradients of all weights and floating-point arrays."""
    arrays = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in arrays]
    moving = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    ours, peer = make(layers), make(keras.layers)
    symbolic = flatten(call(ours, *(Input(a.shape[1:], dtype=a.dtype.name) for a in arrays)))
    call(peer, *(keras.Input(a.shape[1:], dtype=a.dtype.name) for a in arrays))
    rng = np.random.default_rng(3)
    weights = [rng.normal(0, 0.7, w.shape).astype(np.float32) for w in peer.weights]
    peer.set_weights(weights)
    ours.set_weights(weights)
    results, slopes = _peers(peer, arrays, moving, call)
    layouts = [v.layout for v in ours.trainable_weights] + [None] * len(moving)
    slopes = [
        s if layout is None else s.transpose(layout)
        for s, layout in zip(slopes, layouts, strict=True)
    ]
    for value, result in zip(symbolic, results, strict=True):
        assert value.shape == (None, *result.shape[1:])
    found = _found(ours, arrays, moving, call)
    for i, (mine, theirs) in enumerate(zip(found, [*results, *slopes], strict=True)):
        _close(mine, theirs, FOR_VALUES if i < len(results) else FOR_GRADIENTS)


def _peers(
    peer: Any, arrays: Sequence[np.ndarray], moving: list[int], call: Call
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Keras's results, and gradients of their weighted sum."""

    def loss(weights: Any, moved: Any) -> Any:
        given = list(arrays)
        for place, array in zip(moving, moved, strict=True):
            given[place] = array
        pairs = list(zip(peer.trainable_variables, weights, strict=True))
        with keras.StatelessScope(pairs):
            results = flatten(call(peer, *given))
        return sum((r * _seed_of(r.shape)).sum() for r in results), results

    start = [v.value for v in peer.trainable_variables]
    gradient = jax.jit(jax.grad(loss, (0, 1), has_aux=True))
    slopes, results = gradient(start, [arrays[i] for i in moving])
    return [np.asarray(r) for r in results], [np.asarray(s) for part in slopes for s in part]


def _found(
    ours: Any, arrays: Sequence[np.ndarray], moving: list[int], call: Call
) -> list[np.ndarray]:
    """Ours: results, and gradients of their weighted sum."""
    inputs = inputs_like(arrays)
    outputs = {f"y{i}": y for i, y in enumerate(flatten(call(ours, *inputs)))}
    graph, linked = link(Graph(tuple(inputs), outputs))
    ends = list(graph.outputs.values())
    wanted = [*(linked.of(v) for v in ours.trainable_weights), *(inputs[i] for i in moving)]
    gradients = differentiate(ends, wanted, [constant(_seed_of(y.type.sizes)) for y in ends])
    return evaluate([*ends, *gradients], dict(zip(inputs, arrays, strict=True)))


def _seed_of(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(len(shape)).uniform(0.5, 1.5, shape).astype(np.float32)


def _close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    assert found.shape == expected.shape
    # Some gradients are zeros, but for rounding: that of a key's bias before a softmax.
    scale = float(np.max(np.abs(expected), initial=1.0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)
