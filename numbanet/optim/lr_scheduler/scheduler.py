"""The protocol of learning-rate schedulers."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from numbanet.errors import ArgumentError
from numbanet.optim.optimizer import Optimizer, Options


class LRScheduler:
    """Base of schedulers: sets ``group["lr"]`` of an optimizer when it is stepped.

    A subclass says in `next_lr` what a group's learning rate becomes, or overrides `get_lr`.

    Parameters
    ----------
    optimizer : Optimizer
    last_epoch : int
        Number of the last epoch; -1 to begin anew, which notes each group's learning rate as
        its ``initial_lr``.

    Attributes
    ----------
    base_lrs : list of float
        The groups' ``initial_lr``.
    last_epoch : int
        How many times it was stepped.

    Raises
    ------
    TypeError
        If ``optimizer`` is none.
    KeyError
        If ``last_epoch`` is given, and a group has no ``initial_lr``.
    """

    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = checked_optimizer(optimizer)
        for position, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"parameter group {position} has no 'initial_lr', which a scheduler that "
                    "resumes needs: load the optimizer's state first"
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def step(self, epoch: int | None = None) -> None:
        """Set the learning rates of the next epoch; called after the optimizer's step.

        Parameters
        ----------
        epoch : int, optional
            Deprecated in PyTorch: the number of the epoch, by default the next one.
        """
        if self._step_count == 1 and not self.optimizer.steps_called:
            warnings.warn(
                "the scheduler was stepped before the optimizer, so the first learning rate of "
                "the schedule is skipped: call optimizer.step() first",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is not None:
            warnings.warn(
                "stepping to an epoch is deprecated: call step() once for each",
                UserWarning,
                stacklevel=2,
            )
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        rates = self.get_lr() if epoch is None else self._closed_form()
        self._set(rates)

    def _set(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = list(rates)

    def get_last_lr(self) -> list[float]:
        """The learning rates set last, one for each group."""
        return self._last_lr

    def get_lr(self) -> list[float]:
        """The learning rates of epoch ``last_epoch``; for readers there is `get_last_lr`."""
        pairs = zip(self.optimizer.param_groups, self.base_lrs, strict=True)
        return [self.next_lr(group, base) for group, base in pairs]

    def next_lr(self, group: Options, base: float) -> float:
        """The learning rate of a group at ``last_epoch``, from what it is and was at first."""
        raise NotImplementedError(f"{type(self).__name__} does not implement next_lr()")

    def lr_at(self, base: float) -> float:
        """The learning rate at ``last_epoch``, whatever it is now."""
        raise NotImplementedError

    def _closed_form(self) -> list[float]:
        """By `lr_at` where a scheduler has it, else by `get_lr`."""
        if type(self).lr_at is LRScheduler.lr_at:
            return self.get_lr()
        return [self.lr_at(base) for base in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer, with PyTorch's names."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        vars(self).update(state_dict)


def checked_optimizer(optimizer: object) -> Optimizer:
    """``optimizer`` if it is one, else TypeError."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an optimizer")
    return optimizer


def for_each_group(name: str, optimizer: Optimizer, given: Any) -> list[Any]:
    """``given`` for each parameter group: it is one for all, or a list of one for each."""
    count = len(optimizer.param_groups)
    if not isinstance(given, list | tuple):
        return [given] * count
    if len(given) != count:
        raise ArgumentError(
            f"{name} is one for all parameter groups or one for each",
            got=str(len(given)),
            expected=str(count),
        )
    return list(given)


def kept_function(function: Callable[..., Any] | None) -> dict[str, Any] | None:
    """What a state dict keeps of a function: the attributes of one that is an object."""
    if function is None or isinstance(function, types.FunctionType):
        return None
    return dict(vars(function))


class MomentumCycle:
    """Part of schedulers that move momentum against the learning rate.

    It is the option ``momentum``, or the first of ``betas``.
    """

    optimizer: Optimizer
    use_beta1: bool

    def start_momentum(self, base: Any, largest: Any, is_new: bool) -> tuple[list, list]:
        """Both momenta of each group; where ``is_new``, the largest is the groups' now."""
        defaults = self.optimizer.defaults
        if "momentum" not in defaults and "betas" not in defaults:
            raise ArgumentError(
                "cycle_momentum takes an optimizer with momentum or betas",
                got=type(self.optimizer).__name__,
                mend="Pass cycle_momentum=False",
            )
        self.use_beta1 = "betas" in defaults
        bases = for_each_group("base_momentum", self.optimizer, base)
        most = for_each_group("max_momentum", self.optimizer, largest)
        if is_new:
            groups = self.optimizer.param_groups
            for group, low, high in zip(groups, bases, most, strict=True):
                self.set_momentum(group, high)
                group["max_momentum"], group["base_momentum"] = high, low
        return bases, most

    def set_momentum(self, group: Options, momentum: float) -> None:
        """Give a group another momentum."""
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum
