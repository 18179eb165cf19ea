"""Models that learn: `compile`, `fit`, `evaluate`, `predict` and their siblings."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from numbanet import optimizers
from numbanet.arrays import inputs as arrays
from numbanet.errors import ArgumentError
from numbanet.initializers import draw_seed
from numbanet.models.callbacks import Callback, CallbackList
from numbanet.models.checking import lint_model
from numbanet.models.compiled import Compiled, require_positive
from numbanet.models.data import ArraySource
from numbanet.models.feeding import Fed
from numbanet.models.fitting import EVALUATION_BATCH, Fitting, Validation, run_test
from numbanet.models.history import History
from numbanet.models.interrupts import Interrupts
from numbanet.models.objective import LossSpec, MetricSpec
from numbanet.models.predictor import Predictor, batches_of
from numbanet.models.progress import Progress, Verbosity, show
from numbanet.models.streams import in_order, is_stream, unpacked
from numbanet.models.trainer import Trainer, Watcher
from numbanet.optimizers import Optimizer, OptimizerLike
from numbanet.plan.program import Program
from numbanet.runtime import get_device
from numbanet.runtime.device import Device

if TYPE_CHECKING:
    from numbanet.models.model import Model

Callbacks = Callback | Sequence[Callback] | CallbackList | None
Scores = float | list[Any] | dict[str, Any]


class Trainable(Fed):
    """A model that takes data, with everything that concerns training.

    Attributes
    ----------
    history : History
        Of the last `fit`, also while it runs, and if it was interrupted.
    stop_training : bool
        Set by callbacks: training ends after the step, or the epoch, that runs.
    """

    history: History
    stop_training: bool = False

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._compiled: Compiled | None = None
        self._trainer: Trainer | None = None
        self._predictor: Predictor | None = None
        self._trained: tuple[list[str], list[str]] | None = None
        self._fitting: Fitting | None = None

    def compile(
        self,
        optimizer: OptimizerLike = "rmsprop",
        loss: LossSpec | None = None,
        loss_weights: Mapping[str, float] | Sequence[float] | None = None,
        metrics: MetricSpec | None = None,
        weighted_metrics: MetricSpec | None = None,
        run_eagerly: bool = False,
        steps_per_execution: int | str = 1,
        jit_compile: str | bool = "auto",
        auto_scale_loss: bool = True,
        device: str | Device | None = None,
    ) -> None:
        """Say how to train.

        Parameters
        ----------
        optimizer : str or Optimizer
        loss : str, Loss or function, or a list or dict of them
            One for each output; a single one serves all. A function takes values
            ``(y_true, y_pred)`` and returns values. Outputs with None, or that a dict leaves
            out, are not trained for, and need targets only for their metrics.
        loss_weights : list or dict of float, optional
            Factors of the outputs' losses in their sum.
        metrics : list, or dict or list of lists by output
            Names such as ``"accuracy"``, `Metric` or `Loss` objects, or functions of values.
        weighted_metrics : as ``metrics``
            Those in which samples have their weights.
        run_eagerly, jit_compile
            Steps are always compiled; nothing else can be asked for.
        steps_per_execution : int or "auto"
            Callbacks' hooks for batches are called before the first and after the last of so
            many steps, which run as one, and have their numbers. ``"auto"``: of as many as run
            in a fifth of a second, where the data are arrays. Where no callback has such a hook
            that is so in any case.
        auto_scale_loss : bool
            Taken for Keras's sake: there is no float16 to scale for.
        device : str or Device, optional
            ``"cpu"``, ``"cuda"``; by default a GPU where there is one.

        Raises
        ------
        ArgumentError
            On unknown names.
        DeviceError
            If the device cannot be used.
        """
        compiled = Compiled(
            optimizers.get(optimizer),
            loss,
            loss_weights,
            metrics,
            weighted_metrics,
            run_eagerly,
            steps_per_execution,
            jit_compile,
            auto_scale_loss,
            get_device(device),
        )
        compiled.check(self._signature)
        self._compiled = compiled
        self._trainer = self._predictor = None
        if self._signature is not None:
            lint_model(self, compiled)

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer given to ``compile``."""
        return self._need_compiled().optimizer

    @property
    def trainer(self) -> Trainer:
        """State and programs of the training."""
        return self._current_trainer()

    @property
    def fitting(self) -> Fitting:
        """The training that runs, or ran last."""
        if self._fitting is None:
            raise ArgumentError(f"{self.label} was not trained")
        return self._fitting

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Verbosity = "auto",
        callbacks: Callbacks = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        seed: int | None = None,
    ) -> History:
        """Train.

        Parameters
        ----------
        x, y : array_like, or list or dict of them
            Inputs and targets; all of one length. Arrays on the GPU that trains are read where
            they lie (DLPack, ``__cuda_array_interface__``). Or ``x`` alone: a
            `numbanet.data.DataLoader`, a generator, Keras's ``PyDataset`` or anything else that
            gives batches ``(x, y)`` or ``(x, y, sample_weight)``.
        batch_size : int, optional
            Of arrays, by default 32. The last batch of an epoch has what is left.
        epochs : int
            Where training ends, counted from 0, not from ``initial_epoch``.
        verbose : {"auto", 0, 1, 2}
            0: silent; 1: a bar; 2: a line an epoch.
        callbacks : Callback, or sequence of them
        validation_split : float
            Part of the arrays, its end, to validate on instead of training.
        validation_data : (x, y), (x, y, sample_weight), or what gives batches; optional
        shuffle : bool
            Draw a new order of the arrays for each epoch, or of batches that have numbers.
        class_weight : dict of int to float, optional
            Weights of samples by their class.
        sample_weight : array_like, or list or dict of them by output, optional
            A factor for each sample in the loss, or for each element of the leading axes.
        initial_epoch : int
        steps_per_epoch : int, optional
            The next epoch goes on where this many steps end; one that comes to the end of
            the arrays is shorter, with a warning.
        validation_steps : int, optional
        validation_batch_size : int, optional
        validation_freq : int or sequence of int
            Validate each so many epochs, or after these, which count from 1.
        seed : int, optional
            Of the orders and of dropout. By default drawn from the generator of `set_seed`.

        Returns
        -------
        History

        Raises
        ------
        DataError
            On data that does not fit the model. Arrays are checked before anything changes,
            batches before their step.
        KeyboardInterrupt
            After Ctrl-C, when the step is done. The model is as that step left it, and its
            ``history`` has the epochs that were finished.
        """
        progress = Progress(verbose, epochs)
        _check_numbers(
            epochs, initial_epoch, seed, batch_size, steps_per_epoch, validation_batch_size
        )
        require_positive(validation_steps=validation_steps)
        _check_frequency(validation_freq)
        given = CallbackList(callbacks)
        size = batch_size or 32
        source, held_out = self._sources(
            x, y, sample_weight, class_weight, validation_split, size, shuffle, steps_per_epoch
        )
        if held_out is not None and validation_data is not None:
            raise ArgumentError("give validation_split or validation_data, not both")
        lint_model(self, self._need_compiled(), source)
        test_size = validation_batch_size or batch_size or EVALUATION_BATCH
        make = self._validation_source(validation_data, held_out, test_size, validation_steps)
        self._fitting = Fitting(
            self._current_trainer(),
            source,
            None if make is None else Validation(make, validation_freq),
            initial_epoch,
            epochs,
            draw_seed() if seed is None else seed,
            given,
            progress,
        )
        self.history = self._fitting.history
        self.history.params |= {
            "epochs": epochs,
            "batch_size": source.batch_size if isinstance(source, ArraySource) else None,
            "steps": source.steps,
            "seed": self._fitting.seed,
        }
        given.set_model(cast("Model", self))
        given.set_params({**self.history.params, "verbose": verbose})
        return self._fitting.run()

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Verbosity = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Callbacks = None,
        return_dict: bool = False,
    ) -> Scores:
        """Loss and metrics.

        Parameters
        ----------
        x, y, sample_weight
            Arrays, or batches as ``x`` alone; see `fit`.
        batch_size : int, optional
            Of arrays. Results do not depend on it.
        verbose : {"auto", 0, 1, 2}
            1 and 2 print them.
        steps : int, optional
            Number of batches, by default all.
        callbacks : Callback, or sequence of them
        return_dict : bool

        Returns
        -------
        float, list or dict
            The loss; a list of loss and metrics if there are metrics; all by name if
            ``return_dict``.
        """
        require_positive(batch_size=batch_size, steps=steps)
        given = self._told(callbacks)
        source = self._test_source((x, y, sample_weight), batch_size or EVALUATION_BATCH, steps)
        with Interrupts() as interrupts:
            logs = run_test(self._current_trainer(), source(), given, interrupts)
        if verbose and verbose != "auto":
            print(show(logs))
        return _scores(logs, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Verbosity = 0,
        steps: int | None = None,
        callbacks: Callbacks = None,
    ) -> Any:
        """Outputs, as one array, or a list or dict as the model was made.

        Needs no ``compile``; then runs on the default device.

        Parameters
        ----------
        x : array_like, or list or dict of them, or what gives batches
            Targets in batches are not looked at.
        batch_size : int, optional
            Of arrays. Results do not depend on it.
        verbose : {"auto", 0, 1, 2}
            Taken for Keras's sake: nothing is shown.
        steps : int, optional
            Number of batches, by default all.
        callbacks : Callback, or sequence of them
        """
        is_plain = batch_size is None and steps is None and callbacks is None
        if is_plain and self._predictor is not None:
            output = self._predictor.repeat(x, EVALUATION_BATCH)
            if output is not None:
                return output
        require_positive(batch_size=batch_size, steps=steps)
        if is_stream(x):
            given = in_order(x)
            batches: Iterable[Any] = (self._batch_inputs(unpacked(each)[0]) for each in given)
        else:
            inputs = self._batch_inputs(x)
            samples = arrays.common_length(inputs)
            batches = batches_of(inputs, samples, min(batch_size or EVALUATION_BATCH, samples))
        together = 1 if self._compiled is None else self._compiled.steps_per_execution
        outputs = self._current_predictor().predict(
            islice(batches, steps),
            self._told(callbacks),
            together if isinstance(together, int) else 1,
        )
        return self._as_made(outputs)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Scores:
        """One training step on arrays; its loss and metrics as `evaluate` returns them.

        Arguments are those of `fit`. Each batch size is a program of its own.
        """
        data = self._data_set(x, y, sample_weight, class_weight)
        trainer = self._current_trainer()
        trainer.begin()
        for piece in ArraySource(data, data.samples).epoch(0, 0):
            trainer.train(piece, Watcher())
        return _scores(trainer.results(), return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Scores:
        """Loss and metrics of one batch, as `evaluate` returns them."""
        data = self._data_set(x, y, sample_weight)
        pieces = ArraySource(data, data.samples).epoch(0, 0)
        return _scores(self._current_trainer().evaluate(pieces, Watcher()), return_dict)

    def reset_metrics(self) -> None:
        """Forget what loss and metrics were computed of, as each new pass does."""
        if self._trainer is not None:
            self._trainer.begin()

    @property
    def metrics_names(self) -> list[str]:
        """What the numbers are that `evaluate` and `train_on_batch` return, in their order."""
        return self._need_compiled().objective(self.signature).names

    def predict_on_batch(self, x: Any) -> Any:
        """Outputs for one batch of any size, as `predict` returns them."""
        if self._predictor is not None:
            output = self._predictor.repeat(x, sys.maxsize)
            if output is not None:
                return output
        inputs = self._batch_inputs(x)
        arrays.common_length(inputs)
        return self._as_made(self._current_predictor().run(inputs))

    def program(self, batch_size: int = 32, samples: int | None = None) -> Program:
        """The planned program of a training step: print it to see launches and memory."""
        trainer = self._current_trainer()
        count = batch_size if samples is None else samples
        return trainer.train_program(trainer.data_types(count), batch_size)

    # State.

    def _told(self, callbacks: Callbacks) -> CallbackList:
        given = CallbackList(callbacks)
        given.set_model(cast("Model", self))
        return given

    def _current_predictor(self) -> Predictor:
        if self._predictor is None:
            self._predictor = Predictor(cast("Model", self), self._device())
        return self._predictor

    def _current_trainer(self) -> Trainer:
        """The trainer, made anew if layers were frozen or thawed since the last time."""
        compiled = self._need_compiled()
        # A frozen layer may also compute something else: normalisation does.
        trainable = list(self.trainable_variables()), self.frozen()
        if self._trainer is None or trainable != self._trained:
            objective = compiled.objective(self.signature)
            model = cast("Model", self)
            self._trainer = Trainer(
                model,
                objective,
                compiled.optimizer,
                compiled.device,
                compiled.steps_per_execution,
            )
            self._predictor = None
            self._trained = trainable
        return self._trainer


def _scores(logs: dict[str, Any], return_dict: bool) -> Scores:
    if return_dict:
        return logs
    return list(logs.values()) if len(logs) > 1 else logs["loss"]


def _check_numbers(
    epochs: int,
    initial_epoch: int,
    seed: int | None,
    batch_size: int | None,
    steps_per_epoch: int | None,
    validation_batch_size: int | None,
) -> None:
    require_positive(
        batch_size=batch_size,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        validation_batch_size=validation_batch_size,
    )
    if not isinstance(initial_epoch, int) or initial_epoch < 0:
        raise ArgumentError("initial_epoch is not negative", got=repr(initial_epoch))
    is_integer = isinstance(seed, int | np.integer)
    if seed is not None and not (is_integer and 0 <= seed < 2**63):
        raise ArgumentError("seed is a whole number below 2**63", got=repr(seed))


def _check_frequency(validation_freq: int | Sequence[int]) -> None:
    if not isinstance(validation_freq, list | tuple | set | range):
        require_positive(validation_freq=cast(int, validation_freq))
