"""Layers against Keras's with the same weights: shapes, values, gradients, moved statistics."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from numbanet import layers, ops
from numbanet.autodiff import differentiate
from numbanet.ir import DType, Graph
from numbanet.layers.layer import UNSUPPORTED
from numbanet.passes.inference import inference
from numbanet.state.linking import link
from numbanet.testing import evaluate, run
from tests.keras_peer import import_keras
from tests.layers.cases import LAYERS, Row, values

keras = import_keras()
jax = pytest.importorskip("jax")
# Each row compiles a program of its own, which runs once.
jax.config.update("jax_disable_most_optimizations", True)

pytestmark = [
    pytest.mark.skipif(keras.backend.backend() != "jax", reason="gradients are taken by JAX"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy"),
]

BATCH = 3

# Keras 3.15 sums the sums of sorted elements, where the paper takes the last of them.
ROWS = [row for row in LAYERS if row.arguments.get("activation") != "sparsemax"]


def built(row: Row) -> tuple[Any, Any, Any, Any]:
    """Our layer and its inputs and output, and Keras's layer, with the same weights."""
    ours = row.make()
    inputs = row.inputs()
    output = ours(inputs)
    peer = getattr(keras.layers, row.name)(**row.arguments, dtype=_dtype(row))
    shapes = [(None, *shape) for shape in _shapes(row)]
    peer.build(shapes if isinstance(row.shape, list) else shapes[0])
    weights = [
        _like(np.random.default_rng(i), array) for i, array in enumerate(ours.get_weights())
    ]
    assert [w.shape for w in weights] == [tuple(w.shape) for w in peer.weights]
    peer.set_weights(weights)
    if row.name == "Normalization":
        peer.finalize_state()
    ours.set_weights(weights)
    return ours, inputs, output, peer


def _dtype(row: Row) -> str:
    return row.dtype if row.dtype.startswith("float") else "float32"


def _shapes(row: Row) -> list[tuple[int, ...]]:
    return row.shape if isinstance(row.shape, list) else [row.shape]


def _like(rng: np.random.Generator, array: np.ndarray) -> np.ndarray:
    """Positive, so that variances are."""
    return rng.uniform(0.2, 1.5, array.shape).astype(array.dtype)


def close(found: np.ndarray, expected: Any, tolerance: float) -> None:
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    scale = float(np.max(np.abs(expected), initial=0.0)) or 1.0
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
def test_layer_is_as_keras_has_it(row: Row) -> None:
    with jax.enable_x64(row.dtype == "float64"):
        compare(row)


def compare(row: Row) -> None:
    exact = row.dtype == "float64"
    for_values, for_gradients = (1e-10, 1e-10) if exact else (1e-5, 1e-4)
    ours, inputs, output, peer = built(row)
    arrays = row.arrays(BATCH)
    feeds = dict(zip(values(inputs), arrays, strict=True))
    fed = arrays if isinstance(row.shape, list) else arrays[0]

    outside = inference(Graph(tuple(values(inputs)), {"y": output}))
    outside_values = evaluate(outside, feeds)["y"]
    weight = np.random.default_rng(1).uniform(0.5, 1.5, (BATCH, *output.shape[1:]))
    is_float = row.dtype.startswith("float")

    def loss(parameters: Any, given: Any, is_training: bool) -> Any:
        mode = {"training": is_training} if peer._call_has_training_arg else {}
        buffers = [v.value for v in peer.non_trainable_variables]
        result, state = peer.stateless_call(parameters, buffers, given, **mode)
        return (result * weight.astype(_dtype(row))).sum(), (result, state)

    def everything(parameters: Any, given: Any) -> Any:
        wanted = (0, 1) if is_float else (0,)
        train = jax.grad(loss, wanted, has_aux=True)
        trained = None if row.is_random else train(parameters, given, True)
        return loss(parameters, given, False)[1][0], trained

    start = [v.value for v in peer.trainable_variables]
    result, training = jax.jit(everything)(start, fed)
    close(outside_values, result, for_values)
    if row.is_random:
        return

    slopes, (result, state) = training
    trained = [v for v in ours.variables().values() if v.trainable]
    # Linked and bound to the batch's size, as a program is.
    known = [ops.input_value(f"x{i}", a.shape, DType.of(a.dtype)) for i, a in enumerate(arrays)]
    y = ours.record(known if isinstance(row.shape, list) else known[0])
    graph, linked = link(Graph(tuple(known), {"y": y}))
    y = graph.outputs["y"]
    leaves = [linked.of(v) for v in trained]
    moving = [*leaves, *(known if is_float else [])]
    gradients = differentiate([y], moving, [ops.constant(weight, y.dtype)])
    outputs = {"y": y, **{f"g{i}": g for i, g in enumerate(gradients)}}
    found = run(
        Graph(tuple(known), outputs, graph.updates), dict(zip(known, arrays, strict=True))
    )

    close(found["y"], result, for_values)
    layouts = [v.layout for v in trained]
    expected = [
        np.asarray(s) if layout is None else np.asarray(s).transpose(layout)
        for s, layout in zip(slopes[0], layouts, strict=True)
    ]
    if is_float:
        expected += list(slopes[1]) if isinstance(row.shape, list) else [slopes[1]]
    for i, slope in enumerate(expected):
        close(found[f"g{i}"], slope, for_gradients)
    frozen = [v for v in ours.variables().values() if not v.trainable]
    for variable, moved in zip(frozen, state, strict=True):
        close(variable.numpy(), moved, for_values)


@pytest.mark.parametrize("name", sorted({row.name for row in LAYERS}))
def test_arguments_are_those_of_keras_in_their_order(name: str) -> None:
    ours, theirs = (getattr(room, name) for room in (layers, keras.layers))
    wanted = [each for each in _named(theirs) if each not in UNSUPPORTED]
    own = [each for each in _named(ours) if each not in ("kwargs", "options")]
    # Arguments may be named in a base class: then they are taken by name only.
    inherited = {each for base in ours.__mro__[1:] for each in _named(base)}
    if ours.__init__ is not layers.Layer.__init__:
        assert own == wanted[: len(own)]
    assert set(wanted) - set(own) <= inherited
    own_defaults = _defaults(ours)
    for argument, default in _defaults(theirs).items():
        if argument in own_defaults:
            assert _plain(own_defaults[argument]) == _plain(default), argument


def _named(kind: type) -> list[str]:
    skipped = ("self", "args", "kwargs", "options", "others", "name", "dtype")
    return [each for each in inspect.signature(kind.__init__).parameters if each not in skipped]


def _defaults(kind: type) -> dict[str, Any]:
    return {
        each.name: each.default
        for each in inspect.signature(kind.__init__).parameters.values()
        if each.name in _named(kind) and each.default is not inspect.Parameter.empty
    }


def _plain(default: Any) -> Any:
    """Equal sizes of both axes are one; names of classes and initializers count as one."""
    if isinstance(default, (tuple, list)) and len(set(default)) == 1:
        return _plain(default[0])
    return default.lower() if isinstance(default, str) else default
