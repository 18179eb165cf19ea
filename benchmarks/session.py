"""What every peer offers for a workload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.workloads import Weights, Workload


@dataclass(frozen=True)
class Task:
    """A workload with its numbers, as a peer is given it.

    ``dropout`` is off while losses are compared: frameworks draw different random numbers.
    """

    workload: Workload
    weights: Weights
    x: np.ndarray
    y: np.ndarray
    device: str
    dropout: bool


@dataclass(frozen=True)
class Session:
    """A peer, ready to run.

    Attributes
    ----------
    run : callable
        ``run(n)`` does n steps over the batches in turn and returns when they are finished.
    losses : callable
        ``losses(n)``: the losses of n steps from the state the session is in (of
        predictions: their root mean square).
    """

    run: Callable[[int], None]
    losses: Callable[[int], list[float]]


Open = Callable[[Task], Session]
