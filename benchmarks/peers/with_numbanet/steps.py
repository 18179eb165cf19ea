"""Training steps, epochs and predictions, through numbanet's models."""

from __future__ import annotations

import functools

import numpy as np

import numbanet as nb
from benchmarks.peers.with_numbanet.models import build
from benchmarks.session import Session, Task, over_batches
from numbanet.models.data import Piece
from numbanet.runtime import Executable


def _model(task: Task, metrics: tuple[str, ...] = ()) -> nb.Model:
    return build(
        task.workload,
        task.device,
        dropout=task.dropout,
        weights=task.weights,
        metrics=metrics,
    )


def _data(task: Task) -> tuple[np.ndarray, np.ndarray]:
    x = task.x_channels_last
    return x, (x if task.workload.model.reconstructs else task.y)


def open_training(task: Task) -> Session:
    """Steps as ``fit`` runs them: the data are bound once, and an epoch over the batches is
    one call."""
    model, workload = _model(task), task.workload
    x, y = _data(task)
    batch, batches = workload.batch, workload.batches
    trainer = model._current_trainer()
    parts = [
        model._data_set(x[i * batch : (i + 1) * batch], y[i * batch : (i + 1) * batch])
        for i in range(batches)
    ]
    order = np.arange(batch)

    @functools.cache
    def whole() -> Executable:
        data = model._data_set(x, y)
        executable = trainer.device.load(trainer.train_program(data.types, batch))
        piece = Piece(data, np.arange(data.samples), 0, batch, batches)
        piece.bind(executable, trainer.device)
        return executable

    def run(steps: int) -> None:
        for _ in range(steps // batches):
            trainer.counters.start.assign(0)
            whole().run(batches)
        for i in range(steps % batches):
            trainer.train_epoch(parts[i], order, batch)
        trainer.counters.start.numpy()  # there once the last step is finished

    def losses(steps: int) -> list[float]:
        logs = (trainer.train_epoch(parts[i % batches], order, batch) for i in range(steps))
        return [each["loss"] for each in logs]

    return Session(run, losses)


def open_prediction(task: Task) -> Session:
    model, workload = _model(task), task.workload
    x, _ = _data(task)
    batches = x.reshape(workload.batches, workload.batch, *x.shape[1:])

    def run(steps: int) -> None:
        for i in range(steps):
            model.predict(batches[i % len(batches)])

    return Session(run, over_batches(task, lambda i: model.predict(batches[i])))


def open_fit(task: Task) -> Session:
    """Epochs of ``fit`` with shuffling, accuracy and the progress bar."""
    model = _model(task, metrics=("accuracy",))
    x, y = _data(task)

    def fit(epochs: int) -> nb.History:
        return model.fit(
            x, y, task.workload.batch, epochs=epochs, verbose=1, shuffle=task.is_random
        )

    def check(epochs: int) -> list[float]:
        history = fit(epochs).history
        return [*history["loss"], *history["accuracy"]]

    return Session(fit, check)
