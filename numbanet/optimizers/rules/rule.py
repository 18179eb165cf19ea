"""What an optimizer rule is: the step of each element, written once for every door."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from numbanet import ops
from numbanet.ir import DType, Value
from numbanet.state.flat import Segment

Number = float | Value
"""A hyperparameter: a constant of the program, or a float64 scalar that changes."""

Slots = Mapping[str, Value]


@dataclass(frozen=True)
class Slot:
    """Numbers that a rule keeps from step to step.

    Attributes
    ----------
    name : str
    initial : float or str
        What they are at first: a number, or the name of a hyperparameter.
    is_scalar : bool
        Whether it is one float64 for all parameters, and not a number for each element.
    """

    name: str
    initial: float | str = 0.0
    is_scalar: bool = False

    def first(self, numbers: Mapping[str, float]) -> float:
        """What they are at first, given the hyperparameters."""
        return numbers[self.initial] if isinstance(self.initial, str) else self.initial


@dataclass(frozen=True, eq=False)
class Hyper:
    """The hyperparameters of one step.

    Scalars are computed in float64 and rounded to the parameters' dtype where they meet them:
    differences like ``1 - beta ** step`` lose half of float32's digits, and cost nothing, since
    they are computed once a step and not once an element.

    Attributes
    ----------
    dtype : DType
        The parameters'.
    step : Value
        Number of this step, a float64 scalar; the first is 1.
    numbers : dict of str to Number
    segments : sequence of Segment
        The parameters within the flat values, for rules that need their shapes.
    """

    dtype: DType
    step: Value
    numbers: Mapping[str, Number]
    segments: Sequence[Segment] = ()

    def __getitem__(self, name: str) -> Number:
        return self.numbers[name]

    def cast(self, number: Number) -> Number:
        """A scalar in the parameters' dtype."""
        return ops.cast(number, self.dtype) if isinstance(number, Value) else number

    def average(self, old: Value, new: Value, decay: Number) -> Value:
        """``decay * old + (1 - decay) * new``."""
        return self.cast(decay) * old + self.cast(1 - decay) * new

    def correction(self, decay: Number) -> Value:
        """``1 - decay ** step``: what an average from zero is short of after ``step`` steps."""
        return 1.0 - ops.power(decay, self.step)


@dataclass(frozen=True)
class Rule(ABC):
    """How parameters move, elementwise on flat values of any shape.

    A rule is structure only: flags that decide which ops are recorded. Rules that are equal
    record the same ops, so they serve as keys of compiled programs. Numbers come with a step.

    Parameters
    ----------
    maximize : bool
        Climb instead of descend.
    decay : str
        ``"none"``; ``"coupled"``: ``weight_decay * p`` is added to the gradient, an L2 penalty;
        ``"decoupled"``: parameters shrink by ``learning_rate * weight_decay`` before they move
        (Loshchilov and Hutter, 2019).
    """

    maximize: bool = False
    decay: str = "none"

    @property
    def slots(self) -> tuple[Slot, ...]:
        """What is kept from step to step; none by default."""
        return ()

    def update(
        self, parameter: Value, gradient: Value, slots: Slots, hyper: Hyper
    ) -> tuple[Value, dict[str, Value]]:
        """The new parameter and the new slots.

        Parameters
        ----------
        parameter, gradient : Value
            Of one shape and dtype.
        slots : dict of str to Value
            By name; those that are not scalars are like ``parameter``.
        hyper : Hyper
        """
        if self.maximize:
            gradient = -gradient
        if self.decay == "coupled":
            gradient = gradient + hyper.cast(hyper["weight_decay"]) * parameter
        elif self.decay == "decoupled":
            shrinkage = hyper["learning_rate"] * hyper["weight_decay"]
            parameter = parameter - hyper.cast(shrinkage) * parameter
        return self.move(parameter, gradient, slots, hyper)

    @abstractmethod
    def move(
        self, parameter: Value, gradient: Value, slots: Slots, hyper: Hyper
    ) -> tuple[Value, dict[str, Value]]:
        """`update`, once sign and weight decay are seen to."""
