"""Muon: momentum made orthogonal, for weights that are matrices."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from numbanet import ops
from numbanet.ir import Value
from numbanet.ops.state import pack, segment
from numbanet.optimizers.rules.moments import AdamRule
from numbanet.optimizers.rules.rule import Hyper, Rule, Slot, Slots
from numbanet.state.flat import Segment

State = tuple[Value, Value, Value]
"""A parameter, its momentum and its second moment (which matrices do not use)."""


@dataclass(frozen=True)
class MuonRule(Rule):
    """Muon (Jordan et al., 2024) for matrices, AdamW for all other parameters.

    Numbers: ``learning_rate``, ``momentum``, ``weight_decay``; of AdamW ``adam_ratio`` (of its
    learning rate), ``adam_decay``, ``beta_1``, ``beta_2``, ``epsilon``.

    Parameters
    ----------
    excluded : tuple of str
        Regular expressions: matrices whose path has a match in it go to AdamW.
    steps : int
        Newton-Schulz iterations, of polynomial ``coefficients``.
    rms_rate : float, optional
        Steps are scaled by ``rms_rate * sqrt(longer side)`` (Liu et al., 2025).
    """

    excluded: tuple[str, ...] = ()
    nesterov: bool = True
    steps: int = 5
    coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315)
    rms_rate: float | None = 0.2

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("momentum"), Slot("velocity"))

    def move(
        self, parameter: Value, gradient: Value, slots: Slots, hyper: Hyper
    ) -> tuple[Value, dict[str, Value]]:
        flat = (parameter, slots["momentum"], slots["velocity"])
        parts: list[State] = []
        for each in hyper.segments:
            *old, slope = (segment(v, each.offset, each.shape) for v in (*flat, gradient))
            move = self._turn if self._is_for_muon(each) else _adam
            parts.append(move((old[0], old[1], old[2]), slope, hyper))
        offsets = [each.offset for each in hyper.segments]
        size = parameter.type.size
        moved, momentum, velocity = (
            pack([part[k] for part in parts], offsets, size) for k in range(3)
        )
        return moved, {"momentum": momentum, "velocity": velocity}

    def _is_for_muon(self, place: Segment) -> bool:
        is_matrix = len(place.shape) == 2
        return is_matrix and not any(re.search(each, place.path) for each in self.excluded)

    def _turn(self, old: State, gradient: Value, hyper: Hyper) -> State:
        parameter, momentum, unused = old
        decay = hyper.cast(hyper["momentum"])
        momentum = decay * momentum + gradient
        direction = gradient + decay * momentum if self.nesterov else momentum
        rate = hyper["learning_rate"]
        kept = parameter - hyper.cast(rate * hyper["weight_decay"]) * parameter
        if self.rms_rate is not None:
            rate = rate * (math.sqrt(max(parameter.type.sizes)) * self.rms_rate)
        return kept - hyper.cast(rate) * self._orthogonal(direction), momentum, unused

    def _orthogonal(self, x: Value) -> Value:
        """About the nearest orthogonal matrix: all singular values are moved towards one."""
        rows, columns = x.type.sizes
        if rows > columns:
            return ops.transpose(self._orthogonal(ops.transpose(x)))
        a, b, c = self.coefficients
        x = x / (ops.sqrt(ops.sum(x * x)) + 1e-7)
        for _ in range(self.steps):
            square = x @ ops.transpose(x)
            x = a * x + (b * square + c * (square @ square)) @ x
        return x


def _adam(old: State, gradient: Value, hyper: Hyper) -> State:
    parameter, first, second = old
    numbers = {
        **hyper.numbers,
        "learning_rate": hyper["learning_rate"] * hyper["adam_ratio"],
    }
    shrinkage = hyper["learning_rate"] * hyper["adam_decay"]
    kept = parameter - hyper.cast(shrinkage) * parameter
    slots = {"moment_1": first, "moment_2": second}
    rule = AdamRule(epsilon_hat=True)
    moved, new = rule.move(kept, gradient, slots, Hyper(hyper.dtype, hyper.step, numbers))
    return moved, new["moment_1"], new["moment_2"]
