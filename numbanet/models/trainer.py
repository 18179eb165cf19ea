"""The trainer: a compiled model's state, its loaded programs, and steps run with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from numbanet.compile import compile_program
from numbanet.errors import DataError
from numbanet.ir import Graph, TensorType, Variable
from numbanet.models import graphs
from numbanet.models.data import ArraySource, DataSet, Piece
from numbanet.models.graphs import Counters, DataTypes
from numbanet.models.objective import Objective
from numbanet.ops.leaf import variable_of
from numbanet.optimizers import Optimizer
from numbanet.plan.program import Program
from numbanet.runtime.device import Device, Executable
from numbanet.state.flat import FlatState

if TYPE_CHECKING:
    from numbanet.models.model import Model

CHUNK_SECONDS = 0.2
"""How long steps run before somebody may look."""


class Watcher:
    """Who stands by while steps run. This one lets them run.

    Attributes
    ----------
    is_over : bool
        Whether it wants no more steps.
    """

    is_over = False

    @property
    def room(self) -> int | None:
        """How many steps may run before it is told of them; None if it does not mind."""
        return None

    def before(self, trainer: Trainer) -> None:
        """Called before some steps."""

    def after(self, trainer: Trainer, steps: int) -> None:
        """Called after so many steps, which a device may still be at."""

    def end(self, trainer: Trainer) -> None:
        """Called after the last step of a pass."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A program, ready to run, and the totals that it adds to."""

    executable: Executable
    totals: tuple[Variable, ...]


class Trainer:
    """State and programs of a model that is trained on a device.

    A pass, such as an epoch, is `begin`, `run` for each piece of it, and `results`.

    Parameters
    ----------
    model : Model
    objective : Objective
    optimizer : Optimizer
    device : Device
    steps_per_execution : int or "auto"
        How many steps run between hooks for batches.
    """

    def __init__(
        self,
        model: Model,
        objective: Objective,
        optimizer: Optimizer,
        device: Device,
        steps_per_execution: int | str = 1,
    ) -> None:
        self.model = model
        self.objective = objective
        self.optimizer = optimizer
        self.device = device
        self.steps_per_execution = steps_per_execution
        self.counters = Counters()
        self._loaded: dict[object, Loaded] = {}
        self._totals: tuple[Variable, ...] = ()
        self._weights: frozenset[str] = frozenset()
        self._samples = 0

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

    def everything(self) -> dict[str, Variable]:
        """All that training changes, by name: with these numbers it goes on where it was."""
        found = {f"model/{name}": each for name, each in self.model.variables().items()}
        found |= {f"optimizer/{name}": each for name, each in self.slots.items()}
        found["optimizer/iterations"] = self.optimizer.iterations
        found["optimizer/learning_rate"] = self.optimizer.rate
        return found

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

    # Passes.

    def begin(self) -> None:
        """Start a pass: forget the totals of the last one."""
        self._totals = ()
        self._samples = 0

    def train(self, piece: Piece, watcher: Watcher) -> None:
        """Training steps."""
        self.state.adopt()
        self._run("train", self._training_graph, piece, watcher)

    def test(self, piece: Piece, watcher: Watcher) -> None:
        """Steps of evaluation, with everything in its form for inference."""
        self._run("evaluate", self._evaluation_graph, piece, watcher)

    def results(self) -> dict[str, Any]:
        """Loss and metrics of the pass so far; waits for the steps to be done."""
        sums = [total.numpy() for total in self._totals]
        return self.objective.results(sums, self._samples, self._weights)

    def train_epoch(
        self, data: DataSet, order: np.ndarray, batch_size: int
    ) -> dict[str, float]:
        """Train on each sample once, in ``order``; returns loss and metrics of the epoch."""
        self.begin()
        for piece in ArraySource(data, batch_size).pieces(order):
            self.train(piece, Watcher())
        return self.results()

    def evaluate(self, pieces: Iterable[Piece], watcher: Watcher) -> dict[str, Any]:
        """Loss and metrics over pieces of data."""
        self.begin()
        for piece in pieces:
            self.test(piece, watcher)
            if watcher.is_over:
                break
        watcher.end(self)
        return self.results()

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

    def _run(
        self,
        kind: str,
        make: Callable[[DataTypes, int], Graph],
        piece: Piece,
        watcher: Watcher,
    ) -> None:
        if not (piece.is_whole or self._has_room(piece.data)):
            for batch in piece.batches():
                if not watcher.is_over:
                    self._run(kind, make, batch, watcher)
            return
        loaded = self._load(kind, make, piece.data, piece.size)
        self._join(loaded.totals, frozenset(piece.data.weights))
        self.counters.start.assign(piece.start)
        piece.bind(loaded.executable, self.device)
        chunk, left = 1, piece.steps
        while left and not watcher.is_over:
            count = min(chunk, left, watcher.room or left)
            watcher.before(self)
            if kind == "train":
                self.optimizer.prepare()
            began = time.perf_counter()
            loaded.executable.run(count)
            left -= count
            self._samples += count * piece.size
            watcher.after(self, count)
            # A device may run on after run() returned; whoever looks has waited for it.
            is_short = time.perf_counter() - began < CHUNK_SECONDS / 2
            if is_short and not self.optimizer.is_stepwise:
                chunk = min(2 * chunk, piece.steps)

    def _has_room(self, data: DataSet) -> bool:
        """Whether the data are on the device, or may be put there once others have gone."""
        if not data.is_on(self.device):
            for loaded in self._loaded.values():
                loaded.executable.unbind()
        return data.is_on(self.device) or self.device.has_room(data.nbytes)

    def _join(self, totals: tuple[Variable, ...], weights: frozenset[str]) -> None:
        """Go on with the pass's totals, or start with these."""
        if not self._totals:
            for total in totals:
                total.assign(np.zeros(total.type.sizes))
            self._totals, self._weights = totals, weights
        elif self._totals != totals:
            raise DataError("some batches have sample weights, and others do not")

    def _load(
        self,
        kind: str,
        make: Callable[[DataTypes, int], Graph],
        data: DataSet,
        batch_size: int,
    ) -> Loaded:
        """The program for batches of this size, compiled when it is first needed."""
        key = (kind, str(data.types), batch_size, homes(self.model))
        if key not in self._loaded:
            graph = make(data.types, batch_size)
            program = compile_program(graph, self.device)
            self._loaded[key] = Loaded(self.device.load(program), self._totals_of(graph))
        return self._loaded[key]

    def _totals_of(self, graph: Graph) -> tuple[Variable, ...]:
        """Which of the sets of totals ``graph`` adds to."""
        updated = {variable_of(update.old) for update in graph.updates}
        (found,) = (each for each in self.counters.sums.values() if each[0] in updated)
        return found


def homes(model: Model) -> tuple[object, ...]:
    """Where the variables live that a program of ``model`` reads.

    A program is stale once another model has moved one of them into its flat state.
    """
    homes = [variable.home for variable in model.variables().values()]
    return tuple([home if isinstance(home, FlatState) else None for home in homes])
