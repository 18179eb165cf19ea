"""What every peer is given, and what it offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.models import Weights
from benchmarks.workloads import Workload


@dataclass(frozen=True)
class Task:
    """A workload with its numbers.

    ``is_random`` is off while losses are compared: frameworks drop out other elements and
    shuffle in another order.
    """

    workload: Workload
    weights: Weights
    arrays: dict[str, np.ndarray]
    device: str
    is_random: bool

    @property
    def x(self) -> np.ndarray:
        return self.arrays["x"]

    @property
    def y(self) -> np.ndarray:
        return self.arrays["y"]

    @property
    def x_channels_last(self) -> np.ndarray:
        """``x``; images as ``[samples, height, width, channels]``."""
        if self.x.ndim != 4:
            return self.x
        return np.ascontiguousarray(self.x.transpose(0, 2, 3, 1))

    @property
    def dropout(self) -> float:
        """Rate of the model's dropout."""
        return getattr(self.workload.model, "dropout", 0.0) if self.is_random else 0.0


@dataclass(frozen=True)
class Session:
    """A peer, ready to run.

    Attributes
    ----------
    run : callable
        ``run(n)`` does n steps (epochs, calls) and returns when they are finished. Steps take
        the batches in turn.
    check : callable
        ``check(n)``: numbers that all peers must agree on. The losses of n steps from the
        initial weights; for n epochs their losses and accuracies; for predictions and
        operations the root mean squares of the results.
    """

    run: Callable[[int], object]
    check: Callable[[int], list[float]]


def root_mean_square(array: object) -> float:
    return float(np.sqrt(np.mean(np.square(np.asarray(array, np.float64)))))


def over_batches(task: Task, apply: Callable[[int], object]) -> Callable[[int], list[float]]:
    """The check of predictions: ``apply(i)`` gives the outputs for batch i."""
    return lambda count: [
        root_mean_square(apply(i % task.workload.batches)) for i in range(count)
    ]
