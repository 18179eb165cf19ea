"""Schedulers that go up and down: restarts, one cycle, triangles."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numbanet.errors import ArgumentError
from numbanet.optim.lr_scheduler.scheduler import (
    LRScheduler,
    MomentumCycle,
    checked_optimizer,
    for_each_group,
    kept_function,
)
from numbanet.optim.optimizer import Optimizer, Options


class CosineAnnealingWarmRestarts(LRScheduler):
    """Cosine decays one after the other (Loshchilov and Hutter, 2017).

    Parameters
    ----------
    optimizer : Optimizer
    T_0 : int
        Epochs of the first decay.
    T_mult : int
        How many times longer each decay is than the one before.
    eta_min : float
        The learning rate that each decay would reach.
    last_epoch : int
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,  # noqa: N803
        T_mult: int = 1,  # noqa: N803
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        for name, number in (("T_0", T_0), ("T_mult", T_mult)):
            if not isinstance(number, int) or number < 1:
                raise ArgumentError(f"{name} is a positive integer", got=repr(number))
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: Options, base: float) -> float:
        wave = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return self.eta_min + (base - self.eta_min) * wave / 2

    def step(self, epoch: float | None = None) -> None:
        """Set the learning rates of the next epoch, or of ``epoch``.

        Parameters
        ----------
        epoch : float, optional
            Fractions are places between epochs: ``epoch + batch / batches``.
        """
        if epoch is None and self.last_epoch >= 0:
            self.last_epoch += 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            self._go_to(epoch or 0)
        self._set(self.get_lr())

    def _go_to(self, epoch: float) -> None:
        if epoch < 0:
            raise ArgumentError("epochs are not negative", got=repr(epoch))
        self.last_epoch = math.floor(epoch)
        if self.T_mult == 1:
            self.T_cur = epoch % self.T_0 if epoch >= self.T_0 else epoch
            return
        spent = self.T_mult - 1
        restarts = 0
        if epoch >= self.T_0:
            restarts = int(math.log(epoch / self.T_0 * spent + 1, self.T_mult))
        length = self.T_mult**restarts
        self.T_i = self.T_0 * length
        self.T_cur = epoch - self.T_0 * (length - 1) / spent if restarts else epoch

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._set(self.get_lr())


class OneCycleLR(LRScheduler, MomentumCycle):
    """Up to ``max_lr`` and down to almost nothing (Smith and Topin, 2019); stepped each batch.

    Parameters
    ----------
    optimizer : Optimizer
    max_lr : float or list of float
        The top, for all parameter groups or for each.
    total_steps : int, optional
        Length of the cycle; by default ``epochs * steps_per_epoch``.
    epochs, steps_per_epoch : int, optional
    pct_start : float
        The part of the cycle that goes up.
    anneal_strategy : {"cos", "linear"}
    cycle_momentum : bool
        Whether momentum (or the first beta) goes down while the learning rate goes up.
    base_momentum, max_momentum : float or list of float
    div_factor : float
        The cycle begins at ``max_lr / div_factor``.
    final_div_factor : float
        It ends at that divided by ``final_div_factor``.
    three_phase : bool
        Go down as steeply as up, and then to the end.
    last_epoch : int
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = checked_optimizer(optimizer)
        self.total_steps = _length(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ArgumentError("pct_start is a float in [0, 1]", got=repr(pct_start))
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(
                "unknown anneal_strategy", got=repr(anneal_strategy), expected="cos, linear"
            )
        self._anneal_func_type = anneal_strategy
        self._schedule_phases = _phases(pct_start, self.total_steps, three_phase)
        tops = for_each_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, top in zip(optimizer.param_groups, tops, strict=True):
                group["initial_lr"] = top / div_factor
                group["max_lr"] = top
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.start_momentum(base_momentum, max_momentum, last_epoch == -1)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: Options, base: float) -> float:
        step = self.last_epoch
        if step > self.total_steps:
            raise ArgumentError(
                "the cycle is over", got=f"step {step}", expected=f"at most {self.total_steps}"
            )
        begin, phase = self._phase(step)
        part = (step - begin) / (phase["end_step"] - begin)
        if self.cycle_momentum:
            ends = group[phase["start_momentum"]], group[phase["end_momentum"]]
            self.set_momentum(group, self._between(*ends, part))
        return self._between(group[phase["start_lr"]], group[phase["end_lr"]], part)

    def _phase(self, step: int) -> tuple[float, dict[str, Any]]:
        """Where the phase of ``step`` begins, and the phase; the last goes on for ever."""
        *others, last = self._schedule_phases
        begin = 0.0
        for phase in others:
            if step <= phase["end_step"]:
                return begin, phase
            begin = phase["end_step"]
        return begin, last

    def _between(self, start: float, end: float, part: float) -> float:
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)
        return (end - start) * part + start


def _length(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    given = (epochs, steps_per_epoch) if total_steps is None else (total_steps,)
    if any(not isinstance(each, int) or each < 1 for each in given):
        raise ArgumentError(
            "OneCycleLR takes total_steps, or epochs and steps_per_epoch, positive integers",
            got=f"{total_steps}, {epochs}, {steps_per_epoch}",
        )
    return math.prod(given)  # type: ignore[arg-type]


def _phases(pct_start: float, total: int, three_phase: bool) -> list[dict[str, Any]]:
    """Where each phase ends, and the names of what it goes from and to."""
    rise = float(pct_start * total) - 1
    stations = [(rise, "initial_lr", "max_lr", "max_momentum", "base_momentum")]
    if three_phase:
        fall = float(2 * pct_start * total) - 2
        stations.append((fall, "max_lr", "initial_lr", "base_momentum", "max_momentum"))
        stations.append((total - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"))
    else:
        stations.append((total - 1, "max_lr", "min_lr", "base_momentum", "max_momentum"))
    keys = ("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum")
    return [dict(zip(keys, station, strict=True)) for station in stations]


_MODES: dict[str, tuple[str, Callable[[float, float], float]]] = {
    "triangular": ("cycle", lambda gamma, x: 1.0),
    "triangular2": ("cycle", lambda gamma, x: 1 / (2.0 ** (x - 1))),
    "exp_range": ("iterations", lambda gamma, x: gamma**x),
}
"""Of what each mode's height is a function, and the function."""


