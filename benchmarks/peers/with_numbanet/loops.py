"""Training loops as PyTorch users write them, through numbanet's tensors.

What a step costs here above one of ``fit`` is the Python of the loop.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

import numbanet as nb
from benchmarks.models import ConvNet, Perceptron
from benchmarks.session import Session, Task
from numbanet import nn, optim
from numbanet.nn import functional
from numbanet.tensors.flush import set_default_device


class PerceptronModule(nn.Module):
    def __init__(self, sizes: Perceptron, _: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(sizes.sizes)])

    def forward(self, x: nb.Tensor) -> nb.Tensor:
        *hidden, last = self.layers
        for layer in hidden:
            x = functional.relu(layer(x))
        return last(x)


class ConvNetModule(nn.Module):
    def __init__(self, sizes: ConvNet, dropout: float) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            [nn.Conv2d(a, b, 3) for a, b in pairwise(sizes.channels)]
        )
        self.fc = nn.Linear(sizes.features, 10)
        self.drop = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: nb.Tensor) -> nb.Tensor:
        for convolution in self.convolutions:
            x = self.drop(functional.max_pool2d(functional.relu(convolution(x)), 2))
        return self.fc(x.flatten(1))


BUILDERS = {Perceptron: PerceptronModule, ConvNet: ConvNetModule}


def open_loop(task: Task) -> Session:
    workload = task.workload
    make = BUILDERS.get(type(workload.model))
    if make is None or workload.model.reconstructs or workload.optimizer != "sgd":
        raise NotImplementedError("loops are written for classifiers trained with SGD")
    set_default_device(task.device)
    model = make(workload.model, task.dropout)
    for parameter, array in zip(model.parameters(), task.weights.values(), strict=True):
        with nb.no_grad():
            parameter.copy_(nb.tensor(array))
    x = [nb.tensor(part) for part in np.split(task.x, workload.batches)]
    y = [nb.tensor(part) for part in np.split(task.y, workload.batches)]
    loss_fn = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), workload.learning_rate, workload.momentum)

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
