"""Schedulers that multiply, and cosines: most are recursive, and so can be chained."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from numbanet.errors import ArgumentError
from numbanet.optim.lr_scheduler.scheduler import LRScheduler, for_each_group, kept_function
from numbanet.optim.optimizer import Optimizer, Options

Factor = Callable[[int], float]


class _FunctionLR(LRScheduler):
    """Base of schedulers by functions of the epoch, one for each group."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Factor | Sequence[Factor],
        last_epoch: int = -1,
    ) -> None:
        self.lr_lambdas: list[Factor] = for_each_group("lr_lambda", optimizer, lr_lambda)
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"lr_lambda is a function, got {type(function).__name__}")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """All but the optimizer; of functions, those that are objects by their attributes."""
        return {
            **super().state_dict(),
            "lr_lambdas": [kept_function(each) for each in self.lr_lambdas],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        rest = dict(state_dict)
        for function, kept in zip(self.lr_lambdas, rest.pop("lr_lambdas"), strict=True):
            vars(function).update(kept or {})
        super().load_state_dict(rest)


class LambdaLR(_FunctionLR):
    """``initial_lr * lr_lambda(epoch)``.

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : callable or list of callable
        One for all parameter groups or one for each.
    last_epoch : int
    """

    def get_lr(self) -> list[float]:
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [base * function(self.last_epoch) for base, function in pairs]


class MultiplicativeLR(_FunctionLR):
    """The learning rate times ``lr_lambda(epoch)``, each epoch.

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : callable or list of callable
        One for all parameter groups or one for each.
    last_epoch : int
    """

    def get_lr(self) -> list[float]:
        groups = self.optimizer.param_groups
        if self._is_initial:
            return [group["lr"] for group in groups]
        pairs = zip(groups, self.lr_lambdas, strict=True)
        return [group["lr"] * function(self.last_epoch) for group, function in pairs]


class StepLR(LRScheduler):
    """Times ``gamma`` every ``step_size`` epochs.

    Parameters
    ----------
    optimizer : Optimizer
    step_size : int
    gamma : float
    last_epoch : int
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: Options, base: float) -> float:
        is_due = self.last_epoch != 0 and self.last_epoch % self.step_size == 0
        return group["lr"] * self.gamma if is_due else group["lr"]

    def lr_at(self, base: float) -> float:
        return base * self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """Times ``gamma`` at each of some epochs.

    Parameters
    ----------
    optimizer : Optimizer
    milestones : iterable of int
        One that is given several times counts as often.
    gamma : float
    last_epoch : int
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: Options, base: float) -> float:
        times = self.milestones[self.last_epoch]
        return group["lr"] * self.gamma**times if times else group["lr"]

    def lr_at(self, base: float) -> float:
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return base * self.gamma**passed


class ConstantLR(LRScheduler):
    """Times ``factor`` for the first ``total_iters`` epochs.

    Parameters
    ----------
    optimizer : Optimizer
    factor : float
        In [0, 1].
    total_iters : int
    last_epoch : int
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 <= factor <= 1:
            raise ArgumentError("factor is in [0, 1]", got=repr(factor))
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: Options, base: float) -> float:
        if self.last_epoch == 0:
            return group["lr"] * self.factor
        is_over = self.last_epoch == self.total_iters
        return group["lr"] * (1.0 / self.factor) if is_over else group["lr"]

    def lr_at(self, base: float) -> float:
        is_over = self.last_epoch >= self.total_iters
        return base * (self.factor + is_over * (1 - self.factor))


class LinearLR(LRScheduler):
    """Times a factor that goes from ``start_factor`` to ``end_factor`` in equal steps.

    Parameters
    ----------
    optimizer : Optimizer
    start_factor : float
        In (0, 1].
    end_factor : float
        In [0, 1].
    total_iters : int
        Epochs that it takes.
    last_epoch : int
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ArgumentError("start_factor is in (0, 1]", got=repr(start_factor))
        if not 0 <= end_factor <= 1:
            raise ArgumentError("end_factor is in [0, 1]", got=repr(end_factor))
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: Options, base: float) -> float:
        if self.last_epoch == 0:
            return group["lr"] * self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return group["lr"]
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return group["lr"] * (1.0 + rise / before)

    def lr_at(self, base: float) -> float:
        done = min(self.total_iters, self.last_epoch)
        rise = self.end_factor - self.start_factor
        return base * (self.start_factor + rise * done / self.total_iters)


class ExponentialLR(LRScheduler):
    """Times ``gamma`` each epoch.

    Parameters
    ----------
    optimizer : Optimizer
    gamma : float
    last_epoch : int
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: Options, base: float) -> float:
        return group["lr"] if self._is_initial else group["lr"] * self.gamma

    def lr_at(self, base: float) -> float:
        return base * self.gamma**self.last_epoch


class PolynomialLR(LRScheduler):
    """``initial_lr * (1 - epoch / total_iters) ** power``, and zero from then on.

    Parameters
    ----------
    optimizer : Optimizer
    total_iters : int
    power : float
    last_epoch : int
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_iters: int = 5,
        power: float = 1.0,
        last_epoch: int = -1,
    ) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: Options, base: float) -> float:
        if self._is_initial or self.last_epoch > self.total_iters:
            return group["lr"]
        now = 1.0 - self.last_epoch / self.total_iters
        before = 1.0 - (self.last_epoch - 1) / self.total_iters
        return group["lr"] * (now / before) ** self.power

    def lr_at(self, base: float) -> float:
        done = min(self.total_iters, self.last_epoch) / self.total_iters
        return base * (1.0 - done) ** self.power


class CosineAnnealingLR(LRScheduler):
    """Along a cosine down to ``eta_min`` in ``T_max`` epochs, and up again in as many.

    As in Loshchilov and Hutter (2017), without the restarts.

    Parameters
    ----------
    optimizer : Optimizer
    T_max : int
    eta_min : float
    last_epoch : int
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_max: int,  # noqa: N803
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: Options, base: float) -> float:
        epoch, half = self.last_epoch, self.T_max
        if self._is_initial:
            return group["lr"]
        if self._step_count == 1 and epoch > 0:
            # The first step of one that resumes.
            wave = 1 + math.cos(epoch * math.pi / half)
            return self.eta_min + (base - self.eta_min) * wave / 2
        if (epoch - 1 - half) % (2 * half) == 0:
            # The recursion below would divide zero by zero after the lowest point.
            rise = (base - self.eta_min) * (1 - math.cos(math.pi / half)) / 2
            return group["lr"] + rise
        now = 1 + math.cos(math.pi * epoch / half)
        before = 1 + math.cos(math.pi * (epoch - 1) / half)
        return now / before * (group["lr"] - self.eta_min) + self.eta_min

    def lr_at(self, base: float) -> float:
        wave = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        return self.eta_min + (base - self.eta_min) * wave / 2
