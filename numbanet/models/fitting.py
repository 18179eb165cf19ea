"""The training loop: epochs, validation, progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numbanet.arrays.epochs import epoch_order
from numbanet.models.callbacks import Callback
from numbanet.models.history import History
from numbanet.models.progress import Progress
from numbanet.models.trainer import DataSet, Trainer

EVALUATION_BATCH = 512
"""Batch size where none is asked for: results do not depend on it, speed and memory do."""


@dataclass(frozen=True)
class Schedule:
    """How long and in what order to train."""

    batch_size: int
    epochs: int
    shuffle: bool
    seed: int

    def steps(self, samples: int) -> int:
        """Number of steps of an epoch, a last smaller batch included."""
        return -(-samples // self.batch_size)


def run_epochs(
    trainer: Trainer,
    data: DataSet,
    validation: DataSet | None,
    schedule: Schedule,
    progress: Progress,
    callbacks: Sequence[Callback] = (),
) -> History:
    """Train for all epochs of ``schedule``; loss and metrics of each."""
    for callback in callbacks:
        callback.model = trainer.model
    steps = schedule.steps(data.samples)
    history = History(
        params={
            "epochs": schedule.epochs,
            "batch_size": schedule.batch_size,
            "steps": steps,
            "seed": schedule.seed,
        }
    )
    trainer.counters.seed.assign(schedule.seed)
    try:
        for epoch in range(schedule.epochs):
            for callback in callbacks:
                callback.on_epoch_begin(epoch)
            order = epoch_order(
                data.samples, seed=schedule.seed, epoch=epoch, shuffle=schedule.shuffle
            )
            progress.begin(epoch, steps)
            look = progress.step if progress.is_watching else None
            logs = trainer.train_epoch(data, order, schedule.batch_size, look)
            if validation is not None:
                size = min(EVALUATION_BATCH, validation.samples)
                found = trainer.evaluate(validation, size)
                logs |= {f"val_{name}": number for name, number in found.items()}
            progress.end(epoch, logs)
            history.append(epoch, logs)
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs)
        trainer.finish()
    finally:
        progress.close()
    return history
