"""Single operations, eager; results go into the same memory again where a function can."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from benchmarks.operations import Operation
from benchmarks.peers.with_torch.steps import require_float32, synchronise
from benchmarks.session import Session, Task, root_mean_square

Tensors = dict[str, torch.Tensor]
Forward = Callable[..., torch.Tensor]


def open_eager(task: Task) -> Session:
    return _session(task, lambda function: function)


def open_compiled(task: Task) -> Session:
    return _session(task, torch.compile)


def _session(task: Task, prepare: Callable[[Forward], Forward]) -> Session:
    require_float32()
    device = torch.device(task.device)
    tensors = {name: torch.from_numpy(a).to(device) for name, a in task.arrays.items()}
    call = _call(task.workload.operation, tensors, prepare)

    def run(calls: int) -> None:
        for _ in range(calls):
            call()
        synchronise(device)

    def check(_: int) -> list[float]:
        return [root_mean_square(each.detach().cpu().numpy()) for each in call()]

    return Session(run, check)


def _call(
    operation: Operation, tensors: Tensors, prepare: Callable[[Forward], Forward]
) -> Callable[[], tuple[torch.Tensor, ...]]:
    forward = prepare(FORWARD[operation.kind])
    inputs = {name: tensor for name, tensor in tensors.items() if name != "g"}
    wrt = [inputs[name].requires_grad_() for name in operation.differentiated]

    def both() -> tuple[torch.Tensor, ...]:
        y = forward(**inputs)
        return y, *torch.autograd.grad(y, wrt, tensors.get("g"))

    if wrt:
        return both
    reused = {"out": forward(**inputs)} if operation.kind in REUSING else {}
    return torch.inference_mode()(lambda: (forward(**inputs, **reused),))


def _layer_norm(x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    return functional.layer_norm(x, gamma.shape, gamma, beta, Operation.epsilon)


def _softmax(x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    return torch.softmax(x, -1, out=out)


def _matmul(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    return torch.matmul(a, b, out=out)


def _cross_entropy(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(x, labels)


FORWARD: dict[str, Forward] = {
    "softmax": _softmax,
    "layer_norm": _layer_norm,
    "cross_entropy": _cross_entropy,
    "matmul": _matmul,
}
REUSING = ("softmax", "matmul")
"""Those that can put their result into memory that is there."""
