"""Learning rates that are functions of the step, computed where the step runs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

from numbanet import ops
from numbanet.configuration import Configured
from numbanet.errors import ArgumentError
from numbanet.ir import DType, Value
from numbanet.optimizers.ranges import POSITIVE, check
from numbanet.testing import evaluate


class LearningRateSchedule(Configured, ABC):
    """Base of schedules: a subclass says in `rate` what the learning rate is at a step.

    Pass one as an optimizer's ``learning_rate``. It becomes a part of the compiled step, so
    that nothing happens on the host between steps.
    """

    def __call__(self, step: Value | float) -> Value | float:
        """The learning rate at ``step``, the first being 0.

        Parameters
        ----------
        step : Value or number
            A float64 scalar, or a number.

        Returns
        -------
        Value or float
            As ``step`` is.
        """
        if isinstance(step, Value):
            return self.rate(step)
        return float(evaluate(self.rate(ops.constant(step, DType.FLOAT64))))

    @abstractmethod
    def rate(self, step: Value) -> Value:
        """The learning rate at ``step``, both float64 scalars."""


class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
    decay_rate : float
    staircase : bool
        Decay every ``decay_steps`` steps at once, and not a little each step.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        _check_steps(decay_steps=decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def rate(self, step: Value) -> Value:
        progress = _progress(step, self.decay_steps, self.staircase)
        return self.initial_learning_rate * ops.power(self.decay_rate, progress)


class InverseTimeDecay(LearningRateSchedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate, decay_steps, decay_rate, staircase
        See `ExponentialDecay`.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        _check_steps(decay_steps=decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def rate(self, step: Value) -> Value:
        progress = _progress(step, self.decay_steps, self.staircase)
        return self.initial_learning_rate / (1.0 + self.decay_rate * progress)


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[0]`` up to and with step ``boundaries[0]``, then ``values[1]``, and so on.

    Parameters
    ----------
    boundaries : sequence of int
        Rising steps.
    values : sequence of float
        One more than there are boundaries.
    """

    def __init__(
        self,
        boundaries: Sequence[float],
        values: Sequence[float],
        name: str = "PiecewiseConstant",
    ) -> None:
        if not boundaries or len(boundaries) != len(values) - 1:
            raise ArgumentError(
                "PiecewiseConstantDecay takes boundaries and one more value than those",
                got=f"{len(boundaries)} boundaries and {len(values)} values",
            )
        self.boundaries = list(boundaries)
        self.values = list(values)
        self.name = name

    def rate(self, step: Value) -> Value:
        found = ops.constant(self.values[0], DType.FLOAT64)
        for boundary, number in zip(self.boundaries, self.values[1:], strict=True):
            found = ops.where(ops.greater(step, boundary), number, found)
        return found


class PolynomialDecay(LearningRateSchedule):
    """From ``initial_learning_rate`` to ``end_learning_rate`` as ``(1 - progress) ** power``.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
    end_learning_rate : float
    power : float
    cycle : bool
        After ``decay_steps`` go on with the next multiple of them as the end, and do not stay.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        _check_steps(decay_steps=decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def rate(self, step: Value) -> Value:
        progress = step / self.decay_steps
        if self.cycle:
            # -floor(-x) is the ceiling.
            progress = progress / ops.maximum(-ops.floor(-progress), 1.0)
        remaining = ops.power(1.0 - ops.minimum(progress, 1.0), self.power)
        spread = self.initial_learning_rate - self.end_learning_rate
        return spread * remaining + self.end_learning_rate


class CosineDecay(LearningRateSchedule):
    """Half a wave of a cosine (Loshchilov and Hutter, 2017), perhaps after a linear warm-up.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
        Steps of the decay, after those of the warm-up.
    alpha : float
        The learning rate at the end, as a fraction of the one at the top.
    warmup_target : float, optional
        The learning rate at the end of the warm-up; by default there is none.
    warmup_steps : int
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        _check_steps(decay_steps=decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def rate(self, step: Value) -> Value:
        if self.warmup_target is None:
            return self._decayed(step, self.initial_learning_rate)
        decayed = self._decayed(step - self.warmup_steps, self.warmup_target)
        if not self.warmup_steps:
            return decayed
        rise = (self.warmup_target - self.initial_learning_rate) / self.warmup_steps
        is_warm = ops.greater_equal(step, self.warmup_steps)
        return ops.where(is_warm, decayed, rise * step + self.initial_learning_rate)

    def _decayed(self, step: Value, top: float) -> Value:
        wave = _half_wave(ops.minimum(step / self.decay_steps, 1.0))
        return top * ((1.0 - self.alpha) * wave + self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decays one after the other (Loshchilov and Hutter, 2017).

    Parameters
    ----------
    initial_learning_rate : float
    first_decay_steps : int
        Steps of the first decay.
    t_mul : float
        How many times longer each decay is than the one before.
    m_mul : float
        How many times higher each decay starts than the one before.
    alpha : float
        The learning rate at the end, as a fraction of ``initial_learning_rate``.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        _check_steps(first_decay_steps=first_decay_steps)
        if t_mul < 1:
            raise ArgumentError("t_mul is at least 1", got=repr(t_mul))
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def rate(self, step: Value) -> Value:
        restarts, progress = self._place(step / self.first_decay_steps)
        wave = _half_wave(progress) * ops.power(self.m_mul, restarts)
        return self.initial_learning_rate * ((1.0 - self.alpha) * wave + self.alpha)

    def _place(self, time: Value) -> tuple[Value, Value]:
        """How many decays are over, and how far the present one is, in [0, 1)."""
        if self.t_mul == 1:
            restarts = ops.floor(time)
            return restarts, time - restarts
        spent = self.t_mul - 1.0
        # Rounding must not put a restart one step late; steps are much further apart than that.
        restarts = ops.floor(ops.log(time * spent + 1.0) * (1 / math.log(self.t_mul)) + 1e-9)
        length = ops.power(self.t_mul, restarts)
        return restarts, time / length - (1.0 - 1.0 / length) / spent


def _progress(step: Value, decay_steps: int, staircase: bool) -> Value:
    progress = step / decay_steps
    return ops.floor(progress) if staircase else progress


def _half_wave(progress: Value) -> Value:
    """From 1 to 0 along a cosine, for ``progress`` from 0 to 1."""
    return 0.5 * (1.0 + ops.cos(math.pi * progress))


def _check_steps(**steps: float) -> None:
    check(steps, dict.fromkeys(steps, POSITIVE))
