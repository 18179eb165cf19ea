"""Rules that divide by the size that gradients have had."""

from __future__ import annotations

from dataclasses import dataclass

from numbanet import ops
from numbanet.ir import Value
from numbanet.optimizers.rules.rule import Hyper, Number, Rule, Slot, Slots


def _root(square: Value, epsilon: Number, is_inside: bool) -> Value:
    """A root kept from zero: epsilon under it or added to it."""
    return ops.sqrt(square + epsilon) if is_inside else ops.sqrt(square) + epsilon


@dataclass(frozen=True)
class RMSpropRule(Rule):
    """RMSprop (Hinton, 2012), centered as in Graves (2013).

    Numbers: ``learning_rate``, ``rho``, ``epsilon``, ``momentum``. With ``rate_in_velocity``
    the learning rate scales what enters the velocity, else what leaves it.
    """

    has_momentum: bool = False
    centered: bool = False
    epsilon_inside: bool = False
    rate_in_velocity: bool = False

    @property
    def slots(self) -> tuple[Slot, ...]:
        kept = {"square": True, "mean": self.centered, "velocity": self.has_momentum}
        return tuple(Slot(name) for name, is_kept in kept.items() if is_kept)

    def move(
        self, parameter: Value, gradient: Value, slots: Slots, hyper: Hyper
    ) -> tuple[Value, dict[str, Value]]:
        rho, rate = hyper["rho"], hyper.cast(hyper["learning_rate"])
        square = hyper.average(slots["square"], gradient * gradient, rho)
        new = {"square": square}
        if self.centered:
            mean = new["mean"] = hyper.average(slots["mean"], gradient, rho)
            square = square - mean * mean
        deviation = _root(square, hyper.cast(hyper["epsilon"]), self.epsilon_inside)
        if not self.has_momentum:
            return parameter - rate * gradient / deviation, new
        entering = rate * gradient if self.rate_in_velocity else gradient
        carried = hyper.cast(hyper["momentum"]) * slots["velocity"]
        velocity = new["velocity"] = carried + entering / deviation
        return parameter - (velocity if self.rate_in_velocity else rate * velocity), new


@dataclass(frozen=True)
class AdagradRule(Rule):
    """Adagrad (Duchi et al., 2011).

    Numbers: ``learning_rate``, ``epsilon``, ``initial`` (of the sum of squares),
    ``rate_decay``: the rate is divided by ``1 + (step - 1) * rate_decay``.
    """

    epsilon_inside: bool = False
    has_rate_decay: bool = False

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("sum", initial="initial"),)

    def move(
        self, parameter: Value, gradient: Value, slots: Slots, hyper: Hyper
    ) -> tuple[Value, dict[str, Value]]:
        total = slots["sum"] + gradient * gradient
        rate = hyper["learning_rate"]
        if self.has_rate_decay:
            rate = rate / (1.0 + (hyper.step - 1.0) * hyper["rate_decay"])
        deviation = _root(total, hyper.cast(hyper["epsilon"]), self.epsilon_inside)
        return parameter - hyper.cast(rate) * gradient / deviation, {"sum": total}


@dataclass(frozen=True)
class AdadeltaRule(Rule):
    """Adadelta (Zeiler, 2012).

    Numbers: ``learning_rate``, ``rho``, ``epsilon``.
    """

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("square"), Slot("step_square"))

    def move(
        self, parameter: Value, gradient: Value, slots: Slots, hyper: Hyper
    ) -> tuple[Value, dict[str, Value]]:
        rho, epsilon = hyper["rho"], hyper.cast(hyper["epsilon"])
        square = hyper.average(slots["square"], gradient * gradient, rho)
        ratio = ops.sqrt(slots["step_square"] + epsilon) / ops.sqrt(square + epsilon)
        step = ratio * gradient
        moved = parameter - hyper.cast(hyper["learning_rate"]) * step
        step_square = hyper.average(slots["step_square"], step * step, rho)
        return moved, {"square": square, "step_square": step_square}
