"""The model: layers between inputs and outputs, and how to train and use them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet import optimizers
from numbanet.arrays import inputs as arrays
from numbanet.errors import ArgumentError
from numbanet.initializers import draw_seed
from numbanet.layers.embedding import Embedding
from numbanet.layers.module import is_size, unbuilt_on_error, walk
from numbanet.layers.structure import map_leaves
from numbanet.models.callbacks import Callback
from numbanet.models.fitting import EVALUATION_BATCH, Schedule, run_epochs
from numbanet.models.files import Filed
from numbanet.models.history import History
from numbanet.arrays.ids import check_ids
from numbanet.models.objective import (
    LossSpec,
    MetricSpec,
    Objective,
    check_names,
    make_objective,
)
from numbanet.models.predictor import Predictor
from numbanet.models.progress import Progress, Verbosity, show
from numbanet.models.signature import Signature, input_types
from numbanet.models.structure import Structured
from numbanet.models.trainer import DataSet, Trainer
from numbanet.optimizers import Optimizer, OptimizerLike
from numbanet.plan.program import Program
from numbanet.runtime import get_device
from numbanet.runtime.device import Device
from numbanet.state.flat import home_of
from numbanet.viz.summary import size, summary


@dataclass(frozen=True)
class Compiled:
    """What `Model.compile` was given."""

    optimizer: Optimizer
    loss: LossSpec
    metrics: MetricSpec
    loss_weights: Mapping[str, float] | Sequence[float] | None
    device: Device


class Model(Filed, Structured):
    """A model of one or several inputs and outputs.

    Either what lies between ``inputs`` and ``outputs``, or a subclass with a ``forward``.

    Parameters
    ----------
    inputs, outputs : Value, or list or dict of them
        Inputs come from `Input`, outputs from calling layers. Neither for a subclass.
    name : str, optional

    Raises
    ------
    GraphError
        If the outputs depend on an input that is not among ``inputs``.

    Examples
    --------
    >>> x = Input((28, 28, 1))
    >>> h = Conv2D(8, 3, padding="same", activation="relu")(x)
    >>> h = Add()([h, Conv2D(8, 3, padding="same")(h)])
    >>> model = Model(x, Dense(10, activation="softmax")(GlobalAveragePooling2D()(h)))
    """

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None
    ) -> None:
        super().__init__(name)
        self._compiled: Compiled | None = None
        self._trainer: Trainer | None = None
        self._predictor: Predictor | None = None
        self._trained: tuple[list[str], list[str]] | None = None
        if (inputs is None) != (outputs is None):
            raise ArgumentError("a Model takes both inputs and outputs, or neither")
        if inputs is not None:
            self._connect(inputs, outputs)
        elif type(self).forward is Structured.forward:
            raise ArgumentError(
                "a Model needs inputs and outputs", mend="Or subclass it and write forward()"
            )

    # Training.

    def compile(
        self,
        optimizer: OptimizerLike = "sgd",
        loss: LossSpec | None = None,
        metrics: MetricSpec = (),
        loss_weights: Mapping[str, float] | Sequence[float] | None = None,
        device: str | Device | None = None,
    ) -> None:
        """Say how to train.

        Parameters
        ----------
        optimizer : str or Optimizer
        loss : str or Loss, or a list or dict of them
            One for each output; a single one serves all.
        metrics : list, or dict of lists by output
            Names such as ``"accuracy"``, or `Metric` objects.
        loss_weights : list or dict of float, optional
            Factors of the outputs' losses in their sum.
        device : str or Device, optional
            ``"cpu"``, ``"cuda"``; by default a GPU where there is one.

        Raises
        ------
        ArgumentError
            On unknown names.
        DeviceError
            If the device cannot be used.
        """
        if loss is None:
            raise ArgumentError("compile() needs a loss", mend="For example loss='mse'")
        rule = optimizers.get(optimizer)
        compiled = Compiled(rule, loss, metrics, loss_weights, get_device(device))
        if self._signature is None:
            check_names(loss, metrics)
        else:
            _objective(compiled, self._signature)
        self._compiled = compiled
        self._trainer = self._predictor = None

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer given to ``compile``."""
        return self._need_compiled().optimizer

    def fit(
        self,
        x: Any,
        y: Any,
        batch_size: int = 32,
        epochs: int = 1,
        verbose: Verbosity = "auto",
        validation_split: float = 0.0,
        validation_data: tuple[Any, Any] | None = None,
        shuffle: bool = True,
        seed: int | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> History:
        """Train on arrays.

        Parameters
        ----------
        x, y : array_like, or list or dict of them
            Inputs and targets; all of one length.
        batch_size : int
            The last batch of an epoch has what is left.
        epochs : int
        verbose : {"auto", 0, 1, 2}
            0: silent; 1: a bar; 2: a line an epoch.
        validation_split : float
            Part of the data, its end, to validate on after each epoch instead of training.
        validation_data : (x, y), optional
        shuffle : bool
            Draw a new order for each epoch.
        seed : int, optional
            Of the orders and of dropout. By default drawn from the generator of `set_seed`.
        callbacks : sequence of Callback

        Returns
        -------
        History

        Raises
        ------
        DataError
            On data that does not fit the model; nothing has changed then.
        """
        progress = Progress(verbose, epochs)
        _require_positive(batch_size=batch_size, epochs=epochs)
        _check_seed(seed)
        data = self._data_set(x, y)
        held_out = self._validation_set(validation_data)
        if validation_split:
            if held_out is not None:
                raise ArgumentError("give validation_split or validation_data, not both")
            data, held_out = data.split(validation_split)
        schedule = Schedule(
            batch_size=min(batch_size, data.samples),
            epochs=epochs,
            shuffle=shuffle,
            seed=draw_seed() if seed is None else seed,
        )
        return run_epochs(
            self._current_trainer(), data, held_out, schedule, progress, callbacks
        )

    def evaluate(
        self,
        x: Any,
        y: Any,
        batch_size: int | None = None,
        verbose: Verbosity = 0,
        return_dict: bool = False,
    ) -> float | list[float] | dict[str, float]:
        """Loss and metrics on arrays.

        Returns
        -------
        float, list or dict
            The loss; a list of loss and metrics if there are metrics; all by name if
            ``return_dict``.
        """
        data = self._data_set(x, y)
        batch_size = EVALUATION_BATCH if batch_size is None else batch_size
        _require_positive(batch_size=batch_size)
        logs = self._current_trainer().evaluate(data, min(batch_size, data.samples))
        if verbose and verbose != "auto":
            print(show(logs))
        if return_dict:
            return logs
        return list(logs.values()) if len(logs) > 1 else logs["loss"]

    def predict(self, x: Any, batch_size: int | None = None) -> Any:
        """Outputs for arrays, as one array, or a list or dict as the model was made.

        Needs no ``compile``; then runs on the default device.
        """
        batch_size = EVALUATION_BATCH if batch_size is None else batch_size
        _require_positive(batch_size=batch_size)
        with self._settled_by(x):
            inputs = self._inputs(x)
            samples = arrays.common_length(inputs)
        if self._predictor is None:
            self._predictor = Predictor(self, self._device())
        outputs = self._predictor.predict(inputs, samples, min(batch_size, samples))
        return map_leaves(lambda name: outputs[name], self.signature.structure)

    def program(self, batch_size: int = 32, samples: int | None = None) -> Program:
        """The planned program of a training step: print it to see launches and memory."""
        trainer = self._current_trainer()
        count = batch_size if samples is None else samples
        return trainer.train_program(trainer.data_types(count), batch_size)

    def summary(self, batch_size: int = 32, **options: Any) -> str:
        """Print and return a table of layers, shapes, parameters, connections and costs.

        Of a compiled model it also shows the memory of a training step of ``batch_size``
        samples, which is known without running one. ``options`` are those of
        `numbanet.viz.summary.summary`: ``expand_nested``, ``show_trainable`` and so on.
        """
        plan = None
        if self._compiled is not None and self.trainable_variables():
            program = self.program(batch_size)
            plan = (
                f"Training step of {batch_size} samples: {size(program.peak_bytes)} planned, "
                f"{size(program.arena_bytes)} of it for values that live within the step"
            )
        return summary(self, plan, **options)

    def _need_compiled(self) -> Compiled:
        if self._compiled is None:
            raise ArgumentError(
                f"{self.label} is not compiled", mend="Call compile(optimizer, loss) first"
            )
        return self._compiled

    def _device(self) -> Device:
        """The device of ``compile``, else the one where the weights are, else the default."""
        if self._compiled is not None:
            return self._compiled.device
        for variable in self.variables().values():
            device = home_of(variable)
            if isinstance(device, Device):
                return device
        return get_device(None)

    @contextmanager
    def _settled_by(self, x: Any) -> Iterator[None]:
        """A model that does not know its inputs learns them from ``x``; if the block then
        refuses the data, it forgets them again."""
        if self._signature is not None:
            yield
            return
        takes_ids = any(isinstance(each, Embedding) for _, each in walk(self))
        types = input_types(x, takes_ids=takes_ids)
        structure = {name: name for name in types} if isinstance(x, Mapping) else None
        with unbuilt_on_error(self):
            try:
                self.settle(types, structure)
                yield
            except Exception:
                self._signature = None
                raise

    def _inputs(self, x: Any) -> dict[str, np.ndarray]:
        inputs = arrays.inputs(self.signature.named_inputs(x), self.signature.inputs)
        check_ids(inputs, self.signature.id_limits)
        return inputs

    def _data_set(self, x: Any, y: Any) -> DataSet:
        compiled = self._need_compiled()
        with self._settled_by(x):
            inputs = self._inputs(x)
            objective = _objective(compiled, self.signature)
            return DataSet(
                inputs,
                objective.prepare(self.signature.named_outputs(y), self.signature.outputs),
            )

    def _validation_set(self, data: Any) -> DataSet | None:
        if data is None:
            return None
        if not isinstance(data, list | tuple) or len(data) != 2:
            raise ArgumentError("validation_data is a pair (x, y)", got=type(data).__name__)
        return self._data_set(*data)

    def _current_trainer(self) -> Trainer:
        """The trainer, made anew if layers were frozen or thawed since the last time."""
        compiled = self._need_compiled()
        # A frozen layer may also compute something else: normalisation does.
        trainable = list(self.trainable_variables()), self.frozen()
        if self._trainer is None or trainable != self._trained:
            objective = _objective(compiled, self.signature)
            self._trainer = Trainer(self, objective, compiled.optimizer, compiled.device)
            self._predictor = None
            self._trained = trainable
        return self._trainer


def _objective(compiled: Compiled, signature: Signature) -> Objective:
    return make_objective(
        list(signature.outputs), compiled.loss, compiled.metrics, compiled.loss_weights
    )


def _require_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if not is_size(number):
            raise ArgumentError(f"{name} is a positive integer", got=repr(number))


def _check_seed(seed: int | None) -> None:
    is_integer = isinstance(seed, int | np.integer)
    if seed is not None and not (is_integer and 0 <= seed < 2**63):
        raise ArgumentError("seed is a whole number below 2**63", got=repr(seed))
