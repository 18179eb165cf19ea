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


SHARED = [name for name in layers.__all__ if inspect.isclass(getattr(keras.layers, name, None))]
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@pytest.mark.parametrize("name", SHARED)
def test_arguments_and_defaults_are_those_of_keras(name: str) -> None:
    ours, theirs = (getattr(room, name) for room in (layers, keras.layers))
    wanted = {k: v for k, v in _parameters(theirs).items() if k not in UNSUPPORTED}
    places = [*ours.__mro__, *getattr(ours, "cell_type", object).__mro__]
    found = {k: v for each in reversed(places) for k, v in _parameters(each).items()}
    assert set(wanted) <= set(found)
    for argument, parameter in wanted.items():
        if parameter.default is not inspect.Parameter.empty:
            assert _plain(found[argument].default) == _plain(parameter.default), argument
    own = [k for k, v in _parameters(ours).items() if v.kind is not v.KEYWORD_ONLY]
    assert own == list(wanted)[: len(own)]


def _parameters(kind: type) -> dict[str, inspect.Parameter]:
    """What a constructor takes, but for what all layers take by name."""
    if kind is object:
        return {}
    listed = inspect.signature(kind.__init__).parameters.values()
    skipped = ("self", "name", "dtype", "trainable")
    return {p.name: p for p in listed if p.kind not in VARIADIC and p.name not in skipped}


ALIASES = [
    ("AvgPool1D", layers.AveragePooling1D),
    ("AvgPool2D", layers.AveragePooling2D),
    ("Convolution1D", layers.Conv1D),
    ("Convolution1DTranspose", layers.Conv1DTranspose),
    ("Convolution2D", layers.Conv2D),
    ("Convolution2DTranspose", layers.Conv2DTranspose),
    ("GlobalAvgPool1D", layers.GlobalAveragePooling1D),
    ("GlobalAvgPool2D", layers.GlobalAveragePooling2D),
    ("GlobalMaxPool1D", layers.GlobalMaxPooling1D),
    ("GlobalMaxPool2D", layers.GlobalMaxPooling2D),
    ("MaxPool1D", layers.MaxPooling1D),
    ("MaxPool2D", layers.MaxPooling2D),
    ("SeparableConvolution1D", layers.SeparableConv1D),
    ("SeparableConvolution2D", layers.SeparableConv2D),
]


@pytest.mark.parametrize(("alias", "layer"), ALIASES)
def test_other_names(alias: str, layer: type) -> None:
    assert getattr(layers, alias) is layer
    assert getattr(keras.layers, alias) is getattr(keras.layers, layer.__name__)


def _plain(default: Any) -> Any:
    """Equal sizes of both axes are one; names of classes and initializers count as one."""
    if isinstance(default, (tuple, list)) and len(set(default)) == 1:
        return _plain(default[0])
    return default.lower() if isinstance(default, str) else default
