"""What a model is trained for and judged by: a loss and metrics for each output."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from numbers import Real
from typing import Any

import numpy as np

from numbanet import losses as loss_names
from numbanet import metrics as metric_names
from numbanet import ops
from numbanet.arrays.inputs import by_name
from numbanet.arrays.naming import nearest
from numbanet.errors import ArgumentError
from numbanet.ir import TensorType, Value
from numbanet.ir.resident import Array
from numbanet.layers.masks import mask_of
from numbanet.layers.structure import flatten
from numbanet.losses import Loss, LossLike
from numbanet.losses.loss import spread
from numbanet.metrics import Metric, MetricLike
from numbanet.models.names import free_name

LossSpec = LossLike | None | Sequence[LossLike | None] | Mapping[str, LossLike | None]
MetricSpec = Sequence[Any] | Mapping[str, MetricLike | Sequence[MetricLike]]
WeightKey = tuple[str, bool, bool]
"""An output, whether its samples' weights weigh, and whether its mask does."""


@dataclass(frozen=True)
class Goal:
    """The loss of one output, if it has one, its weight in the sum, and its metrics."""

    loss: Loss | None
    weight: float
    metrics: tuple[Metric, ...]
    weighted_metrics: tuple[Metric, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it needs no targets: it has neither a loss nor metrics."""
        return self.loss is None and not (self.metrics or self.weighted_metrics)

    def target_type(self, prediction: TensorType) -> TensorType:
        """The type of the targets that go with predictions of this type."""
        return prediction if self.loss is None else self.loss.target_type(prediction)

    def prepare(self, y: Any, prediction: TensorType, name: str) -> Array:
        """Targets as a checked array: by the loss, else by the first metric."""
        judge = self.loss or next(iter((*self.metrics, *self.weighted_metrics)))
        return judge.prepare(y, prediction, name)


@dataclass(frozen=True)
class Meter:
    """A metric of an output, its name in logs, and what weighs: samples' weights, a mask."""

    output: str
    name: str
    metric: Metric
    is_weighted: bool
    is_masked: bool


@dataclass(frozen=True)
class Objective:
    """Goals by output: of all outputs that have a loss or metrics.

    A step adds up `totals`: the whole loss, of several losses each one, the weights of the
    outputs that have them, and then the totals of the meters in order. `results` makes named
    numbers of the sums.

    Attributes
    ----------
    goals : dict of str to Goal
    has_several_outputs : bool
        Whether metrics are called after their outputs, too.
    masked : frozenset of str
        Outputs that have masks.
    """

    goals: Mapping[str, Goal]
    has_several_outputs: bool
    masked: frozenset[str] = frozenset()

    @cached_property
    def terms(self) -> dict[str, Loss]:
        """The losses by output, for those that have one."""
        return {name: goal.loss for name, goal in self.goals.items() if goal.loss is not None}

    def target_types(self, predictions: Mapping[str, TensorType]) -> dict[str, TensorType]:
        """Types of the targets that go with predictions of these types."""
        return {name: goal.target_type(predictions[name]) for name, goal in self.goals.items()}

    def prepare(self, y: Any, predictions: Mapping[str, TensorType]) -> dict[str, Array]:
        """Targets as checked arrays; raises DataError."""
        return {
            name: self.goals[name].prepare(
                part,
                predictions[name],
                f"targets {name!r}" if self.has_several_outputs else "targets",
            )
            for name, part in self._targets(y, list(predictions)).items()
        }

    def _targets(self, y: Any, outputs: list[str]) -> dict[str, Any]:
        """What was given for each goal; that of other outputs is not looked at."""
        idle = [name for name in outputs if name not in self.goals]
        if not self.goals:
            return {}
        if isinstance(y, Mapping):
            y = {name: part for name, part in y.items() if name not in idle}
        elif idle and isinstance(y, list | tuple) and len(y) == len(outputs):
            y = dict(zip(outputs, y, strict=True))
            return {name: y[name] for name in self.goals}
        return by_name(y, list(self.goals), "targets")

    def losses(self, batch: Batch) -> dict[str, Value]:
        """The loss of each output that has one, a scalar."""
        found = {}
        for name, term in self.terms.items():
            weight = batch.weights.get(name)
            prediction = batch.predictions[name]
            loss = term(batch.targets[name], prediction, weight, mask_of(prediction))
            if loss.rank:
                raise ArgumentError(
                    f"the loss of output {name!r} is one number in training",
                    got=str(loss.type),
                    mend="Give the loss another reduction",
                )
            found[name] = loss
        return found

    def weighted(self, losses: Mapping[str, Value]) -> list[Value]:
        """What the outputs' losses add to the whole."""
        weights = {name: self.goals[name].weight for name in losses}
        return [
            loss if weights[name] == 1 else loss * weights[name]
            for name, loss in losses.items()
        ]

    def totals(
        self, loss: Value, losses: Mapping[str, Value], batch: Batch, samples: int
    ) -> list[Value]:
        """What a batch of ``samples`` adds to the sums, in the loss's dtype."""
        found = [loss * float(samples)]
        if len(losses) > 1:
            found += [each * float(samples) for each in losses.values()]
        weights = {key: batch.weight(*key) for key in self._weighing(batch.weights)}
        found += map(ops.sum, weights.values())
        for meter in self.meters:
            found += meter.metric.totals(
                batch.targets[meter.output],
                batch.predictions[meter.output],
                weights.get(_weight_key(meter, batch.weights)),
            )
        return [ops.cast(each, loss.dtype) for each in found]

    def results(
        self, sums: Sequence[np.ndarray], samples: int, weights: Collection[str] = ()
    ) -> dict[str, Any]:
        """Named numbers out of the totals of ``samples`` samples.

        ``weights`` names the outputs whose samples have weights.
        """
        remaining = iter(sums)
        found: dict[str, Any] = {"loss": float(next(remaining)) / samples}
        if len(self.terms) > 1:
            for name in self.terms:
                found[f"{name}_loss"] = float(next(remaining)) / samples
        seen = {key: float(next(remaining)) for key in self._weighing(weights)}
        for meter in self.meters:
            totals = list(islice(remaining, meter.metric.width))
            count = seen.get(_weight_key(meter, weights), samples)
            found[meter.name] = meter.metric.finish(totals, count)
        return found

    @property
    def names(self) -> list[str]:
        """The names of `results`, in their order."""
        several = len(self.terms) > 1
        losses = [f"{name}_loss" for name in self.terms] if several else []
        return ["loss", *losses, *(meter.name for meter in self.meters)]

    @cached_property
    def meters(self) -> tuple[Meter, ...]:
        """The metrics of all outputs: of one output as they were given, of several by name, so
        that a list of results means what Keras's does."""
        several = self.has_several_outputs
        found: dict[str, Meter] = {}
        for is_weighted in (False, True):
            for output, goal in self.goals.items():
                for metric in goal.weighted_metrics if is_weighted else goal.metrics:
                    name = f"{output}_{metric.name}" if several else metric.name
                    if is_weighted and name in found:
                        name = f"weighted_{name}"
                    name = free_name(name, found)
                    is_masked = metric.takes_masks and output in self.masked
                    found[name] = Meter(output, name, metric, is_weighted, is_masked)
        return tuple(found[name] for name in (sorted(found) if several else found))

    def _weighing(self, weights: Collection[str]) -> list[WeightKey]:
        """The weights that some meter needs, and the sums of."""
        keys = (_weight_key(meter, weights) for meter in self.meters)
        return list(dict.fromkeys(key for key in keys if key[1] or key[2]))


def _weight_key(meter: Meter, weights: Collection[str]) -> WeightKey:
    return meter.output, meter.is_weighted and meter.output in weights, meter.is_masked


@dataclass(frozen=True)
class Batch:
    """Values of a batch, by output."""

    targets: Mapping[str, Value]
    predictions: Mapping[str, Value]
    weights: Mapping[str, Value]

    def weight(self, output: str, is_weighted: bool, is_masked: bool) -> Value:
        """What weighs the parts of an output: its samples' weights, its mask, or both."""
        prediction = self.predictions[output]
        mask = mask_of(prediction) if is_masked else None
        if mask is None:
            return self.weights[output]
        mask = ops.cast(mask, prediction.dtype)
        return mask * spread(self.weights[output], mask, output) if is_weighted else mask


def make_objective(
    outputs: Sequence[str],
    loss: LossSpec,
    metrics: MetricSpec | None,
    weights: Mapping[str, float] | Sequence[float] | None,
    weighted_metrics: MetricSpec | None = (),
    masked: frozenset[str] = frozenset(),
) -> Objective:
    """The objective of a model with these outputs, out of what ``compile`` was given."""
    losses = {
        name: None if each is None else loss_names.get(each)
        for name, each in _spread("loss", loss, outputs, missing=None).items()
    }
    chosen = _metrics("metrics", metrics, outputs)
    weighted = _metrics("weighted_metrics", weighted_metrics, outputs)
    factors = _factors(1.0 if weights is None else weights, outputs)
    goals = {
        name: Goal(losses[name], factors[name], chosen[name], weighted[name])
        for name in outputs
    }
    return Objective(
        {name: goal for name, goal in goals.items() if not goal.is_empty},
        len(outputs) > 1,
        masked,
    )


def _factors(given: Any, outputs: Sequence[str]) -> dict[str, float]:
    """A factor for each output's loss."""
    found = _spread("loss_weights", given, outputs, missing=1.0)
    for name, factor in found.items():
        if not isinstance(factor, Real) or isinstance(factor, bool):
            raise ArgumentError(
                f"loss_weights: the factor of output {name!r} is a number",
                got=repr(factor),
                mend="Metrics are given by name: compile(optimizer, loss, metrics=[...])",
            )
    return {name: float(factor) for name, factor in found.items()}


def check_names(loss: LossSpec, metrics: MetricSpec | None) -> None:
    """Raise ArgumentError for a name that is unknown whatever the outputs will be."""
    for each in flatten(loss):
        if each is not None:
            loss_names.get(each)
    for each in flatten(metrics or ()):
        metric_names.get(each)


def _spread(what: str, given: Any, outputs: Sequence[str], missing: Any) -> dict[str, Any]:
    """One thing for each output: one for all, a list in order, or a mapping by name, which
    may leave some out."""
    if isinstance(given, Mapping):
        _check_names(what, given, outputs)
        return {**dict.fromkeys(outputs, missing), **given}
    if isinstance(given, list | tuple):
        if len(given) != len(outputs):
            raise ArgumentError(
                f"{what}: one for each output",
                got=f"{len(given)}",
                expected=f"{len(outputs)} ({', '.join(outputs)})",
            )
        return dict(zip(outputs, given, strict=True))
    return dict.fromkeys(outputs, given)


def _metrics(
    what: str, given: MetricSpec | None, outputs: Sequence[str]
) -> dict[str, tuple[Metric, ...]]:
    """Metrics by output: a list of lists has one for each, any other list is for all."""
    if given is None:
        given = ()
    if not isinstance(given, Mapping) and any(isinstance(each, list | tuple) for each in given):
        given = _spread(what, given, outputs, ())
    if isinstance(given, Mapping):
        _check_names(what, given, outputs)
        return {name: _metric_list(given.get(name, ())) for name in outputs}
    return {name: _metric_list(given) for name in outputs}


def _metric_list(given: Any) -> tuple[Metric, ...]:
    if given is None:
        return ()
    each = given if isinstance(given, list | tuple) else (given,)
    return tuple(metric_names.get(metric) for metric in each)


def _check_names(what: str, given: Mapping[str, Any], outputs: Sequence[str]) -> None:
    for name in given:
        if name not in outputs:
            raise ArgumentError(
                f"{what}: no output {name!r}",
                expected=", ".join(map(repr, outputs)),
                mend=nearest(name, outputs),
            )
