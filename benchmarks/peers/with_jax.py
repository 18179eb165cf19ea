"""JAX: the step jitted with donated state, and a scan over many steps in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.session import Session, Task
from benchmarks.workloads import Weights, resnet20_convolutions

Parameters = dict[str, jax.Array]
Apply = Callable[[Parameters, jax.Array, jax.Array], jax.Array]


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


def _pool(x: jax.Array) -> jax.Array:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def _drop(x: jax.Array, key: jax.Array, rate: float = 0.25) -> jax.Array:
    return jnp.where(jax.random.uniform(key, x.shape) >= rate, x / (1 - rate), 0.0)


def _mlp(dropout: bool) -> Apply:
    def apply(p: Parameters, x: jax.Array, _: jax.Array) -> jax.Array:
        return _dense(p, "fc2", jax.nn.relu(_dense(p, "fc1", x)))

    return apply


def _autoencoder(dropout: bool) -> Apply:
    def apply(p: Parameters, x: jax.Array, _: jax.Array) -> jax.Array:
        for i in (1, 2, 3):
            x = jax.nn.relu(_dense(p, f"fc{i}", x))
        return jax.nn.sigmoid(_dense(p, "fc4", x))

    return apply


def _cnn(dropout: bool) -> Apply:
    def apply(p: Parameters, x: jax.Array, key: jax.Array) -> jax.Array:
        for number in (1, 2):
            x = _convolution(p, f"conv{number}", x) + p[f"conv{number}.bias"]
            x = _pool(jax.nn.relu(x))
            if dropout:
                x = _drop(x, jax.random.fold_in(key, number))
        # The linear layer's rows are in (channel, height, width) order.
        x = x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)
        return _dense(p, "fc", x)

    return apply


def _resnet20(dropout: bool) -> Apply:
    strides = {
        name: (stride, size // 2) for name, _, _, size, stride in resnet20_convolutions()
    }

    def unit(p: Parameters, name: str, x: jax.Array) -> jax.Array:
        x = _convolution(p, name, x, *strides[name])
        norm = name.replace("conv", "norm")
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        x = (x - mean) * lax.rsqrt(variance + 1e-5)
        return x * p[f"{norm}.scale"] + p[f"{norm}.shift"]

    def apply(p: Parameters, x: jax.Array, _: jax.Array) -> jax.Array:
        x = jax.nn.relu(unit(p, "stem.conv", x))
        for stage in range(3):
            for block in range(3):
                at = f"stage{stage}.block{block}"
                y = unit(p, f"{at}.conv2", jax.nn.relu(unit(p, f"{at}.conv1", x)))
                skip = f"{at}.skip.conv"
                x = jax.nn.relu(y + (unit(p, skip, x) if skip in strides else x))
        return _dense(p, "fc", x.mean((1, 2)))

    return apply


MODELS = {"mlp": _mlp, "cnn": _cnn, "autoencoder": _autoencoder, "resnet20": _resnet20}


def _converted(weights: Weights) -> Parameters:
    """Linear weights as [in, out], convolutions as [height, width, in, out]."""
    turned = {2: (1, 0), 4: (2, 3, 1, 0)}
    return {
        name: jnp.asarray(np.transpose(array, turned.get(array.ndim)))
        for name, array in weights.items()
    }


class Trainer:
    """State, batches and the step as a pure function ``(state, x, y) -> (state, loss)``."""

    def __init__(self, task: Task) -> None:
        workload = task.workload
        self.workload = workload
        self.apply = MODELS[workload.model](task.dropout)
        x = task.x
        if x.ndim == 4:
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        split = (-1, workload.batch)
        self.x = jnp.asarray(x.reshape(*split, *x.shape[1:]))
        self.y = jnp.asarray(task.y.reshape(*split, *task.y.shape[1:]))
        parameters = _converted(task.weights)
        zeros = {name: jnp.zeros_like(array) for name, array in parameters.items()}
        slots = [zeros] if workload.optimizer == "sgd" else [zeros, dict(zeros)]
        slots = [{name: array.copy() for name, array in slot.items()} for slot in slots]
        self.state: Any = (parameters, slots, jnp.zeros((), jnp.int32), jax.random.key(0))

    def loss(self, p: Parameters, x: jax.Array, y: jax.Array, key: jax.Array) -> jax.Array:
        out = self.apply(p, x, key)
        if self.workload.model == "autoencoder":
            return jnp.mean(jnp.square(out - y))
        log_probabilities = jax.nn.log_softmax(out)
        return -jnp.mean(jnp.take_along_axis(log_probabilities, y[:, None], axis=1))

    def step(self, state: Any, x: jax.Array, y: jax.Array) -> tuple[Any, jax.Array]:
        p, slots, count, key = state
        loss, g = jax.value_and_grad(self.loss)(p, x, y, jax.random.fold_in(key, count))
        update = self._sgd if self.workload.optimizer == "sgd" else self._adam
        p, slots = update(p, g, slots, count + 1)
        return (p, slots, count + 1, key), loss

    def _sgd(self, p: Parameters, g: Parameters, slots: list[Parameters], _: Any) -> Any:
        rate, momentum = self.workload.learning_rate, self.workload.momentum
        v = jax.tree.map(lambda v, g: momentum * v + g, slots[0], g)
        return jax.tree.map(lambda p, v: p - rate * v, p, v), [v]

    def _adam(self, p: Parameters, g: Parameters, slots: list[Parameters], t: Any) -> Any:
        rate, b1, b2 = self.workload.learning_rate, 0.9, 0.999
        m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, slots[0], g)
        v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, slots[1], g)
        c1, c2 = 1 - b1**t, 1 - b2**t

        def moved(p: jax.Array, m: jax.Array, v: jax.Array) -> jax.Array:
            return p - rate * (m / c1) / (jnp.sqrt(v / c2) + 1e-8)

        return jax.tree.map(moved, p, m, v), [m, v]


def open_jit(task: Task) -> Session:
    trainer = Trainer(task)
    if task.workload.kind == "predict":
        return _inference(trainer)
    step = jax.jit(trainer.step, donate_argnums=0)
    batches = [(trainer.x[i], trainer.y[i]) for i in range(len(trainer.x))]

    def advance(i: int) -> jax.Array:
        trainer.state, loss = step(trainer.state, *batches[i % len(batches)])
        return loss

    def run(steps: int) -> None:
        for i in range(steps):
            loss = advance(i)
        loss.block_until_ready()

    return Session(run, lambda steps: [float(advance(i)) for i in range(steps)])


def _inference(trainer: Trainer) -> Session:
    p, key = trainer.state[0], trainer.state[3]
    forward = jax.jit(lambda x: trainer.apply(p, x, key))
    batches = [trainer.x[i] for i in range(len(trainer.x))]

    def run(steps: int) -> None:
        for i in range(steps):
            forward(batches[i % len(batches)]).block_until_ready()

    def losses(steps: int) -> list[float]:
        outs = (forward(batches[i % len(batches)]) for i in range(steps))
        return [float(jnp.sqrt(jnp.mean(jnp.square(out)))) for out in outs]

    return Session(run, losses)


def open_scan(task: Task) -> Session:
    """All steps of a round in one call: what JAX does best with small models."""
    trainer = Trainer(task)
    x, y = trainer.x, trainer.y

    def body(state: Any, i: jax.Array) -> tuple[Any, jax.Array]:
        return trainer.step(state, x[i % len(x)], y[i % len(y)])

    scan = jax.jit(
        lambda state, steps: lax.scan(body, state, jnp.arange(steps)),
        static_argnums=1,
        donate_argnums=0,
    )

    def advance(steps: int) -> jax.Array:
        trainer.state, losses = scan(trainer.state, steps)
        return losses

    def run(steps: int) -> None:
        advance(steps).block_until_ready()

    return Session(run, lambda steps: [float(loss) for loss in advance(steps)])
