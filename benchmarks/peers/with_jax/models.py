"""The models in JAX: functions of weights by name, inputs and a key for dropout."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks import models
from benchmarks.models import ConvNet, Perceptron, ResNet, Transformer

Parameters = dict[str, jax.Array]
Apply = Callable[[Parameters, jax.Array, jax.Array], jax.Array]


def build(model: models.Model, dropout: float) -> Apply:
    return BUILDERS[type(model)](model, dropout)


def _dense(p: Parameters, name: str, x: jax.Array) -> jax.Array:
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


def _convolution(
    p: Parameters, name: str, x: jax.Array, stride: int = 1, padding: int = 0
) -> jax.Array:
    return lax.conv_general_dilated(
        x,
        p[f"{name}.weight"],
        (stride, stride),
        ((padding, padding), (padding, padding)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def normalise(
    x: jax.Array, scale: jax.Array, shift: jax.Array, axes: tuple[int, ...], epsilon: float
) -> jax.Array:
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + epsilon) * scale + shift


def _norm(p: Parameters, name: str, x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    return normalise(x, p[f"{name}.scale"], p[f"{name}.shift"], axes, 1e-5)


def _perceptron(sizes: Perceptron, dropout: float) -> Apply:
    last = len(sizes.sizes) - 1

    def apply(p: Parameters, x: jax.Array, _: jax.Array) -> jax.Array:
        for i in range(1, last):
            x = jax.nn.relu(_dense(p, f"fc{i}", x))
        x = _dense(p, f"fc{last}", x)
        return jax.nn.sigmoid(x) if sizes.reconstructs else x

    return apply


def _pool(x: jax.Array) -> jax.Array:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def _drop(x: jax.Array, key: jax.Array, rate: float) -> jax.Array:
    return jnp.where(jax.random.uniform(key, x.shape) >= rate, x / (1 - rate), 0.0)


def _convnet(sizes: ConvNet, dropout: float) -> Apply:
    def apply(p: Parameters, x: jax.Array, key: jax.Array) -> jax.Array:
        for i in range(1, len(sizes.channels)):
            x = _convolution(p, f"conv{i}", x) + p[f"conv{i}.bias"]
            x = _pool(jax.nn.relu(x))
            if dropout:
                x = _drop(x, jax.random.fold_in(key, i), dropout)
        return _dense(p, "fc", x.reshape(x.shape[0], -1))

    return apply


def _resnet(sizes: ResNet, dropout: float) -> Apply:
    """Running statistics are left out: a little less to do than the others."""
    rows = {row.name: row for row in sizes.convolutions()}

    def unit(p: Parameters, name: str, x: jax.Array) -> jax.Array:
        x = _convolution(p, name, x, rows[name].stride, rows[name].size // 2)
        return _norm(p, name.replace("conv", "norm"), x, (0, 1, 2))

    def apply(p: Parameters, x: jax.Array, _: jax.Array) -> jax.Array:
        x = jax.nn.relu(unit(p, "stem.conv", x))
        for at in sizes.block_names():
            y = unit(p, f"{at}.conv2", jax.nn.relu(unit(p, f"{at}.conv1", x)))
            skip = f"{at}.skip.conv"
            x = jax.nn.relu(y + (unit(p, skip, x) if skip in rows else x))
        return _dense(p, "fc", x.mean((1, 2)))

    return apply


def _transformer(sizes: Transformer, dropout: float) -> Apply:
    def attend(p: Parameters, at: str, x: jax.Array) -> jax.Array:
        qkv = _dense(p, f"{at}.qkv", x).reshape(*x.shape[:2], 3, sizes.heads, -1)
        mixed = jax.nn.dot_product_attention(*(qkv[:, :, i] for i in range(3)))
        return _dense(p, f"{at}.out", mixed.reshape(x.shape))

    def apply(p: Parameters, x: jax.Array, _: jax.Array) -> jax.Array:
        for at in sizes.block_names():
            x = x + attend(p, at, _norm(p, f"{at}.norm1", x, (-1,)))
            wide = _dense(p, f"{at}.up", _norm(p, f"{at}.norm2", x, (-1,)))
            x = x + _dense(p, f"{at}.down", jax.nn.gelu(wide, approximate=False))
        return _dense(p, "fc", _norm(p, "norm", x, (-1,)).mean(1))

    return apply


BUILDERS = {
    models.Perceptron: _perceptron,
    models.ConvNet: _convnet,
    models.ResNet: _resnet,
    models.Transformer: _transformer,
}
