"""Epochs: the loop with a DataLoader that people write, and one as quick as can be written."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

from benchmarks.peers.with_torch.steps import Trainer, synchronise
from benchmarks.session import Session, Task

Logs = tuple[float, float]
"""Loss and accuracy of an epoch."""


def open_loader(task: Task) -> Session:
    """A shuffling DataLoader, and metrics read after each batch, as tutorials do."""
    trainer, batch = Trainer(task), task.workload.batch
    data = TensorDataset(torch.from_numpy(task.x), torch.from_numpy(task.y))
    loader = DataLoader(data, batch_size=batch, shuffle=task.is_random)

    def epoch() -> Logs:
        loss_sum = right = 0.0
        for x, y in (bar := tqdm(loader)):
            x, y = x.to(trainer.device), y.to(trainer.device)
            trainer.optimizer.zero_grad()
            logits = trainer.model(x)
            loss = trainer.loss(logits, y)
            loss.backward()
            trainer.optimizer.step()
            loss_sum += loss.item() * len(x)
            right += (logits.argmax(1) == y).sum().item()
            bar.set_postfix(loss=loss.item())
        return loss_sum / len(data), right / len(data)

    return _session(trainer, epoch)


def open_tensors(task: Task) -> Session:
    """Data in tensors on the device, a permutation of our own, and metrics that stay on the
    device until the epoch ends."""
    trainer, batch = Trainer(task), task.workload.batch
    inputs, targets = trainer.inputs, trainer.targets
    count, device = len(inputs), trainer.device

    def epoch() -> Logs:
        order = torch.arange(count, device=device)
        if task.is_random:
            order = torch.randperm(count, device=device)
        loss_sum = torch.zeros((), device=device)
        right = torch.zeros((), dtype=torch.int64, device=device)
        for picked in tqdm(order.split(batch)):
            x, y = inputs[picked], targets[picked]
            trainer.optimizer.zero_grad(set_to_none=True)
            logits = trainer.model(x)
            loss = trainer.loss(logits, y)
            loss.backward()
            trainer.optimizer.step()
            loss_sum += loss.detach() * len(x)
            right += (logits.detach().argmax(1) == y).sum()
        return float(loss_sum) / count, float(right) / count

    return _session(trainer, epoch)


def _session(trainer: Trainer, epoch) -> Session:
    def run(epochs: int) -> None:
        for _ in range(epochs):
            epoch()
        synchronise(trainer.device)

    def check(epochs: int) -> list[float]:
        losses, accuracies = zip(*(epoch() for _ in range(epochs)), strict=True)
        return [*losses, *accuracies]

    return Session(run, check)
