"""The training loop: epochs, validation, callbacks, progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from numbanet.models.callbacks import CallbackList, Logs
from numbanet.models.data import Source
from numbanet.models.history import History
from numbanet.models.interrupts import Interrupts
from numbanet.models.progress import Progress
from numbanet.models.trainer import CHUNK_SECONDS, Trainer, Watcher

EVALUATION_BATCH = 512
"""Batch size where none is asked for: results do not depend on it, speed and memory do."""


class PassWatcher(Watcher):
    """Tells callbacks and a progress bar of the steps of a pass, and hears Ctrl-C.

    Callbacks with hooks for batches are told before and after each execution: as many steps as
    ``compile`` was given, or as run at once.

    Parameters
    ----------
    phase : {"train", "test"}
    callbacks : CallbackList
    interrupts : Interrupts
    steps_per_execution : int or "auto"
    progress : Progress, optional
    """

    def __init__(
        self,
        phase: str,
        callbacks: CallbackList,
        interrupts: Interrupts,
        steps_per_execution: int | str,
        progress: Progress | None = None,
    ) -> None:
        self._tells = callbacks.wants_batches(phase)
        is_fixed = self._tells and isinstance(steps_per_execution, int)
        self._together = int(steps_per_execution) if is_fixed else None
        self._phase, self._callbacks = phase, callbacks
        self._interrupts, self._progress = interrupts, progress
        self._done = self._told = 0
        self._shown = 0.0

    @property
    def room(self) -> int | None:
        if self._together is None:
            return None
        return self._told + self._together - self._done

    def before(self, trainer: Trainer) -> None:
        if self._tells and self._done == self._told:
            self._callbacks.call(f"on_{self._phase}_batch_begin", self._done, {})

    def after(self, trainer: Trainer, steps: int) -> None:
        self._done += steps
        if self._together is None or self._done == self._told + self._together:
            self.end(trainer)
        progress, now = self._progress, time.perf_counter()
        is_due = not self._tells or now - self._shown > CHUNK_SECONDS
        if progress is not None and progress.is_watching and is_due:
            # Who looks waits for the device.
            progress.step(self._done, trainer.results())
            self._shown = now
        self.is_over = self._phase == "train" and trainer.model.stop_training
        self._interrupts.check()

    def end(self, trainer: Trainer) -> None:
        if self._tells and self._told < self._done:
            logs = Logs(trainer.results)
            self._callbacks.call(f"on_{self._phase}_batch_end", self._done - 1, logs)
            logs.close()
        self._told = self._done


@dataclass
class Validation:
    """What is validated on, and after which epochs.

    Attributes
    ----------
    source : callable
        Gives the data, from their start where that can be.
    frequency : int or collection of int
        Each so many epochs, or after these, which count from 1.
    """

    source: Callable[[], Source]
    frequency: int | Collection[int] = 1

    def is_due(self, epoch: int) -> bool:
        if isinstance(self.frequency, Collection):
            return epoch + 1 in self.frequency
        return (epoch + 1) % self.frequency == 0


def run_test(
    trainer: Trainer, source: Source, callbacks: CallbackList, interrupts: Interrupts
) -> dict[str, Any]:
    """Loss and metrics of what ``source`` gives."""
    callbacks.call("on_test_begin", {})
    watcher = PassWatcher("test", callbacks, interrupts, trainer.steps_per_execution)
    logs = trainer.evaluate(source.epoch(0, 0), watcher)
    callbacks.call("on_test_end", logs)
    return logs


@dataclass
class Fitting:
    """A training, from its first epoch to its last.

    Attributes
    ----------
    epoch : int
        The one that comes next.
    epochs : int
        Where training ends.
    seed : int
        Of orders and of everything random.
    """

    trainer: Trainer
    source: Source
    validation: Validation | None
    epoch: int
    epochs: int
    seed: int
    callbacks: CallbackList
    progress: Progress
    history: History = field(default_factory=History)

    def resume(self, epoch: int, seed: int) -> None:
        """Go on with ``epoch``, as the training did that had this seed."""
        self.epoch, self.seed = epoch, seed
        self.history.params["seed"] = seed

    def run(self) -> History:
        """Train.

        Ctrl-C ends training after a step, or after an epoch's callbacks: the model is as that
        step left it, the history has the epochs that were finished, and KeyboardInterrupt is
        raised.
        """
        model, trainer = self.trainer.model, self.trainer
        model.stop_training = False
        logs: dict[str, Any] = {}
        with Interrupts() as interrupts:
            try:
                self.callbacks.call("on_train_begin", {})
                trainer.counters.seed.assign(self.seed)
                while self.epoch < self.epochs and not model.stop_training:
                    logs = self._run_epoch(self.epoch, interrupts)
                    self.epoch += 1
                trainer.finish()
                self.callbacks.call("on_train_end", logs)
            finally:
                self.progress.close()
        return self.history

    def _run_epoch(self, epoch: int, interrupts: Interrupts) -> dict[str, Any]:
        trainer = self.trainer
        self.callbacks.call("on_epoch_begin", epoch, {})
        self.progress.begin(epoch, self.source.steps)
        watcher = PassWatcher(
            "train", self.callbacks, interrupts, trainer.steps_per_execution, self.progress
        )
        trainer.begin()
        for piece in self.source.epoch(epoch, self.seed):
            trainer.train(piece, watcher)
            if watcher.is_over:
                break
        watcher.end(trainer)
        logs = trainer.results()
        if self.validation is not None and self.validation.is_due(epoch):
            found = run_test(trainer, self.validation.source(), self.callbacks, interrupts)
            logs |= {f"val_{name}": number for name, number in found.items()}
        self.progress.end(epoch, logs)
        try:
            self.callbacks.call("on_epoch_end", epoch, logs)
        finally:
            self.history.append(epoch, logs)
        interrupts.check()
        return logs
