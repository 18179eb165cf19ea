"""Training steps and predictions: eager, compiled, and captured into a CUDA graph by hand."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from benchmarks.peers.with_torch.models import build
from benchmarks.session import Session, Task, over_batches


class Trainer:
    """Model, optimizer and data on a device; ``step(i)`` trains on batch i."""

    def __init__(self, task: Task) -> None:
        workload = task.workload
        self.device = torch.device(task.device)
        require_float32()
        is_image = task.x.ndim == 4
        layout = torch.channels_last if is_image else torch.contiguous_format
        self.model = build(workload.model, task.weights, task.dropout).to(self.device)
        self.model.to(memory_format=layout)  # pyright: ignore[reportCallIssue]
        self.inputs = torch.from_numpy(task.x).to(self.device)
        if is_image:
            self.inputs = self.inputs.contiguous(memory_format=layout)
        self.targets = torch.from_numpy(task.y).to(self.device)
        self.x = list(self.inputs.split(workload.batch))
        self.y = list(self.targets.split(workload.batch))
        is_code = workload.model.reconstructs
        self.loss = functional.mse_loss if is_code else functional.cross_entropy
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
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.forward_backward(self.x[i % len(self.x)], self.y[i % len(self.y)])
        self.optimizer.step()
        return loss


def require_float32() -> None:
    """On a GPU too, products of float32 in float32."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _session(trainer: Trainer, step: Callable[[int], torch.Tensor]) -> Session:
    def run(steps: int) -> None:
        for i in range(steps):
            step(i)
        synchronise(trainer.device)

    return Session(run, lambda steps: [float(step(i)) for i in range(steps)])


def open_eager(task: Task) -> Session:
    trainer = Trainer(task)
    return _session(trainer, trainer.step)


def open_compiled(task: Task) -> Session:
    """The forward pass compiled; the backward pass follows from it."""
    trainer = Trainer(task)
    trainer.model = torch.compile(trainer.model)  # type: ignore[assignment]
    return _session(trainer, trainer.step)


def open_prediction(task: Task) -> Session:
    return _prediction(Trainer(task), task)


def open_compiled_prediction(task: Task) -> Session:
    trainer = Trainer(task)
    trainer.model = torch.compile(trainer.model)  # type: ignore[assignment]
    return _prediction(trainer, task)


def _prediction(trainer: Trainer, task: Task) -> Session:
    """Each batch's outputs are on the host before the next one, as when somebody waits."""
    trainer.model.eval()

    def predict(i: int) -> torch.Tensor:
        with torch.inference_mode():
            return trainer.model(trainer.x[i % len(trainer.x)]).cpu()

    def run(steps: int) -> None:
        for i in range(steps):
            predict(i)

    return Session(run, over_batches(task, predict))


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
