"""Schedulers made of schedulers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from numbanet.errors import ArgumentError
from numbanet.optim.lr_scheduler.plateau import ReduceLROnPlateau
from numbanet.optim.lr_scheduler.scheduler import LRScheduler
from numbanet.optim.optimizer import Optimizer


class _Combined(LRScheduler):
    """Base of schedulers that hold others, and keep their state in their own."""

    _schedulers: Sequence[LRScheduler]

    def state_dict(self) -> dict[str, Any]:
        """All but the optimizer; the schedulers by their own state dicts."""
        return {
            **super().state_dict(),
            "_schedulers": [each.state_dict() for each in self._schedulers],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        rest = dict(state_dict)
        for scheduler, kept in zip(self._schedulers, rest.pop("_schedulers"), strict=True):
            scheduler.load_state_dict(kept)
        super().load_state_dict(rest)


class SequentialLR(_Combined):
    """One scheduler after the other, each beginning anew at its milestone.

    Parameters
    ----------
    optimizer : Optimizer
    schedulers : list of LRScheduler
    milestones : list of int
        The epochs at which the second scheduler begins, the third, and so on.
    last_epoch : int
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        _check("SequentialLR", schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ArgumentError(
                "SequentialLR takes a milestone for each scheduler but the first",
                got=f"{len(milestones)} milestones and {len(schedulers)} schedulers",
            )
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        self.optimizer = optimizer
        # Every scheduler has set its first learning rate when it was made. That is undone, and
        # done again by the one whose turn it is.
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for scheduler in schedulers:
            _step_back(scheduler)
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:  # type: ignore[override]
        """Set the learning rates of the next epoch."""
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[turn]
        if turn > 0 and self._milestones[turn - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Combined):
    """Several schedulers at once: each changes what the one before has set.

    Parameters
    ----------
    schedulers : sequence of LRScheduler
    optimizer : Optimizer, optional
        By default that of the first.
    """

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        _check("ChainedScheduler", schedulers, optimizer)
        self._schedulers = schedulers
        self.optimizer = optimizer or schedulers[0].optimizer
        self._note()

    def step(self) -> None:  # type: ignore[override]
        """Step all schedulers."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._note()

    def _note(self) -> None:
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]


def _step_back(scheduler: LRScheduler) -> None:
    """Undo the count of the step that making a scheduler was."""
    if isinstance(scheduler, _Combined):
        for each in scheduler._schedulers:
            _step_back(each)
    else:
        scheduler.last_epoch -= 1


def _check(name: str, schedulers: Sequence[Any], optimizer: Optimizer | None) -> None:
    """Raise unless there are schedulers, of one optimizer, that step without a metric."""
    if not schedulers:
        raise ArgumentError(f"{name} takes schedulers", got="none")
    for position, scheduler in enumerate(schedulers):
        if isinstance(scheduler, ReduceLROnPlateau):
            raise ArgumentError(
                f"{name} cannot hold a ReduceLROnPlateau, whose step takes a metric",
                got=f"one at {position}",
            )
        if not hasattr(scheduler, "optimizer"):
            raise TypeError(f"{name} takes schedulers, got {type(scheduler).__name__}")
        if scheduler.optimizer is not (optimizer or schedulers[0].optimizer):
            raise ArgumentError(
                f"{name} takes schedulers of one optimizer", got=f"another one at {position}"
            )
