"""Every layer: shapes with an unknown batch, parameters, and numbers against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from numbanet import layers
from numbanet.layers import Input, Module
from numbanet.testing import evaluate

Array = np.ndarray


@dataclass(frozen=True)
class Case:
    """A layer on one sample shape: what comes out, and how NumPy computes it."""

    make: Callable[[], Module]
    shape: tuple[int, ...]
    output: tuple[int | None, ...]
    numbers: Callable[[Array, dict[str, Array]], Array]
    parameters: dict[str, tuple[int, ...]] = field(default_factory=dict)


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def convolve(x: Array, w: Array, stride: int = 1, pad: int = 0) -> Array:
    """Plain loops over output pixels; w is [kh][kw][in][out]."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    rows = (x.shape[1] - w.shape[0]) // stride + 1
    columns = (x.shape[2] - w.shape[1]) // stride + 1
    y = np.zeros((x.shape[0], rows, columns, w.shape[3]))
    for i in range(rows):
        for j in range(columns):
            r, c = i * stride, j * stride
            window = x[:, r : r + w.shape[0], c : c + w.shape[1]]
            y[:, i, j] = np.einsum("nhwc,hwco->no", window, w)
    return y


def windows(x: Array, fold: Callable[..., Array]) -> Array:
    n, h, w, c = x.shape
    cut = x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c)
    return fold(cut, axis=(2, 4))


def batch_norm(x: Array, p: dict[str, Array]) -> Array:
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axes), x.var(axes)
    return (x - mean) / np.sqrt(variance + 1e-3) * p["gamma"] + p["beta"]


def layer_norm(x: Array, p: dict[str, Array]) -> Array:
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-3) * p["gamma"] + p["beta"]


