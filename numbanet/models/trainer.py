"""The trainer: a compiled model's state, its loaded programs, and epochs run with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from numbanet.arrays.inputs import common_length
from numbanet.compile import compile_program
from numbanet.errors import ArgumentError
from numbanet.ir import DType, Graph, TensorType, Variable
from numbanet.models import graphs
from numbanet.models.graphs import ORDER, Counters, DataTypes
from numbanet.models.objective import Objective
from numbanet.optimizers import Optimizer
from numbanet.plan.program import Program
from numbanet.runtime.device import Device, Executable
from numbanet.state.flat import FlatState

if TYPE_CHECKING:
    from numbanet.models.model import Model

Look = Callable[[int, dict[str, float]], None]
"""Called now and then with the number of steps done and the metrics so far."""

LOOK_SECONDS = 0.2
"""How long steps run before somebody may look at the metrics."""


@dataclass(frozen=True, eq=False)
class DataSet:
    """Checked arrays, all of one length, that programs read by name.

    Attributes
    ----------
    inputs, targets : dict of str to ndarray
    samples : int
    """

    inputs: Mapping[str, np.ndarray]
    targets: Mapping[str, np.ndarray]
    samples: int = field(init=False)

    def __post_init__(self) -> None:
        named = {f"input {k!r}": v for k, v in self.inputs.items()}
        named |= {f"targets {k!r}": v for k, v in self.targets.items()}
        object.__setattr__(self, "samples", common_length(named))

    @property
    def types(self) -> DataTypes:
        return DataTypes(_types(self.inputs), _types(self.targets))

    def split(self, fraction: float) -> tuple[DataSet, DataSet]:
        """All but the last ``fraction`` of the samples, and those."""
        is_fraction = isinstance(fraction, Real) and 0 < fraction < 1
        first = self.samples - (int(self.samples * fraction) if is_fraction else 0)
        if first == self.samples:
            raise ArgumentError(
                "validation_split leaves samples on both sides",
                got=f"{fraction} of {self.samples} samples",
            )
        return self._slice(slice(first)), self._slice(slice(first, None))

    def _slice(self, which: slice) -> DataSet:
        return DataSet(
            {name: array[which] for name, array in self.inputs.items()},
            {name: array[which] for name, array in self.targets.items()},
        )

    def bind(self, executable: Executable) -> None:
        """Make these arrays what ``executable`` reads."""
        for prefix, arrays in (("x", self.inputs), ("y", self.targets)):
            for name, array in arrays.items():
                executable.bind(f"{prefix}/{name}", array)


def _types(arrays: Mapping[str, np.ndarray]) -> dict[str, TensorType]:
    return {
        name: TensorType(array.shape, DType.of(array.dtype)) for name, array in arrays.items()
    }


class Trainer:
    """State and programs of a model that is trained on a device.

    Parameters
    ----------
    model : Model
    objective : Objective
    optimizer : Optimizer
    device : Device
    """

    def __init__(
        self, model: Model, objective: Objective, optimizer: Optimizer, device: Device
    ) -> None:
        self.model = model
        self.objective = objective
        self.optimizer = optimizer
        self.device = device
        zero = np.zeros((), _loss_dtype(model))
        self.counters = Counters(
            start=Variable(np.int64(0), "start"),
            totals=tuple(Variable(zero, f"total_{i}") for i in range(objective.width)),
            seed=Variable(np.int64(0), "seed"),
        )
        self._loaded: dict[object, Executable] = {}

    @cached_property
    def state(self) -> FlatState:
        """The trainable parameters, moved together when training first needs it."""
        return FlatState(self.model.trainable_variables())

    @cached_property
    def slots(self) -> dict[str, Variable]:
        """What the optimizer keeps from step to step."""
        return self.optimizer.create_slots(self.state)

    def finish(self) -> None:
        """End training: what the optimizer has to do to the parameters after the last step."""
        self.optimizer.finish(self.state, self.slots)

    def data_types(self, samples: int) -> DataTypes:
        """Types of a data set with this number of samples."""
        signature = self.model.signature

        def whole(types: Mapping[str, TensorType]) -> dict[str, TensorType]:
            return {k: TensorType((samples, *t.shape[1:]), t.dtype) for k, t in types.items()}

        targets = self.objective.target_types(signature.outputs)
        return DataTypes(whole(signature.inputs), whole(targets))

    def train_program(self, data: DataTypes, batch_size: int) -> Program:
        """The planned program of one training step."""
        return compile_program(self._training_graph(data, batch_size), self.device)

    def train_epoch(
        self,
        data: DataSet,
        order: np.ndarray,
        batch_size: int,
        look: Look | None = None,
    ) -> dict[str, float]:
        """Train on each sample once, in ``order``; returns loss and metrics of the epoch.

        Without ``look``, the host does nothing between the first step and the last.
        """
        self.state.adopt()
        return self._epoch("train", self._training_graph, data, order, batch_size, look)

    def evaluate(self, data: DataSet, batch_size: int) -> dict[str, float]:
        """Loss and metrics over a data set, with everything in its form for inference."""
        order = np.arange(data.samples, dtype=np.int64)
        graph = self._evaluation_graph
        return self._epoch("evaluate", graph, data, order, batch_size, None)

    def _training_graph(self, data: DataTypes, batch_size: int) -> Graph:
        return graphs.training_graph(
            self.model,
            self.objective,
            self.optimizer,
            self.state,
            self.slots,
            self.counters,
            data,
            batch_size,
        )

    def _evaluation_graph(self, data: DataTypes, batch_size: int) -> Graph:
        return graphs.evaluation_graph(
            self.model, self.objective, self.counters, data, batch_size
        )

    def _epoch(
        self,
        kind: str,
        make: Callable[[DataTypes, int], Graph],
        data: DataSet,
        order: np.ndarray,
        batch_size: int,
        look: Look | None,
    ) -> dict[str, float]:
        self.counters.start.assign(0)
        for total in self.counters.totals:
            total.assign(0)
        done = 0
        for size, steps in _batches(data.samples, batch_size):
            executable = self._load(kind, make, data, size)
            data.bind(executable)
            executable.bind(ORDER, order)
            if look is None:
                executable.run(steps)
                continue
            for chunk in _chunks(executable, steps):
                done += chunk
                look(done, self._results(min(done * batch_size, data.samples)))
        return self._results(data.samples)

    def _results(self, samples: int) -> dict[str, float]:
        sums = [float(total.numpy()) for total in self.counters.totals]
        return self.objective.results(sums, samples)

    def _load(
        self,
        kind: str,
        make: Callable[[DataTypes, int], Graph],
        data: DataSet,
        batch_size: int,
    ) -> Executable:
        """The executable for batches of this size, compiled when it is first needed."""
        key = (kind, str(data.types), batch_size, homes(self.model))
        if key not in self._loaded:
            program = compile_program(make(data.types, batch_size), self.device)
            self._loaded[key] = self.device.load(program)
        return self._loaded[key]


def homes(model: Model) -> tuple[object, ...]:
    """Where the variables live that a program of ``model`` reads.

    A program is stale once another model has moved one of them into its flat state.
    """
    return tuple(
        variable.home if isinstance(variable.home, FlatState) else None
        for variable in model.variables().values()
    )


def _batches(samples: int, batch_size: int) -> Iterator[tuple[int, int]]:
    """``(size, how many)``: the full batches, and what is left."""
    full, rest = divmod(samples, batch_size)
    if full:
        yield batch_size, full
    if rest:
        yield rest, 1


def _chunks(executable: Executable, steps: int) -> Iterator[int]:
    """Run ``steps`` steps, in pieces of about `LOOK_SECONDS` with looks between them."""
    piece, left = 1, steps
    while left:
        count = min(piece, left)
        began = time.perf_counter()
        executable.run(count)
        left -= count
        # A device may run on after run() returned; whoever looks has waited for it.
        yield count
        if time.perf_counter() - began < LOOK_SECONDS / 2:
            piece *= 2


def _loss_dtype(model: Model) -> np.dtype:
    return next(iter(model.signature.outputs.values())).dtype.numpy
