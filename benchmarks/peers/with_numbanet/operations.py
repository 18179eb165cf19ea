"""Single operations as programs, run one call at a time."""

from __future__ import annotations

import numpy as np

from benchmarks.operations import Operation
from benchmarks.session import Session, Task, root_mean_square
from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.compile import compile_program
from numbanet.ir import DType, Graph, Value
from numbanet.runtime import get_device


def graph(operation: Operation) -> Graph:
    """Inputs by name; outputs ``y``, and the gradients by the names of their inputs."""
    values = {
        name: ops.input_value(name, array.shape, DType.of(array.dtype))
        for name, array in operation.arrays().items()
    }
    y = _record(operation, values)
    wrt = operation.differentiated
    seeds = [values["g"]] if "g" in values else None
    gradients = differentiate([y], [values[name] for name in wrt], seeds) if wrt else ()
    found = {f"d{name}": value for name, value in zip(wrt, gradients, strict=True)}
    return Graph(tuple(values.values()), {"y": y} | found)


def _record(operation: Operation, values: dict[str, Value]) -> Value:
    if operation.kind == "matmul":
        return ops.matmul(values["a"], values["b"])
    if operation.kind == "softmax":
        return ops.softmax(values["x"])
    if operation.kind == "layer_norm":
        gamma, beta = values["gamma"], values["beta"]
        return ops.layer_norm(values["x"], gamma, beta, epsilon=operation.epsilon)
    return ops.mean(ops.cross_entropy(values["x"], values["labels"]))


def open_operation(task: Task) -> Session:
    device = get_device(task.device)
    executable = device.load(compile_program(graph(task.workload.operation), device))
    for name, array in task.arrays.items():
        executable.bind(name, np.ascontiguousarray(array))
    driver = getattr(device, "driver", None)

    def run(calls: int) -> None:
        for _ in range(calls):
            executable.run()
        if driver is not None:
            with driver:
                driver.synchronise()

    def check(_: int) -> list[float]:
        executable.run()
        return [
            root_mean_square(executable.output(name)) for name in executable.program.outputs
        ]

    return Session(run, check)
