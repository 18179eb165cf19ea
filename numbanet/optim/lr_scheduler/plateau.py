"""A scheduler that waits for a metric to improve no longer."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from numbanet.errors import ArgumentError
from numbanet.optim.lr_scheduler.scheduler import (
    LRScheduler,
    checked_optimizer,
    for_each_group,
)
from numbanet.optim.optimizer import Optimizer

_IS_BETTER: dict[tuple[str, str], Callable[[float, float, float], bool]] = {
    ("min", "rel"): lambda new, best, threshold: new < best * (1.0 - threshold),
    ("min", "abs"): lambda new, best, threshold: new < best - threshold,
    ("max", "rel"): lambda new, best, threshold: new > best * (threshold + 1.0),
    ("max", "abs"): lambda new, best, threshold: new > best + threshold,
}


class ReduceLROnPlateau(LRScheduler):
    """Times ``factor`` when a metric has not improved for more than ``patience`` epochs.

    Parameters
    ----------
    optimizer : Optimizer
    mode : {"min", "max"}
        Whether a smaller or a larger metric is better.
    factor : float
        Below one.
    patience : int
    threshold : float
        Changes smaller than that are no improvement.
    threshold_mode : {"rel", "abs"}
        Whether the threshold is a part of the best metric so far.
    cooldown : int
        Epochs after a reduction in which nothing is counted.
    min_lr : float or list of float
        No learning rate is reduced further, for all parameter groups or for each.
    eps : float
        Smaller reductions are left out.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if not factor < 1:
            raise ArgumentError("factor is below 1", got=repr(factor))
        if (mode, threshold_mode) not in _IS_BETTER:
            raise ArgumentError(
                "unknown mode or threshold_mode",
                got=f"{mode!r}, {threshold_mode!r}",
                expected="min or max, and rel or abs",
            )
        self.optimizer = checked_optimizer(optimizer)
        self.factor = factor
        self.default_min_lr = None if isinstance(min_lr, list | tuple) else min_lr
        self.min_lrs = for_each_group("min_lr", optimizer, min_lr)
        self.patience = patience
        self.cooldown = cooldown
        self.eps = eps
        self.mode = mode
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.last_epoch = 0
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0
        self._note()

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Look at the metric of an epoch.

        Parameters
        ----------
        metrics : float or Tensor
        epoch : int, optional
            Deprecated in PyTorch: the number of the epoch, by default the next one.
        """
        current = float(metrics)
        if epoch is not None:
            warnings.warn(
                "stepping to an epoch is deprecated: call step(metrics) once for each",
                UserWarning,
                stacklevel=2,
            )
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current, self.best):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._note()

    @property
    def in_cooldown(self) -> bool:
        """Whether epochs are not counted now."""
        return self.cooldown_counter > 0

    def _is_better(self, current: float, best: float) -> bool:
        return _IS_BETTER[self.mode, self.threshold_mode](current, best, self.threshold)

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise ArgumentError(
                    "parameter groups were added since min_lr was given for each",
                    got=str(len(groups)),
                    expected=str(len(self.min_lrs)),
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self.min_lrs, strict=True):
            old = float(group["lr"])
            new = max(old * self.factor, least)
            if old - new > self.eps:
                group["lr"] = new

    def _note(self) -> None:
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]
