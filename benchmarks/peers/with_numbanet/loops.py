"""Training loops as PyTorch users write them, through numbanet's tensors.

What a step costs here above one of ``fit`` is the Python of the loop.
"""

from __future__ import annotations

import numpy as np

import numbanet as nb
from benchmarks.peers.modules import builders
from benchmarks.session import Session, Task
from numbanet import nn, optim
from numbanet.nn import functional
from numbanet.tensors.flush import set_default_device


def open_loop(task: Task) -> Session:
    workload = task.workload
    set_default_device(task.device)
    model = builders(nn, functional)[type(workload.model)](workload.model, task.dropout)
    with nb.no_grad():
        for parameter, array in zip(model.parameters(), task.weights.values(), strict=True):
            parameter.copy_(nb.tensor(array))
    x = [nb.tensor(part) for part in np.split(task.x, workload.batches)]
    y = [nb.tensor(part) for part in np.split(task.y, workload.batches)]
    loss_fn = nn.MSELoss() if workload.model.reconstructs else nn.CrossEntropyLoss()
    optimizer = _optimizer(task, model)

    def step(i: int) -> nb.Tensor:
        optimizer.zero_grad()
        loss = loss_fn(model(x[i % len(x)]), y[i % len(y)])
        loss.backward()
        optimizer.step()
        return loss

    def run(steps: int) -> None:
        for i in range(steps):
            loss = step(i)
        loss.item()

    return Session(run, lambda steps: [step(i).item() for i in range(steps)])


def _optimizer(task: Task, model: nn.Module) -> optim.Optimizer:
    rate = task.workload.learning_rate
    if task.workload.optimizer == "adam":
        return optim.Adam(model.parameters(), rate)
    return optim.SGD(model.parameters(), rate, task.workload.momentum)