CASES = {
    "dense": Case(
        lambda: layers.Dense(5, activation="relu", bias_initializer="random_normal"),
        (3,),
        (None, 5),
        lambda x, p: relu(x @ p["kernel"] + p["bias"]),
        {"kernel": (3, 5), "bias": (5,)},
    ),
    "dense on steps": Case(
        lambda: layers.Dense(1, use_bias=False),
        (7, 3),
        (None, 7, 1),
        lambda x, p: x @ p["kernel"],
        {"kernel": (3, 1)},
    ),
    "conv2d": Case(
        lambda: layers.Conv2D(4, 3, padding="same", activation="tanh"),
        (5, 7, 3),
        (None, 5, 7, 4),
        lambda x, p: np.tanh(convolve(x, p["kernel"], pad=1) + p["bias"]),
        {"kernel": (3, 3, 3, 4), "bias": (4,)},
    ),
    "conv2d strided": Case(
        lambda: layers.Conv2D(2, (2, 3), strides=2, bias_initializer="ones"),
        (7, 7, 1),
        (None, 3, 3, 2),
        lambda x, p: convolve(x, p["kernel"], stride=2) + p["bias"],
        {"kernel": (2, 3, 1, 2), "bias": (2,)},
    ),
    "max pooling": Case(
        layers.MaxPooling2D, (5, 4, 3), (None, 2, 2, 3), lambda x, p: windows(x, np.max)
    ),
    "average pooling": Case(
        layers.AveragePooling2D, (4, 7, 1), (None, 2, 3, 1), lambda x, p: windows(x, np.mean)
    ),
    "global average pooling": Case(
        layers.GlobalAveragePooling2D, (3, 5, 2), (None, 2), lambda x, p: x.mean((1, 2))
    ),
    "global max pooling": Case(
        lambda: layers.GlobalMaxPooling2D(keepdims=True),
        (3, 5, 2),
        (None, 1, 1, 2),
        lambda x, p: x.max((1, 2), keepdims=True),
    ),
    "flatten": Case(layers.Flatten, (3, 2, 5), (None, 30), lambda x, p: x.reshape(-1, 30)),
    "flatten flat": Case(layers.Flatten, (4,), (None, 4), lambda x, p: x),
    "flatten scalars": Case(layers.Flatten, (), (None, 1), lambda x, p: x[:, None]),
    "reshape": Case(
        lambda: layers.Reshape((3, -1)), (2, 6), (None, 3, 4), lambda x, p: x.reshape(-1, 3, 4)
    ),
    "relu": Case(layers.ReLU, (4,), (None, 4), lambda x, p: relu(x)),
    "relu, capped": Case(
        lambda: layers.ReLU(max_value=0.5, negative_slope=0.1),
        (4,),
        (None, 4),
        lambda x, p: np.minimum(np.where(x > 0, x, 0.1 * x), 0.5),
    ),
    "leaky relu": Case(
        layers.LeakyReLU, (4,), (None, 4), lambda x, p: np.where(x > 0, x, 0.3 * x)
    ),
    "elu": Case(layers.ELU, (4,), (None, 4), lambda x, p: np.where(x > 0, x, np.expm1(x))),
    "gelu": Case(
        lambda: layers.GELU(approximate=True),
        (4,),
        (None, 4),
        lambda x, p: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ),
    "softmax": Case(
        layers.Softmax,
        (2, 3),
        (None, 2, 3),
        lambda x, p: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    ),
    "activation": Case(
        lambda: layers.Activation("sigmoid"), (4,), (None, 4), lambda x, p: 1 / (1 + np.exp(-x))
    ),
    "linear activation": Case(
        lambda: layers.Activation("linear"), (4,), (None, 4), lambda x, p: x
    ),
    "batch normalization": Case(
        layers.BatchNormalization,
        (3, 2, 4),
        (None, 3, 2, 4),
        batch_norm,
        {"gamma": (4,), "beta": (4,), "moving_mean": (4,), "moving_variance": (4,)},
    ),
    "layer normalization": Case(
        layers.LayerNormalization,
        (3, 5),
        (None, 3, 5),
        layer_norm,
        {"gamma": (5,), "beta": (5,)},
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("batch", [1, 6])
def test_layer_computes_what_numpy_does(name: str, batch: int) -> None:
    case = CASES[name]
    layer = case.make()
    x = Input(case.shape, dtype="float64")
    y = layer(x)
    assert y.shape == case.output
    shapes = {key: variable.shape for key, variable in layer.variables().items()}
    assert shapes == case.parameters

    array = np.random.default_rng(3).normal(size=(batch, *case.shape))
    parameters = {key: variable.numpy() for key, variable in layer.variables().items()}
    expected = case.numbers(array, parameters)
    np.testing.assert_allclose(evaluate(y, {x: array}), expected, rtol=1e-10, atol=1e-12)


MERGES: dict[str, tuple[Callable[[], Module], Callable[[Array, Array], Array]]] = {
    "add": (layers.Add, lambda a, b: a + b),
    "subtract": (layers.Subtract, lambda a, b: a - b),
    "multiply": (layers.Multiply, lambda a, b: a * b),
    "average": (layers.Average, lambda a, b: (a + b) / 2),
    "maximum": (layers.Maximum, np.maximum),
    "minimum": (layers.Minimum, np.minimum),
    "concatenate": (layers.Concatenate, lambda a, b: np.concatenate([a, b], -1)),
}


@pytest.mark.parametrize("name", MERGES)
def test_merging_computes_what_numpy_does(name: str) -> None:
    make, numbers = MERGES[name]
    a, b = Input((3, 2), dtype="float64"), Input((3, 2), dtype="float64")
    y = make()([a, b])
    assert y.shape[0] is None
    rng = np.random.default_rng(4)
    arrays = rng.normal(size=(2, 5, 3, 2))
    found = evaluate(y, {a: arrays[0], b: arrays[1]})
    np.testing.assert_allclose(found, numbers(*arrays), rtol=1e-12)


def test_embedding_looks_rows_up() -> None:
    layer = layers.Embedding(7, 3)
    ids = Input((2, 2), dtype="int64")
    y = layer(ids)
    assert y.shape == (None, 2, 2, 3)
    array = np.array([[[0, 6], [3, 3]]])
    table = layer.embeddings.numpy()
    np.testing.assert_array_equal(evaluate(y, {ids: array}), table[array])


def test_dropout_without_a_rate_is_still_a_step_of_the_model() -> None:
    x = Input((4,))
    y = layers.Dropout(0.0)(x)
    assert y is not x
    assert y.shape == x.shape
