"""Training steps: jitted one by one with donated state, or many in one scan. Predictions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.layouts import channels_last
from benchmarks.peers.with_jax.models import Parameters, build
from benchmarks.session import Session, Task, over_batches

jax.config.update("jax_default_matmul_precision", "float32")  # on a GPU it would be TF32


class Trainer:
    """State, data and the step, a pure function ``(state, x, y) -> (state, logs)``.

    Logs are the loss and the number of samples whose class is right.
    """

    def __init__(self, task: Task) -> None:
        workload = self.workload = task.workload
        self.apply = build(workload.model, task.dropout)
        self.inputs = jnp.asarray(task.x_channels_last)
        self.targets = jnp.asarray(task.y)
        weights = channels_last(task.weights, (2, 3, 1, 0))
        parameters = {name: jnp.asarray(array) for name, array in weights.items()}
        count = 1 if workload.optimizer == "sgd" else 2
        slots = [jax.tree.map(jnp.zeros_like, parameters) for _ in range(count)]
        self.state: Any = (parameters, slots, jnp.zeros((), jnp.int32), jax.random.key(0))

    def batches(self) -> tuple[jax.Array, jax.Array]:
        split = (-1, self.workload.batch)
        return (
            self.inputs.reshape(*split, *self.inputs.shape[1:]),
            self.targets.reshape(*split, *self.targets.shape[1:]),
        )

    def loss(self, p: Parameters, x: jax.Array, y: jax.Array, key: jax.Array) -> Any:
        out = self.apply(p, x, key)
        if self.workload.model.reconstructs:
            return jnp.mean(jnp.square(out - y)), jnp.zeros(())
        log_probabilities = jax.nn.log_softmax(out)
        right = jnp.sum(jnp.argmax(out, 1) == y)
        return -jnp.mean(jnp.take_along_axis(log_probabilities, y[:, None], axis=1)), right

    def step(self, state: Any, x: jax.Array, y: jax.Array) -> tuple[Any, Any]:
        p, slots, count, key = state
        differentiated = jax.value_and_grad(self.loss, has_aux=True)
        logs, g = differentiated(p, x, y, jax.random.fold_in(key, count))
        update = self._sgd if self.workload.optimizer == "sgd" else self._adam
        p, slots = update(p, g, slots, count + 1)
        return (p, slots, count + 1, key), logs

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
    step = jax.jit(lambda state, x, y: _loss_only(trainer, state, x, y), donate_argnums=0)
    batches = list(zip(*(list(part) for part in trainer.batches()), strict=True))

    def advance(i: int) -> jax.Array:
        trainer.state, loss = step(trainer.state, *batches[i % len(batches)])
        return loss

    def run(steps: int) -> None:
        for i in range(steps):
            advance(i)
        jax.block_until_ready(trainer.state)

    return Session(run, lambda steps: [float(advance(i)) for i in range(steps)])


def _loss_only(trainer: Trainer, state: Any, x: jax.Array, y: jax.Array) -> Any:
    state, (loss, _) = trainer.step(state, x, y)
    return state, loss


def open_scan(task: Task) -> Session:
    """All steps of a round in one call: what JAX does best with small models."""
    trainer = Trainer(task)
    x, y = trainer.batches()

    def body(state: Any, i: jax.Array) -> tuple[Any, jax.Array]:
        return _loss_only(trainer, state, x[i % len(x)], y[i % len(y)])

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


def open_prediction(task: Task) -> Session:
    """Each batch's outputs are on the host before the next one, as when somebody waits."""
    trainer = Trainer(task)
    p, _, _, key = trainer.state
    forward = jax.jit(lambda x: trainer.apply(p, x, key))
    batches = list(trainer.batches()[0])

    def predict(i: int) -> np.ndarray:
        return np.asarray(forward(batches[i % len(batches)]))

    def run(steps: int) -> None:
        for i in range(steps):
            predict(i)

    return Session(run, over_batches(task, predict))
