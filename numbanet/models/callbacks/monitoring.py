"""Callbacks that watch one number of the logs."""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError
from numbanet.models.callbacks.base import Callback, Log

_GREATER_IS_BETTER = ("acc", "auc", "precision", "recall", "score", "iou", "io_u", "positives")


class Monitor(Callback):
    """Base of callbacks that ask whether a number got better.

    Parameters
    ----------
    monitor : str
        Name in the logs.
    mode : {"auto", "min", "max"}
        What is better; "auto" goes by the name.
    min_delta : float
        By how much it must be better to count.
    """

    def __init__(self, monitor: str, mode: str = "auto", min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ArgumentError("unknown mode", got=repr(mode), expected="'auto', 'min', 'max'")
        if mode == "auto":
            last = monitor.removeprefix("val_")
            is_upward = any(part in last for part in _GREATER_IS_BETTER)
            mode = "max" if is_upward and "loss" not in last else "min"
        self.monitor, self.mode = monitor, mode
        self.min_delta = abs(min_delta)

    def is_better(self, number: float, than: float | None) -> bool:
        """Whether ``number`` beats ``than`` by `min_delta`. Any beats None, and NaN nothing
        else."""
        if than is None:
            return True
        if self.mode == "min":
            return number < than - self.min_delta
        return number > than + self.min_delta

    def number(self, logs: Log | None) -> float | None:
        """What is watched, None with a warning if the logs do not have it."""
        if logs is None or self.monitor not in logs:
            warnings.warn(
                f"{type(self).__name__} watches {self.monitor!r}, and the logs have "
                f"{', '.join(logs or ()) or 'nothing'}.",
                stacklevel=2,
            )
            return None
        return float(logs[self.monitor])


class EarlyStopping(Monitor):
    """Ends training when a number has stopped getting better.

    Parameters
    ----------
    monitor : str
    min_delta : float
        By how much it must be better to count.
    patience : int
        So many epochs may pass without that.
    verbose : {0, 1}
    mode : {"auto", "min", "max"}
    baseline : float, optional
        Patience is had anew only with what is better than this, too.
    restore_best_weights : bool
        Whether the model gets the weights of its best epoch in the end.
    start_from_epoch : int
        Epochs before this one are not looked at.

    Attributes
    ----------
    stopped_epoch, best_epoch : int
    best : float or None
        None before the first epoch.
    """

    best: float | None

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.best_weights: list[np.ndarray] | None = None

    def on_train_begin(self, logs: Log | None = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        number = self.number(logs)
        if number is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.is_better(number, self.best):
            self.best, self.best_epoch = number, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.is_better(number, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Log | None = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Weights of the best epoch: {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)


class ReduceLROnPlateau(Monitor):
    """Lowers the learning rate when a number has stopped getting better.

    Parameters
    ----------
    monitor : str
    factor : float
        What the rate is multiplied by, below 1.
    patience : int
        So many epochs may pass without a better number.
    verbose : {0, 1}
    mode : {"auto", "min", "max"}
    min_delta : float
        By how much it must be better to count.
    cooldown : int
        Epochs after a change in which nothing is counted.
    min_lr : float
        The rate gets no lower.
    """

    best: float | None

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not 0 <= factor < 1:
            raise ArgumentError("factor lies in [0, 1)", got=repr(factor))
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr

    def on_train_begin(self, logs: Log | None = None) -> None:
        self.best, self.wait, self.cooldown_counter = None, 0, 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        optimizer = self.model.optimizer
        if logs is not None:
            logs["learning_rate"] = optimizer.learning_rate
        number = self.number(logs)
        if number is None:
            return
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(number, self.best):
            self.best, self.wait = number, 0
        elif not self.cooldown_counter:
            self.wait += 1
            if self.wait >= self.patience and optimizer.learning_rate > self.min_lr:
                self._lower(epoch)

    def _lower(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        optimizer.learning_rate = max(optimizer.learning_rate * self.factor, self.min_lr)
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate {optimizer.learning_rate:g}")
        self.cooldown_counter, self.wait = self.cooldown, 0


class TerminateOnNaN(Callback):
    """Ends training at the first loss that is NaN or infinite.

    It looks at the loss after each step, and so waits for each.

    Parameters
    ----------
    raise_error : bool
        Whether to raise RuntimeError then.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: Log | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            text = f"Batch {batch}: the loss is {loss}, training ends"
            if self.raise_error:
                raise RuntimeError(text)
            print(text)
            self.model.stop_training = True


class Timer(Callback):
    """Measures epochs, and may end training after some time.

    Parameters
    ----------
    limit : float, optional
        Seconds. No epoch begins after them.

    Attributes
    ----------
    times : list of float
        Seconds of each epoch, with its validation.
    """

    def __init__(self, limit: float | None = None) -> None:
        self.limit = limit
        self.times: list[float] = []

    @property
    def total(self) -> float:
        """Seconds of all epochs."""
        return sum(self.times)

    def on_train_begin(self, logs: Log | None = None) -> None:
        self.times = []

    def on_epoch_begin(self, epoch: int, logs: Log | None = None) -> None:
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.times.append(time.perf_counter() - self._began)
        if self.limit is not None and self.total >= self.limit:
            self.model.stop_training = True
