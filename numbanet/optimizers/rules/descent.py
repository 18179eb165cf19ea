"""Rules that follow the gradient, its velocity, or its sign."""

from __future__ import annotations

from dataclasses import dataclass

from numbanet import ops
from numbanet.ir import DType, Value
from numbanet.optimizers.rules.rule import Hyper, Rule, Slot, Slots


@dataclass(frozen=True)
class SGDRule(Rule):
    """Gradient descent with momentum: ``v = momentum * v + (1 - dampening) * g``.

    Numbers: ``learning_rate``, ``momentum``, ``dampening``. The first step is not dampened.
    Nesterov's variant moves along ``g + momentum * v`` (Sutskever et al., 2013). With
    ``rate_in_velocity`` the learning rate scales what enters the velocity and not what leaves
    it: the two differ while the rate changes.
    """

    has_momentum: bool = False
    has_dampening: bool = False
    nesterov: bool = False
    rate_in_velocity: bool = False

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("velocity"),) if self.has_momentum else ()

    def move(
        self, parameter: Value, gradient: Value, slots: Slots, hyper: Hyper
    ) -> tuple[Value, dict[str, Value]]:
        rate = hyper.cast(hyper["learning_rate"])
        if not self.has_momentum:
            return parameter - rate * gradient, {}
        momentum = hyper.cast(hyper["momentum"])
        if self.rate_in_velocity:
            gradient, rate = rate * gradient, None
        velocity = momentum * slots["velocity"] + self._dampened(gradient, hyper)
        direction = gradient + momentum * velocity if self.nesterov else velocity
        step = direction if rate is None else rate * direction
        return parameter - step, {"velocity": velocity}

    def _dampened(self, gradient: Value, hyper: Hyper) -> Value:
        if not self.has_dampening:
            return gradient
        is_later = ops.cast(ops.greater(hyper.step, 1.0), DType.FLOAT64)
        return hyper.cast(1.0 - is_later * hyper["dampening"]) * gradient


@dataclass(frozen=True)
class ASGDRule(Rule):
    """Averaged gradient descent (Polyak and Juditsky, 1992).

    Numbers: ``learning_rate``, ``lambd``, ``alpha``, ``t0``.
    """

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (
            Slot("average"),
            Slot("rate", initial="learning_rate", is_scalar=True),
            Slot("share", initial=1.0, is_scalar=True),
        )

    def move(
        self, parameter: Value, gradient: Value, slots: Slots, hyper: Hyper
    ) -> tuple[Value, dict[str, Value]]:
        rate, average = slots["rate"], slots["average"]
        kept = parameter - hyper.cast(rate * hyper["lambd"]) * parameter
        moved = kept - hyper.cast(rate) * gradient
        slowing = 1.0 + hyper.step * (hyper["lambd"] * hyper["learning_rate"])
        return moved, {
            "average": average + hyper.cast(slots["share"]) * (moved - average),
            "rate": hyper["learning_rate"] / ops.power(slowing, hyper["alpha"]),
            "share": 1.0 / ops.maximum(hyper.step - hyper["t0"], 1.0),
        }


@dataclass(frozen=True)
class RpropRule(Rule):
    """Resilient backpropagation (Riedmiller and Braun, 1993): the signs of gradients only.

    Numbers: ``learning_rate`` (the first step's size), ``shrink``, ``grow``, ``smallest``,
    ``largest``.
    """

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("previous"), Slot("size", initial="learning_rate"))

    def move(
        self, parameter: Value, gradient: Value, slots: Slots, hyper: Hyper
    ) -> tuple[Value, dict[str, Value]]:
        agreement = gradient * slots["previous"]
        has_turned = ops.less(agreement, 0.0)
        shrink, grow, smallest, largest = (
            hyper.cast(hyper[name]) for name in ("shrink", "grow", "smallest", "largest")
        )
        old = slots["size"]
        size = ops.where(has_turned, shrink * old, old)
        size = ops.where(ops.greater(agreement, 0.0), grow * old, size)
        size = ops.minimum(ops.maximum(size, smallest), largest)
        gradient = ops.where(has_turned, 0.0, gradient)
        moved = parameter - ops.sign(gradient) * size
        return moved, {"previous": gradient, "size": size}


@dataclass(frozen=True)
class LionRule(Rule):
    """Lion (Chen et al., 2023): the sign of an average of gradients.

    Numbers: ``learning_rate``, ``beta_1``, ``beta_2``.
    """

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("momentum"),)

    def move(
        self, parameter: Value, gradient: Value, slots: Slots, hyper: Hyper
    ) -> tuple[Value, dict[str, Value]]:
        old = slots["momentum"]
        direction = ops.sign(hyper.average(old, gradient, hyper["beta_1"]))
        moved = parameter - hyper.cast(hyper["learning_rate"]) * direction
        return moved, {"momentum": hyper.average(old, gradient, hyper["beta_2"])}
