"""What a model is trained for and judged by: a loss and metrics for each output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet import losses as loss_names
from numbanet import metrics as metric_names
from numbanet import ops
from numbanet.arrays.inputs import by_name
from numbanet.errors import ArgumentError
from numbanet.ir import TensorType, Value
from numbanet.layers.structure import flatten
from numbanet.losses import Loss, LossLike
from numbanet.metrics import LossMetric, Metric, MetricLike

LossSpec = LossLike | Sequence[LossLike] | Mapping[str, LossLike]
MetricSpec = Sequence[MetricLike] | Mapping[str, Sequence[MetricLike]]


@dataclass(frozen=True)
class Goal:
    """The loss of one output, its weight in the sum, and the output's metrics."""

    loss: Loss
    weight: float
    metrics: tuple[Metric, ...]


@dataclass(frozen=True)
class Objective:
    """Goals by output.

    A step adds up `totals`, scalars: the weighted loss, then the totals of the meters in order.
    `results` makes named numbers of the sums.
    """

    goals: Mapping[str, Goal]

    def target_types(self, predictions: Mapping[str, TensorType]) -> dict[str, TensorType]:
        """Types of the targets that go with predictions of these types."""
        return {
            name: goal.loss.target_type(predictions[name]) for name, goal in self.goals.items()
        }

    def prepare(self, y: Any, predictions: Mapping[str, TensorType]) -> dict[str, np.ndarray]:
        """Targets as checked arrays; raises DataError."""
        return {
            name: self.goals[name].loss.prepare(
                part,
                predictions[name],
                "targets" if len(self.goals) == 1 else f"targets {name!r}",
            )
            for name, part in by_name(y, list(self.goals), "targets").items()
        }

    def loss(self, targets: Mapping[str, Value], predictions: Mapping[str, Value]) -> Value:
        """The weighted sum of the losses' means, a scalar."""
        total: Value | None = None
        for name, goal in self.goals.items():
            term = goal.loss(targets[name], predictions[name])
            term = term if goal.weight == 1 else term * goal.weight
            total = term if total is None else total + term
        if total is None:
            raise ArgumentError("an objective has at least one output")
        return total

    def totals(
        self,
        loss: Value,
        targets: Mapping[str, Value],
        predictions: Mapping[str, Value],
        samples: int,
    ) -> list[Value]:
        """What a batch of ``samples`` adds to the sums: `width` scalars of the loss's dtype."""
        scalars = [loss * float(samples)]
        for output, _, metric in self._meters():
            scalars += metric.totals(targets[output], predictions[output])
        return [ops.cast(each, loss.dtype) for each in scalars]

    @property
    def width(self) -> int:
        """Number of totals."""
        return 1 + sum(metric.width for _, _, metric in self._meters())

    def results(self, sums: Sequence[float], samples: int) -> dict[str, float]:
        """Named numbers out of the totals of ``samples`` samples."""
        found = {"loss": sums[0] / samples}
        start = 1
        for _, name, metric in self._meters():
            end = start + metric.width
            found[name] = metric.finish(sums[start:end], samples)
            start = end
        return found

    def _meters(self) -> list[tuple[str, str, Metric]]:
        """``(output, name in logs, metric)``: with several outputs, each one's loss too."""
        several = len(self.goals) > 1
        meters: list[tuple[str, str, Metric]] = []
        if several:
            meters += [
                (output, f"{output}_loss", LossMetric(goal.loss))
                for output, goal in self.goals.items()
            ]
        for output, goal in self.goals.items():
            for metric in goal.metrics:
                name = f"{output}_{metric.name}" if several else metric.name
                meters.append((output, name, metric))
        return meters


def make_objective(
    outputs: Sequence[str],
    loss: LossSpec,
    metrics: MetricSpec,
    weights: Mapping[str, float] | Sequence[float] | None,
) -> Objective:
    """The objective of a model with these outputs, out of what ``compile`` was given."""
    losses = {
        name: loss_names.get(each) for name, each in _spread("loss", loss, outputs).items()
    }
    chosen = _metrics(metrics, outputs)
    factors = _spread("loss_weights", 1.0 if weights is None else weights, outputs)
    return Objective(
        {name: Goal(losses[name], float(factors[name]), chosen[name]) for name in outputs}
    )


def check_names(loss: LossSpec, metrics: MetricSpec) -> None:
    """Raise ArgumentError for a name that is unknown whatever the outputs will be."""
    for each in flatten(loss):
        loss_names.get(each)
    for each in flatten(metrics):
        metric_names.get(each)


def _spread(what: str, given: Any, outputs: Sequence[str]) -> dict[str, Any]:
    """One thing for each output: one for all, a list in order, or a mapping by name."""
    if isinstance(given, Mapping):
        _check_names(what, given, outputs)
        missing = [name for name in outputs if name not in given]
        if missing:
            raise ArgumentError(f"{what}: nothing for output {missing[0]!r}", got=repr(given))
        return dict(given)
    if isinstance(given, list | tuple):
        if len(given) != len(outputs):
            raise ArgumentError(
                f"{what}: one for each output",
                got=f"{len(given)}",
                expected=f"{len(outputs)} ({', '.join(outputs)})",
            )
        return dict(zip(outputs, given, strict=True))
    return dict.fromkeys(outputs, given)


def _metrics(given: MetricSpec, outputs: Sequence[str]) -> dict[str, tuple[Metric, ...]]:
    if isinstance(given, Mapping):
        _check_names("metrics", given, outputs)
        return {name: _metric_list(given.get(name, ())) for name in outputs}
    return {name: _metric_list(given) for name in outputs}


def _metric_list(given: Any) -> tuple[Metric, ...]:
    each = given if isinstance(given, list | tuple) else (given,)
    return tuple(metric_names.get(metric) for metric in each)


def _check_names(what: str, given: Mapping[str, Any], outputs: Sequence[str]) -> None:
    for name in given:
        if name not in outputs:
            raise ArgumentError(
                f"{what}: no output {name!r}", expected=", ".join(map(repr, outputs))
            )
