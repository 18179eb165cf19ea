"""The graphs that a model runs: a training step, an evaluation step, a prediction.

Training and evaluation read whole data sets, bound once, through a permutation and a position
that the step itself moves on. So an epoch is one call: nothing happens on the host in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.ir import DType, Graph, TensorType, Update, Value, Variable
from numbanet.models.objective import Objective
from numbanet.ops.leaf import input_value, variable_value
from numbanet.optimizers import Optimizer
from numbanet.passes.inference import inference
from numbanet.state.flat import FlatState
from numbanet.state.linking import link

ORDER = "order"
"""Name of the input that holds the permutation of the samples."""


class Recorder(Protocol):
    """A model, as far as graphs are concerned."""

    def record_on(self, inputs: Mapping[str, Value]) -> dict[str, Value]: ...


@dataclass(frozen=True)
class Counters:
    """Small state of a run.

    Attributes
    ----------
    start : Variable
        Position of the next batch in the permutation, int64.
    totals : tuple of Variable
        Sums of `Objective.totals` over the epoch so far. They are scalars, and not a vector, so
        that each is added to where its number is computed.
    seed : Variable
        Key of the random numbers, int64.
    """

    start: Variable
    totals: tuple[Variable, ...]
    seed: Variable


@dataclass(frozen=True)
class DataTypes:
    """Types of whole data sets, by input and by output name."""

    inputs: Mapping[str, TensorType]
    targets: Mapping[str, TensorType]


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
    graph, leaves = link(forward, seed=counters.seed, step=optimizer.iterations)
    parameters = [leaves.of(variable) for variable in state.segments]
    gradients = differentiate([graph.outputs["loss"]], parameters)
    moves = optimizer.updates(state, slots, gradients, leaves)
    return Graph(graph.inputs, {}, (*graph.updates, *moves))


def evaluation_graph(
    model: Recorder,
    objective: Objective,
    counters: Counters,
    data: DataTypes,
    batch_size: int,
) -> Graph:
    """One step of evaluation: batch, inference, loss, metrics."""
    forward = inference(_forward(model, objective, counters, data, batch_size))
    graph, _ = link(forward)
    return Graph(graph.inputs, {}, graph.updates)


def prediction_graph(model: Recorder, types: Mapping[str, TensorType]) -> Graph:
    """Inference on a batch of known size, bound as it is."""
    inputs = {name: input_value(name, t.shape, t.dtype) for name, t in types.items()}
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
    predictions = model.record_on(inputs)
    loss = objective.loss(targets, predictions)
    parts = objective.totals(loss, targets, predictions, batch_size)
    totals = [variable_value(total) for total in counters.totals]
    updates = [Update(a, a + b) for a, b in zip(totals, parts, strict=True)]
    return Graph(tuple(leaves), {"loss": loss}, (*updates, Update(start, start + batch_size)))


def _samples(data: DataTypes) -> int:
    return next(iter(data.inputs.values())).sizes[0]