class CyclicLR(LRScheduler, MomentumCycle):
    """Triangles between ``base_lr`` and ``max_lr`` (Smith, 2017); stepped each batch.

    Parameters
    ----------
    optimizer : Optimizer
    base_lr, max_lr : float or list of float
        For all parameter groups or for each.
    step_size_up : int
        Steps up.
    step_size_down : int, optional
        Steps down; by default as many.
    mode : {"triangular", "triangular2", "exp_range"}
        Triangles of one height, of half the height each time, or ``gamma ** step`` as high.
    gamma : float
    scale_fn : callable, optional
        The height as a function of its own, in the place of ``mode``.
    scale_mode : {"cycle", "iterations"}
        Of what ``scale_fn`` is a function: the number of the triangle, from 1, or of the step.
    cycle_momentum : bool
        Whether momentum (or the first beta) goes down while the learning rate goes up.
    base_momentum, max_momentum : float or list of float
    last_epoch : int
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = checked_optimizer(optimizer)
        base_lrs = for_each_group("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, base_lrs, strict=True):
                group["lr"] = rate
        self.max_lrs = for_each_group("max_lr", optimizer, max_lr)
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up) + float(down)
        self.step_ratio = float(step_size_up) / self.total_size
        if mode not in _MODES and scale_fn is None:
            raise ArgumentError("unknown mode", got=repr(mode), expected=", ".join(_MODES))
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else _MODES[mode][0]
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self.start_momentum(
                base_momentum, max_momentum, last_epoch == -1
            )
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """The height of a triangle, of 1."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        return _MODES[self.mode][1](self.gamma, x)

    def get_lr(self) -> list[float]:
        time = self.last_epoch / self.total_size
        cycle = math.floor(1 + time)
        x = 1.0 + time - cycle
        rising = x <= self.step_ratio
        part = x / self.step_ratio if rising else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            bounds = zip(self.base_momentums, self.max_momentums, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, bounds, strict=True):
                self.set_momentum(group, high - (high - low) * part * scale)
        pairs = zip(self.base_lrs, self.max_lrs, strict=True)
        return [low + (high - low) * part * scale for low, high in pairs]

    def state_dict(self) -> dict[str, Any]:
        """All but the optimizer; ``scale_fn`` by its attributes if it is an object."""
        kept = kept_function(self._scale_fn_custom)
        return {**super().state_dict(), "_scale_fn_custom": kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        rest = dict(state_dict)
        kept = rest.pop("_scale_fn_custom")
        if kept is not None:
            vars(self._scale_fn_custom).update(kept)
        super().load_state_dict(rest)
