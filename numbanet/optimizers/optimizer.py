"""The Keras door's optimizers: a rule, its numbers, and what surrounds every rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypedDict

import numpy as np

from numbanet import ops
from numbanet.configuration import Configured
from numbanet.errors import ArgumentError
from numbanet.ir import DType, Update, Value, Variable
from numbanet.ops.state import pack, segment
from numbanet.optimizers.ranges import DECAY, FRACTION, NOT_NEGATIVE, POSITIVE, Range, check
from numbanet.optimizers.recording import create_slots, number_value, slot_updates
from numbanet.optimizers.rules import Hyper, Rule, Slot
from numbanet.optimizers.schedules import LearningRateSchedule
from numbanet.state.flat import FlatState
from numbanet.state.linking import Leaves

RANGES: Mapping[str, Range] = {
    "learning_rate": NOT_NEGATIVE,
    "weight_decay": NOT_NEGATIVE,
    "adam_decay": NOT_NEGATIVE,
    "adam_ratio": NOT_NEGATIVE,
    "initial": NOT_NEGATIVE,
    "momentum": FRACTION,
    "rho": FRACTION,
    "beta_1": DECAY,
    "beta_2": DECAY,
    "epsilon": POSITIVE,
    "clipnorm": POSITIVE,
    "clipvalue": POSITIVE,
    "global_clipnorm": POSITIVE,
    "ema_momentum": FRACTION,
}

Rate = float | LearningRateSchedule | Callable[[], float]

ACCUMULATOR = Slot("gradient_accumulator")
AVERAGE = Slot("average")


class Extras(TypedDict, total=False):
    """What every optimizer takes but for weight decay; see `Optimizer`."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    loss_scale_factor: float | None
    gradient_accumulation_steps: int | None
    name: str | None


class Options(Extras, total=False):
    """What every optimizer takes; see `Optimizer`."""

    weight_decay: float | None


