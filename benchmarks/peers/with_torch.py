"""PyTorch: eager, compiled, and on CUDA captured into a graph by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from benchmarks.session import Session, Task
from benchmarks.workloads import Weights, resnet20_convolutions


class Mlp(nn.Module):
    def __init__(self, _: bool) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(functional.relu(self.fc1(x)))


class Autoencoder(nn.Module):
    def __init__(self, _: bool) -> None:
        super().__init__()
        sizes = pairwise((784, 256, 64, 256, 784))
        self.layers = nn.ModuleDict(
            {f"fc{i + 1}": nn.Linear(a, b) for i, (a, b) in enumerate(sizes)}
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *hidden, last = self.layers.values()
        for layer in hidden:
            x = functional.relu(layer(x))
        return torch.sigmoid(last(x))


class Cnn(nn.Module):
    def __init__(self, dropout: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.fc = nn.Linear(800, 10)
        self.drop = nn.Dropout(0.25) if dropout else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(functional.max_pool2d(functional.relu(self.conv1(x)), 2))
        x = self.drop(functional.max_pool2d(functional.relu(self.conv2(x)), 2))
        return self.fc(x.flatten(1))


class Unit(nn.Module):
    """A convolution and its batch normalisation."""

    def __init__(self, fan_in: int, fan_out: int, size: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(fan_in, fan_out, size, stride, size // 2, bias=False)
        self.norm = nn.BatchNorm2d(fan_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x))


class ResNet20(nn.Module):
    def __init__(self, _: bool) -> None:
        super().__init__()
        self.units = nn.ModuleDict(
            {name.replace(".", "_"): Unit(*sizes) for name, *sizes in resnet20_convolutions()}
        )
        self.fc = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.units["stem_conv"](x))
        for stage in range(3):
            for block in range(3):
                at = f"stage{stage}_block{block}"
                y = functional.relu(self.units[f"{at}_conv1"](x))
                y = self.units[f"{at}_conv2"](y)
                skip = f"{at}_skip_conv"
                x = functional.relu(y + (self.units[skip](x) if skip in self.units else x))
        return self.fc(x.mean((2, 3)))


MODELS = {"mlp": Mlp, "cnn": Cnn, "autoencoder": Autoencoder, "resnet20": ResNet20}


def _load(model: nn.Module, weights: Weights) -> None:
    """Copy the workload's weights in, by the order in which both list them."""
    with torch.no_grad():
        for parameter, array in zip(model.parameters(), weights.values(), strict=True):
            parameter.copy_(torch.from_numpy(array))


class Trainer:
    """Model, optimizer and batches on a device; ``step(i)`` trains on batch i."""

    def __init__(self, task: Task) -> None:
        workload = task.workload
        self.device = torch.device(task.device)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        self.model = MODELS[workload.model](task.dropout)
        _load(self.model, task.weights)
        self.model.to(self.device)
        is_image = len(workload.input_shape) == 3
        layout = torch.channels_last if is_image else torch.contiguous_format
        self.model.to(memory_format=layout)
        x = torch.from_numpy(task.x).to(self.device)
        if is_image:
            x = x.contiguous(memory_format=layout)
        self.x = list(x.split(workload.batch))
        self.y = list(torch.from_numpy(task.y).to(self.device).split(workload.batch))
        self.loss = (
            functional.mse_loss if workload.model == "autoencoder" else functional.cross_entropy
        )
        self.is_training = workload.kind == "train"
        self.model.train(self.is_training)
        self.optimizer = self._optimizer(task)

    def _optimizer(self, task: Task) -> torch.optim.Optimizer:
        rate, momentum = task.workload.learning_rate, task.workload.momentum
        parameters = list(self.model.parameters())
        if task.workload.optimizer == "adam":
            capturable = self.device.type == "cuda"
            return torch.optim.Adam(parameters, rate, fused=True, capturable=capturable)
        return torch.optim.SGD(parameters, rate, momentum, fused=True)

    def forward_backward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        loss = self.loss(self.model(x), y)
        loss.backward()
        return loss.detach()

    def step(self, i: int) -> torch.Tensor:
        x, y = self.x[i % len(self.x)], self.y[i % len(self.y)]
        if not self.is_training:
            with torch.inference_mode():
                return self.model(x)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.forward_backward(x, y)
        self.optimizer.step()
        return loss

    def synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def _session(trainer: Trainer, step: Callable[[int], torch.Tensor]) -> Session:
    def run(steps: int) -> None:
        for i in range(steps):
            step(i)
        trainer.synchronise()

    def losses(steps: int) -> list[float]:
        # Of a prediction, the root mean square stands for the loss; of a loss it is the loss.
        return [float(step(i).square().mean().sqrt()) for i in range(steps)]

    return Session(run, losses)


def open_eager(task: Task) -> Session:
    trainer = Trainer(task)
    return _session(trainer, trainer.step)


def open_compiled(task: Task) -> Session:
    """The forward pass with the loss compiled; the backward pass follows from it."""
    trainer = Trainer(task)
    trainer.model = torch.compile(trainer.model)  # type: ignore[assignment]
    return _session(trainer, trainer.step)


def open_captured(task: Task) -> Session:
    """The whole step in one CUDA graph, fed by copies into fixed tensors."""
    trainer = Trainer(task)
    x, y = trainer.x[0].clone(), trainer.y[0].clone()
    saved = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            trainer.optimizer.zero_grad(set_to_none=True)
            trainer.forward_backward(x, y)
            trainer.optimizer.step()
    torch.cuda.current_stream().wait_stream(stream)
    trainer.model.load_state_dict(saved)
    for state in trainer.optimizer.state.values():
        for value in state.values():
            if isinstance(value, torch.Tensor):
                value.zero_()
    graph = torch.cuda.CUDAGraph()
    trainer.optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        loss = trainer.forward_backward(x, y)
        trainer.optimizer.step()

    def step(i: int) -> torch.Tensor:
        x.copy_(trainer.x[i % len(trainer.x)])
        y.copy_(trainer.y[i % len(trainer.y)])
        graph.replay()
        return loss

    return _session(trainer, step)
