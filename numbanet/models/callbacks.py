"""Callbacks: what else happens between epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numbanet.models.model import Model


class Callback:
    """Base of callbacks: methods that `Model.fit` calls, all of which do nothing here.

    Attributes
    ----------
    model : Model
        The model in training.
    """

    model: Model

    def on_epoch_begin(self, epoch: int) -> None:
        """Called before each epoch, the first being 0."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Called after each epoch with its loss and metrics."""


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch. Nothing is compiled anew.

    Parameters
    ----------
    schedule : callable
        ``(epoch, learning rate so far) -> learning rate``.
    """

    def __init__(self, schedule: Callable[[int, float], float]) -> None:
        self.schedule = schedule

    def on_epoch_begin(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        optimizer.learning_rate = self.schedule(epoch, optimizer.learning_rate)
