"""Adam and its relatives: averages of the gradient, and of its square or size."""

from __future__ import annotations

from dataclasses import dataclass

from numbanet import ops
from numbanet.ir import Value
from numbanet.optimizers.rules.rule import Hyper, Number, Rule, Slot, Slots


@dataclass(frozen=True)
class MomentsRule(Rule):
    """Base of rules that average the gradient and its square: ``beta_1``, ``beta_2``."""

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("moment_1"), Slot("moment_2"))

    def moments(self, gradient: Value, slots: Slots, hyper: Hyper) -> tuple[Value, Value]:
        """Both averages, with this step's gradient in them."""
        first = hyper.average(slots["moment_1"], gradient, hyper["beta_1"])
        second = hyper.average(slots["moment_2"], gradient * gradient, hyper["beta_2"])
        return first, second


@dataclass(frozen=True)
class AdamRule(MomentsRule):
    """Adam (Kingma and Ba, 2015, algorithm 1), AMSGrad (Reddi et al., 2018).

    Numbers: ``learning_rate``, ``beta_1``, ``beta_2``, ``epsilon``. With ``epsilon_hat``,
    epsilon is added to the root of the second moment before that is corrected (end of the
    paper's section 2), else after.
    """

    amsgrad: bool = False
    epsilon_hat: bool = False

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (*super().slots, *((Slot("largest_moment_2"),) if self.amsgrad else ()))

    def move(
        self, parameter: Value, gradient: Value, slots: Slots, hyper: Hyper
    ) -> tuple[Value, dict[str, Value]]:
        first, second = self.moments(gradient, slots, hyper)
        new = {"moment_1": first, "moment_2": second}
        if self.amsgrad:
            second = ops.maximum(slots["largest_moment_2"], second)
            new["largest_moment_2"] = second
        root = ops.sqrt(hyper.correction(hyper["beta_2"]))
        epsilon: Number = hyper["epsilon"] / root if self.epsilon_hat else hyper["epsilon"]
        deviation = ops.sqrt(second) * hyper.cast(1.0 / root) + hyper.cast(epsilon)
        rate = hyper["learning_rate"] / hyper.correction(hyper["beta_1"])
        return parameter - hyper.cast(rate) * first / deviation, new


@dataclass(frozen=True)
class AdamaxRule(Rule):
    """Adamax (Kingma and Ba, 2015, section 7.1): the largest decayed gradient for a scale.

    Numbers: ``learning_rate``, ``beta_1``, ``beta_2``, ``epsilon``. Epsilon is added to each
    gradient's size with ``epsilon_inside``, else to the scale.
    """

    epsilon_inside: bool = False

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("moment"), Slot("norm"))

    def move(
        self, parameter: Value, gradient: Value, slots: Slots, hyper: Hyper
    ) -> tuple[Value, dict[str, Value]]:
        epsilon = hyper.cast(hyper["epsilon"])
        moment = hyper.average(slots["moment"], gradient, hyper["beta_1"])
        size = ops.absolute(gradient)
        if self.epsilon_inside:
            size = size + epsilon
        norm = ops.maximum(hyper.cast(hyper["beta_2"]) * slots["norm"], size)
        scale = norm if self.epsilon_inside else norm + epsilon
        rate = hyper["learning_rate"] / hyper.correction(hyper["beta_1"])
        moved = parameter - hyper.cast(rate) * moment / scale
        return moved, {"moment": moment, "norm": norm}


@dataclass(frozen=True)
class NAdamRule(MomentsRule):
    """Adam with Nesterov momentum (Dozat, 2016).

    Numbers: ``learning_rate``, ``beta_1``, ``beta_2``, ``epsilon``, ``momentum_decay``: the
    momentum of step t is ``beta_1 * (1 - 0.96 ** (t * momentum_decay) / 2)``.
    """

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (*super().slots, Slot("momentum_product", initial=1.0, is_scalar=True))

    def move(
        self, parameter: Value, gradient: Value, slots: Slots, hyper: Hyper
    ) -> tuple[Value, dict[str, Value]]:
        first, second = self.moments(gradient, slots, hyper)
        now, later = (_momentum(hyper, hyper.step + ahead) for ahead in (0.0, 1.0))
        product = slots["momentum_product"] * now
        rate = hyper["learning_rate"]
        of_gradient = hyper.cast(rate * (1.0 - now) / (1.0 - product))
        of_moment = hyper.cast(rate * later / (1.0 - product * later))
        correction = hyper.cast(hyper.correction(hyper["beta_2"]))
        deviation = ops.sqrt(second / correction) + hyper.cast(hyper["epsilon"])
        moved = parameter - (of_gradient * gradient + of_moment * first) / deviation
        return moved, {"moment_1": first, "moment_2": second, "momentum_product": product}


def _momentum(hyper: Hyper, step: Value) -> Value:
    return (1.0 - 0.5 * ops.power(0.96, step * hyper["momentum_decay"])) * hyper["beta_1"]


@dataclass(frozen=True)
class RAdamRule(MomentsRule):
    """Rectified Adam (Liu et al., 2020): momentum alone while the variance is not yet known.

    Numbers: ``learning_rate``, ``beta_1``, ``beta_2``, ``epsilon``.
    """

    def move(
        self, parameter: Value, gradient: Value, slots: Slots, hyper: Hyper
    ) -> tuple[Value, dict[str, Value]]:
        first, second = self.moments(gradient, slots, hyper)
        is_known, rectified = _rectification(hyper)
        deviation = ops.sqrt(second) + hyper.cast(hyper["epsilon"])
        factor = ops.where(is_known, hyper.cast(rectified) / deviation, 1.0)
        rate = hyper["learning_rate"] / hyper.correction(hyper["beta_1"])
        moved = parameter - hyper.cast(rate) * first * factor
        return moved, {"moment_1": first, "moment_2": second}


def _rectification(hyper: Hyper) -> tuple[Value, Value]:
    """Whether the variance is known well enough, and the factor of the step if it is."""
    beta = hyper["beta_2"]
    correction = hyper.correction(beta)
    limit = 2.0 / (1.0 - beta) - 1.0
    length = limit - 2.0 * hyper.step * (1.0 - correction) / correction
    # Roots of what is negative and quotients by zero are kept from where nothing is known.
    known, most = _at_least(length, 5.0), _at_least(limit, 5.0)
    square = (known - 4.0) * (known - 2.0) / known
    scale = most / ((most - 4.0) * (most - 2.0))
    return ops.greater(length, 5.0), ops.sqrt(square * correction * scale)


def _at_least(number: Number, least: float) -> Number:
    return ops.maximum(number, least) if isinstance(number, Value) else max(number, least)