class Optimizer(Configured):
    """A rule with its numbers. Subclasses fill in both; `Model.compile` takes any.

    Parameters
    ----------
    rule : Rule
    learning_rate : float, LearningRateSchedule or callable
        A function without arguments is called before each step, so that steps run one by one.
    numbers : dict of str to float
        The rule's other hyperparameters.
    weight_decay : float, optional
        Parameters shrink by ``learning_rate * weight_decay`` a step.
    clipnorm : float, optional
        Each parameter's gradient is scaled down to at most this norm.
    clipvalue : float, optional
        Each element of the gradients is clipped to ``-clipvalue .. clipvalue``.
    global_clipnorm : float, optional
        All gradients are scaled down together to at most this norm. Only one clip can be given.
    use_ema : bool
        Keep an average of the parameters; `fit` ends with the average in their place.
    ema_momentum : float
        Decay of that average.
    ema_overwrite_frequency : int, optional
        Put the average in the parameters' place each so many steps, too.
    gradient_accumulation_steps : int, optional
        Take a step with the mean gradient of each so many batches, at least 2.
    name : str, optional

    Attributes
    ----------
    iterations : Variable
        Number of batches seen.

    Raises
    ------
    ArgumentError
        If a number is not where it may be, or two clips are given.
    """

    def __init__(
        self,
        rule: Rule,
        learning_rate: Rate,
        numbers: Mapping[str, float] | None = None,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ) -> None:
        if loss_scale_factor is not None:
            raise NotImplementedError("loss_scale_factor: there is no float16 to scale for")
        self.rule = replace(rule, decay="decoupled") if weight_decay else rule
        self.numbers = dict(numbers or {})
        if weight_decay is not None:
            self.numbers["weight_decay"] = weight_decay
        clips = {
            "clipnorm": clipnorm,
            "clipvalue": clipvalue,
            "global_clipnorm": global_clipnorm,
        }
        self.clips = {key: number for key, number in clips.items() if number is not None}
        if len(self.clips) > 1:
            raise ArgumentError("gradients are clipped in one way", got=", ".join(self.clips))
        check({**self.numbers, **self.clips, "ema_momentum": ema_momentum}, RANGES)
        _check_count("ema_overwrite_frequency", ema_overwrite_frequency, 1)
        _check_count("gradient_accumulation_steps", gradient_accumulation_steps, 2)
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.name = name or type(self).__name__.lower()
        self.iterations = Variable(np.int64(0), "optimizer/iterations")
        self.schedule: LearningRateSchedule | None = None
        self._function: Callable[[], float] | None = None
        number = 0.0
        if isinstance(learning_rate, LearningRateSchedule):
            self.schedule = learning_rate
        elif callable(learning_rate):
            self._function = learning_rate
        else:
            number = learning_rate
        self.rate = Variable(_checked_rate(number), "optimizer/learning_rate")

    @property
    def learning_rate(self) -> float:
        """Read and written between steps; no step has to be compiled anew.

        That of a schedule is read only.
        """
        if self._function is not None:
            return float(self._function())
        if self.schedule is None:
            return float(self.rate.numpy())
        return float(self.schedule(int(self.iterations.numpy())))  # type: ignore[arg-type]

    @learning_rate.setter
    def learning_rate(self, number: float) -> None:
        if self.schedule is not None:
            raise ArgumentError(
                "the learning rate follows a schedule",
                got=repr(number),
                mend="Give the optimizer a number for a learning rate that is set",
            )
        self._function = None
        self.rate.assign(_checked_rate(number))

    @property
    def is_stepwise(self) -> bool:
        """Whether it has to be told of each step: a function is asked for the learning rate."""
        return self._function is not None

    def prepare(self) -> None:
        """Told before a step, or before several if it is not stepwise."""
        if self._function is not None:
            self.rate.assign(_checked_rate(self._function()))

    # What a training step records.

    def create_slots(self, state: FlatState) -> dict[str, Variable]:
        """The variables that are kept from step to step, by name."""
        slots = list(self.rule.slots)
        if self.gradient_accumulation_steps:
            slots.append(ACCUMULATOR)
        if self.use_ema:
            slots.append(AVERAGE)
        numbers = dict(self.numbers)
        if any(slot.initial == "learning_rate" for slot in slots):
            numbers["learning_rate"] = self.learning_rate  # which may be a function to call
        return create_slots(slots, state, numbers)

    def updates(
        self,
        state: FlatState,
        slots: Mapping[str, Variable],
        gradients: Sequence[Value],
        leaves: Leaves,
    ) -> list[Update]:
        """One step on flat values: elementwise, so one launch for the whole model.

        Parameters
        ----------
        state : FlatState
        slots : dict of str to Variable
            From `create_slots`.
        gradients : sequence of Value
            One for each of the state's parameters.
        leaves : Leaves
        """
        step = leaves.of(self.iterations)
        taken = step + 1
        batch = ops.cast(step, DType.FLOAT64)
        hyper = self._hyper(state, batch, leaves)
        old = {name: leaves.of(variable) for name, variable in slots.items()}
        flat = leaves.of(state.flat)
        if self.gradient_accumulation_steps:
            moved, new = self._accumulate(state, flat, gradients, old, hyper, batch)
        else:
            moved, new = self._move(state, flat, gradients, old, hyper)
        if self.use_ema:
            moved, new[AVERAGE.name] = self._average(moved, old[AVERAGE.name], hyper)
        return [
            Update(flat, moved),
            *slot_updates(slots, new, leaves),
            Update(step, taken),
        ]

    def finish(self, state: FlatState, slots: Mapping[str, Variable]) -> None:
        """End training: the average of the parameters takes their place, if one is kept."""
        if self.use_ema:
            state.flat.assign(slots[AVERAGE.name].numpy())

    def _hyper(self, state: FlatState, batch: Value, leaves: Leaves) -> Hyper:
        """Numbers of this step; ``batch`` counts the batches before this one."""
        if self.schedule is None:
            rate = number_value(self.rate, leaves)
        else:
            rate = self.schedule.rate(batch)
        steps = batch
        if self.gradient_accumulation_steps:
            steps = ops.floor(batch / self.gradient_accumulation_steps)
        numbers = {**self.numbers, "learning_rate": rate}
        return Hyper(state.dtype, steps + 1.0, numbers, tuple(state.segments.values()))

    def _move(
        self,
        state: FlatState,
        flat: Value,
        gradients: Sequence[Value],
        old: Mapping[str, Value],
        hyper: Hyper,
    ) -> tuple[Value, dict[str, Value]]:
        if "clipnorm" in self.clips:
            gradients = [_clip_norm(each, self.clips["clipnorm"]) for each in gradients]
        gradient = _packed(state, gradients)
        if "clipvalue" in self.clips:
            bound = self.clips["clipvalue"]
            gradient = ops.clip(gradient, -bound, bound)
        if "global_clipnorm" in self.clips:
            gradient = _clip_norm(gradient, self.clips["global_clipnorm"])
        return self.rule.update(flat, gradient, old, hyper)

    def _accumulate(
        self,
        state: FlatState,
        flat: Value,
        gradients: Sequence[Value],
        old: Mapping[str, Value],
        hyper: Hyper,
        batch: Value,
    ) -> tuple[Value, dict[str, Value]]:
        """A step every so many batches; its result is dropped at all others."""
        every = self.gradient_accumulation_steps or 1
        total = old[ACCUMULATOR.name] + _packed(state, gradients)
        mean = total * (1 / every)
        parts = [segment(mean, each.offset, each.shape) for each in state.segments.values()]
        moved, new = self._move(state, flat, parts, old, hyper)
        is_due = ops.greater_equal(batch + 1.0, hyper.step * every)
        kept = {name: ops.where(is_due, value, old[name]) for name, value in new.items()}
        kept[ACCUMULATOR.name] = ops.where(is_due, 0.0, total)
        return ops.where(is_due, moved, flat), kept

    def _average(self, moved: Value, old: Value, hyper: Hyper) -> tuple[Value, Value]:
        """The parameters, and their average with this step's in it."""
        is_later = ops.cast(ops.greater(hyper.step, 1.0), DType.FLOAT64)
        average = hyper.average(old, moved, is_later * self.ema_momentum)
        if not self.ema_overwrite_frequency:
            return moved, average
        turns = hyper.step / self.ema_overwrite_frequency
        is_due = ops.greater_equal(ops.floor(turns), turns)
        return ops.where(is_due, average, moved), average

    def __repr__(self) -> str:
        return f"<{type(self).__name__} learning_rate={self.learning_rate:g}>"


def _packed(state: FlatState, gradients: Sequence[Value]) -> Value:
    offsets = [segment.offset for segment in state.segments.values()]
    return pack(gradients, offsets, state.size)


def _clip_norm(gradient: Value, most: float) -> Value:
    """``gradient`` scaled down to a norm of at most ``most``."""
    norm = ops.sqrt(ops.sum(gradient * gradient))
    return gradient * (most / ops.maximum(norm, most))


def _checked_rate(number: float) -> np.float64:
    check({"learning_rate": number}, RANGES)
    return np.float64(number)


def _check_count(name: str, count: int | None, least: int) -> None:
    if count is not None and (not isinstance(count, int) or count < least):
        raise ArgumentError(f"{name} is an integer from {least} on", got=repr(count))
