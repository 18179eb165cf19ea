"""Callbacks that set the learning rate."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError
from numbanet.models.callbacks.base import Callback, Log


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch. Nothing is compiled anew.

    Parameters
    ----------
    schedule : callable
        ``(epoch, learning rate so far) -> learning rate``, or of the epoch alone.
    verbose : {0, 1}
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule, self.verbose = schedule, verbose
        self._takes_rate = len(inspect.signature(schedule).parameters) > 1

    def on_epoch_begin(self, epoch: int, logs: Log | None = None) -> None:
        optimizer = self.model.optimizer
        if self._takes_rate:
            optimizer.learning_rate = self.schedule(epoch, optimizer.learning_rate)
        else:
            optimizer.learning_rate = self.schedule(epoch)
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate {optimizer.learning_rate:g}")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate


class LearningRateFinder(Callback):
    """A range test: the rate grows from step to step until the loss runs away (Smith,
    "Cyclical learning rates for training neural networks", 2017).

    Model and optimizer are afterwards what they were before.

    Parameters
    ----------
    start, end : float
        First and last rate.
    steps : int
        Number of steps between them.
    smoothing : float
        Share of the old value in the running mean of the loss.
    stop_factor : float
        Training ends when that mean is so many times its least.

    Attributes
    ----------
    rates, losses : list of float
        For each step: the rate, and the running mean of the loss.
    suggestion : float
        The rate at which the loss fell fastest.
    """

    def __init__(
        self,
        start: float = 1e-7,
        end: float = 10.0,
        steps: int = 100,
        smoothing: float = 0.95,
        stop_factor: float = 4.0,
    ) -> None:
        if not 0 < start < end:
            raise ArgumentError("rates rise from a positive one", got=f"{start} .. {end}")
        if steps < 2:
            raise ArgumentError("a range test takes steps", got=repr(steps))
        self.start, self.end, self.steps = start, end, steps
        self.smoothing, self.stop_factor = smoothing, stop_factor
        self.rates: list[float] = []
        self.losses: list[float] = []

    @property
    def suggestion(self) -> float:
        """The rate at which the loss fell fastest, by the logarithm of the rate."""
        if len(self.losses) < 3:
            raise ArgumentError("the range test was too short", got=f"{len(self.losses)} steps")
        slopes = np.gradient(np.asarray(self.losses), np.log(self.rates))
        return self.rates[int(np.argmin(slopes))]

    def on_train_begin(self, logs: Log | None = None) -> None:
        self.rates, self.losses = [], []
        self._mean = self._sum = 0.0
        variables = self.model.trainer.everything()
        self._before = {each: each.numpy() for each in variables.values()}

    def on_train_batch_begin(self, batch: int, logs: Log | None = None) -> None:
        if batch == 0:
            self._sum = 0.0
        share = len(self.rates) / (self.steps - 1)
        self.model.optimizer.learning_rate = self.start * (self.end / self.start) ** share

    def on_train_batch_end(self, batch: int, logs: Log | None = None) -> None:
        # The logs hold the mean of the epoch so far: this batch's loss is what it moved by.
        total = (logs or {})["loss"] * (batch + 1)
        loss, self._sum = total - self._sum, total
        self.rates.append(self.model.optimizer.learning_rate)
        count = len(self.rates)
        self._mean = self.smoothing * self._mean + (1 - self.smoothing) * loss
        self.losses.append(self._mean / (1 - self.smoothing**count))
        ran_away = self.losses[-1] > self.stop_factor * min(self.losses)
        if count == self.steps or ran_away or not math.isfinite(loss):
            self.model.stop_training = True

    def on_train_end(self, logs: Log | None = None) -> None:
        for variable, numbers in self._before.items():
            variable.assign(numbers)
