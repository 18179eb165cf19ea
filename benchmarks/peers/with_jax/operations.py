"""Single operations, jitted."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from benchmarks.operations import Operation
from benchmarks.peers.with_jax import steps  # noqa: F401  (sets the precision of products)
from benchmarks.peers.with_jax.models import normalise
from benchmarks.session import Session, Task, root_mean_square

Arrays = dict[str, jax.Array]


def _forward(operation: Operation, arrays: Arrays) -> jax.Array:
    if operation.kind == "matmul":
        return arrays["a"] @ arrays["b"]
    x = arrays["x"]
    if operation.kind == "softmax":
        return jax.nn.softmax(x)
    if operation.kind == "layer_norm":
        return normalise(x, arrays["gamma"], arrays["beta"], (-1,), operation.epsilon)
    picked = jnp.take_along_axis(jax.nn.log_softmax(x), arrays["labels"][:, None], axis=1)
    return -jnp.mean(picked)


def _call(operation: Operation, arrays: Arrays) -> tuple[jax.Array, ...]:
    wrt = operation.differentiated
    if not wrt:
        return (_forward(operation, arrays),)
    moving = {name: arrays[name] for name in wrt}
    y, pull = jax.vjp(lambda some: _forward(operation, arrays | some), moving)
    (gradients,) = pull(arrays.get("g", jnp.ones_like(y)))
    return y, *(gradients[name] for name in wrt)


def open_jit(task: Task) -> Session:
    arrays = {name: jnp.asarray(array) for name, array in task.arrays.items()}
    call = jax.jit(lambda arrays: _call(task.workload.operation, arrays))

    def run(calls: int) -> None:
        for _ in range(calls - 1):
            call(arrays)
        jax.block_until_ready(call(arrays))

    return Session(run, lambda _: [root_mean_square(each) for each in call(arrays)])
