"""The graphs that a model runs: a training step, an evaluation step, a prediction.

Training and evaluation read whole data sets, bound once, through a permutation and a position
that the step itself moves on. So an epoch is one call: nothing happens on the host in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Protocol

import numpy as np

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.errors import ArgumentError
from numbanet.ir import DType, Graph, TensorType, Update, Value, Variable
from numbanet.layers.ownership import Constraint, Regularizer
from numbanet.layers.penalties import penalties
from numbanet.layers.phase import phase
from numbanet.models.objective import Batch, Objective
from numbanet.ops.leaf import CONSTANT, input_value, variable_value
from numbanet.optimizers import Optimizer
from numbanet.passes.inference import inference
from numbanet.state.flat import FlatState
from numbanet.state.linking import Leaves, link

ORDER = "order"
"""Name of the input that holds the permutation of the samples."""


class Recorder(Protocol):
    """A model, as far as graphs are concerned."""

    def record_on(self, inputs: Mapping[str, Value]) -> dict[str, Value]: ...

    def trainable_variables(self) -> Mapping[str, Variable]: ...

    def regularizers(self) -> Mapping[Variable, Regularizer]: ...

    def constraints(self) -> Mapping[Variable, Constraint]: ...


@dataclass(frozen=True)
class Counters:
    """Small state of a run.

    Attributes
    ----------
    start : Variable
        Position of the next batch in the permutation, int64.
    seed : Variable
        Key of the random numbers, int64.
    sums : dict of types to tuple of Variable
        Sums of `Objective.totals` over the epoch so far, made when a step first adds to them.
        They are scalars where that is enough, and not a vector, so that each is added to
        where its number is computed.
    """

    start: Variable = field(default_factory=lambda: Variable(np.int64(0), "start"))
    seed: Variable = field(default_factory=lambda: Variable(np.int64(0), "seed"))
    sums: dict[tuple[TensorType, ...], tuple[Variable, ...]] = field(default_factory=dict)

    def totals(self, parts: Sequence[Value]) -> tuple[Variable, ...]:
        """The sums that parts of these types are added to."""
        types = tuple(part.type for part in parts)
        if types not in self.sums:
            self.sums[types] = tuple(
                Variable(np.zeros(each.sizes, each.dtype.numpy), f"total_{i}")
                for i, each in enumerate(types)
            )
        return self.sums[types]


@dataclass(frozen=True)
class DataTypes:
    """Types of whole data sets, by input and by output name."""

    inputs: Mapping[str, TensorType]
    targets: Mapping[str, TensorType]
    weights: Mapping[str, TensorType] = field(default_factory=dict)


def training_graph(
    model: Recorder,
    objective: Objective,
    optimizer: Optimizer,
    state: FlatState,
    slots: Mapping[str, Variable],
    counters: Counters,
    data: DataTypes,
    batch_size: int,
) -> Graph:
    """One training step: batch, forward, loss, gradients, optimizer, metrics."""
    forward = _forward(model, objective, counters, data, batch_size)
    if forward.outputs["loss"].node.op is CONSTANT:
        raise ArgumentError(
            "there is nothing to train for: no output has a loss", mend="compile(loss=...)"
        )
    graph, leaves = link(forward, seed=counters.seed, step=optimizer.iterations)
    parameters = [leaves.of(variable) for variable in state.segments]
    gradients = differentiate([graph.outputs["loss"]], parameters)
    moves = optimizer.updates(state, slots, gradients, leaves)
    moves = _constrained(moves, state, model.constraints(), leaves)
    return Graph(graph.inputs, {}, (*graph.updates, *moves))


def evaluation_graph(
    model: Recorder,
    objective: Objective,
    counters: Counters,
    data: DataTypes,
    batch_size: int,
) -> Graph:
    """One step of evaluation: batch, inference, loss, metrics."""
    with phase(False):
        forward = inference(_forward(model, objective, counters, data, batch_size))
    graph, _ = link(forward)
    return Graph(graph.inputs, {}, graph.updates)


def prediction_graph(model: Recorder, types: Mapping[str, TensorType]) -> Graph:
    """Inference on a batch of known size, bound as it is."""
    inputs = {name: input_value(name, t.shape, t.dtype) for name, t in types.items()}
    with phase(False):
        outputs = model.record_on(inputs)
    graph, _ = link(inference(Graph(tuple(inputs.values()), outputs)))
    return graph


def _forward(
    model: Recorder,
    objective: Objective,
    counters: Counters,
    data: DataTypes,
    batch_size: int,
) -> Graph:
    """A batch out of the data, the loss, and the sums and position moved on."""
    order = input_value(ORDER, (_samples(data),), DType.INT64)
    start = variable_value(counters.start)
    leaves: list[Value] = [order]

    def batch(prefix: str, types: Mapping[str, TensorType]) -> dict[str, Value]:
        values = {}
        for name, type_ in types.items():
            whole = input_value(f"{prefix}/{name}", type_.shape, type_.dtype)
            leaves.append(whole)
            values[name] = ops.gather_batch(whole, order, start, batch_size)
        return values

    inputs, targets = batch("x", data.inputs), batch("y", data.targets)
    weights = batch("w", data.weights)
    with penalties() as added:
        values = Batch(targets, model.record_on(inputs), weights)
    losses = objective.losses(values)
    terms = [*objective.weighted(losses), *added, *weight_penalties(model)]
    loss = reduce(add, terms) if terms else ops.constant(0.0)
    parts = objective.totals(loss, losses, values, batch_size)
    totals = [variable_value(total) for total in counters.totals(parts)]
    updates = [Update(a, a + b) for a, b in zip(totals, parts, strict=True)]
    return Graph(tuple(leaves), {"loss": loss}, (*updates, Update(start, start + batch_size)))


def weight_penalties(model: Recorder) -> list[Value]:
    """What regularizers add to the loss for the parameters that are trained."""
    regularizers = model.regularizers()
    trained = dict.fromkeys(model.trainable_variables().values())
    return [
        regularizers[each](variable_value(each)) for each in trained if each in regularizers
    ]


def _constrained(
    moves: Sequence[Update],
    state: FlatState,
    constraints: Mapping[Variable, Constraint],
    leaves: Leaves,
) -> list[Update]:
    """``moves`` with the parameters' new values brought back to what they are subject to."""
    if not any(variable in constraints for variable in state.segments):
        return list(moves)

    def bounded(moved: Value) -> Value:
        parts = []
        for variable, place in state.segments.items():
            part = ops.segment(moved, place.offset, place.shape)
            constraint = constraints.get(variable)
            parts.append(part if constraint is None else constraint(part))
        return ops.pack(parts, [each.offset for each in state.segments.values()], state.size)

    flat = leaves.of(state.flat)
    return [Update(flat, bounded(move.new)) if move.old is flat else move for move in moves]


def _samples(data: DataTypes) -> int:
    return next(iter(data.inputs.values())).sizes[0]
