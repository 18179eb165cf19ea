"""Epochs: data, shuffling and metrics on the device; a scan over the epoch, or step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from tqdm import tqdm

from benchmarks.peers.with_jax.steps import Trainer
from benchmarks.session import Session, Task


def _picked(trainer: Trainer, state: Any, samples: jax.Array) -> tuple[Any, jax.Array]:
    """A step on these samples, and what it adds to the sums."""
    x, y = trainer.inputs[samples], trainer.targets[samples]
    state, (loss, right) = trainer.step(state, x, y)
    return state, jnp.stack([loss * len(samples), right.astype(jnp.float32)])


def _order(trainer: Trainer, task: Task, key: jax.Array) -> jax.Array:
    count = len(trainer.inputs)
    return jax.random.permutation(key, count) if task.is_random else jnp.arange(count)


def open_scan(task: Task) -> Session:
    trainer, batch = Trainer(task), task.workload.batch
    whole = len(trainer.inputs) // batch * batch

    def epoch(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        order = _order(trainer, task, key)
        full, rest = order[:whole].reshape(-1, batch), order[whole:]
        state, sums = lax.scan(lambda s, samples: _picked(trainer, s, samples), state, full)
        total = sums.sum(0)
        if len(rest):
            state, last = _picked(trainer, state, rest)
            total = total + last
        return state, total

    return _session(trainer, jax.jit(epoch, donate_argnums=0))


def open_jit(task: Task) -> Session:
    trainer, batch = Trainer(task), task.workload.batch
    count = len(trainer.inputs)
    step = jax.jit(lambda state, at: _picked(trainer, state, at), donate_argnums=0)
    shuffled = jax.jit(lambda key: _order(trainer, task, key))

    def epoch(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        order = shuffled(key)
        sums = []
        for start in tqdm(range(0, count, batch)):
            state, added = step(state, order[start : start + batch])
            sums.append(added)
        return state, jnp.stack(sums).sum(0)

    return _session(trainer, epoch)


def _session(trainer: Trainer, epoch: Callable[..., tuple[Any, jax.Array]]) -> Session:
    count = len(trainer.inputs)

    def check(epochs: int) -> list[float]:
        logs = []
        for number in range(epochs):
            trainer.state, sums = epoch(trainer.state, jax.random.key(number))
            logs.append([float(each) / count for each in sums])
        losses, accuracies = zip(*logs, strict=True)
        return [*losses, *accuracies]

    def run(epochs: int) -> None:
        check(epochs)

    return Session(run, check)
