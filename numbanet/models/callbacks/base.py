"""What callbacks are, and how training calls several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numbanet.errors import ArgumentError

if TYPE_CHECKING:
    from numbanet.models.model import Model

Log = Mapping[str, Any]

BATCH_HOOKS = {
    phase: (f"on_{phase}_batch_begin", f"on_{phase}_batch_end")
    for phase in ("train", "test", "predict")
}


class Callback:
    """Base of callbacks: methods that training calls, all of which do nothing here.

    A callback with a hook for batches makes an epoch run step by step, or by as many steps as
    ``compile(steps_per_execution=...)`` says; one without costs nothing between steps. The
    numbers of a batch's ``logs`` are read from the device when they are looked at, within the
    hook.

    Attributes
    ----------
    model : Model
        The model in training. With ``model.stop_training = True`` training ends.
    params : dict
        ``epochs``, ``steps`` (None if nobody knows), ``verbose``, ``batch_size``, ``seed``.
    """

    model: Model
    params: Mapping[str, Any]

    def set_model(self, model: Model) -> None:
        """Told whose training this is."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Told how training goes."""
        self.params = params

    def on_train_begin(self, logs: Log | None = None) -> None:
        """Called before the first epoch."""

    def on_train_end(self, logs: Log | None = None) -> None:
        """Called after the last epoch, not if training was interrupted."""

    def on_epoch_begin(self, epoch: int, logs: Log | None = None) -> None:
        """Called before each epoch, the first being 0."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called after each epoch with its loss and metrics; what is added to ``logs`` gets
        into the history."""

    def on_train_batch_begin(self, batch: int, logs: Log | None = None) -> None:
        """Called before each step; batches count from 0 in each epoch."""

    def on_train_batch_end(self, batch: int, logs: Log | None = None) -> None:
        """Called after each step, with loss and metrics of the epoch so far."""

    def on_test_begin(self, logs: Log | None = None) -> None:
        """Called before an evaluation, also that of validation data."""

    def on_test_end(self, logs: Log | None = None) -> None:
        """Called after an evaluation, with its loss and metrics."""

    def on_test_batch_begin(self, batch: int, logs: Log | None = None) -> None:
        """Called before each step of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Log | None = None) -> None:
        """Called after each step of an evaluation."""

    def on_predict_begin(self, logs: Log | None = None) -> None:
        """Called before a prediction."""

    def on_predict_end(self, logs: Log | None = None) -> None:
        """Called after a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Log | None = None) -> None:
        """Called before each batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Log | None = None) -> None:
        """Called after each batch of a prediction, with its ``outputs``."""


class LambdaCallback(Callback):
    """Functions as hooks.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end, on_train_begin, on_train_end, on_train_batch_begin, \
on_train_batch_end : callable, optional
        As the methods of `Callback`.
    **hooks
        Functions for its other methods.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **hooks: Callable[..., Any],
    ) -> None:
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **hooks,
        }
        for name, function in given.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise ArgumentError(f"callbacks have no hook {name!r}")
            if function is not None:
                setattr(self, name, function)


class Logs(Mapping[str, Any]):
    """Numbers that are read from the device when somebody looks, while they are those of now.

    Parameters
    ----------
    read : callable
        Gives the numbers by name.
    """

    def __init__(self, read: Callable[[], dict[str, Any]]) -> None:
        self._read = read
        self._numbers: dict[str, Any] | None = None
        self._is_over = False

    def close(self) -> None:
        """From now on there are other numbers."""
        self._is_over = True

    def _found(self) -> dict[str, Any]:
        if self._numbers is None:
            if self._is_over:
                raise ArgumentError(
                    "logs of a batch are gone with the next",
                    mend="Copy them within the hook: dict(logs)",
                )
            self._numbers = self._read()
        return self._numbers

    def __getitem__(self, name: str) -> Any:
        return self._found()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self._found())

    def __repr__(self) -> str:
        return repr(self._found())


class CallbackList:
    """Several callbacks, called one after the other.

    Parameters
    ----------
    callbacks : Callback, or sequence of them
    model : Model, optional
    **params
        See `Callback`.
    """

    def __init__(
        self,
        callbacks: Callback | Sequence[Callback] | CallbackList | None = None,
        model: Model | None = None,
        **params: Any,
    ) -> None:
        if isinstance(callbacks, CallbackList):
            callbacks = callbacks.callbacks
        given = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
        for callback in given:
            if not isinstance(callback, Callback):
                raise ArgumentError(
                    "callbacks are Callback objects",
                    got=repr(callback),
                    mend="Did you forget to call it?",
                )
        self.callbacks: list[Callback] = given
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    def append(self, callback: Callback) -> None:
        """Add a callback behind the others."""
        self.callbacks.append(callback)

    def set_model(self, model: Model) -> None:
        """Tell all whose training this is."""
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Tell all how training goes."""
        for callback in self.callbacks:
            callback.set_params(params)

    def wants_batches(self, phase: str) -> bool:
        """Whether one has a hook for batches of ``"train"``, ``"test"`` or ``"predict"``."""
        return any(
            getattr(each, hook).__func__ is not getattr(Callback, hook)
            if hasattr(getattr(each, hook), "__func__")
            else True
            for each in self.callbacks
            for hook in BATCH_HOOKS[phase]
        )

    def call(self, hook: str, *args: Any) -> None:
        """Call a hook, such as ``"on_epoch_end"``, of all."""
        for callback in self.callbacks:
            getattr(callback, hook)(*args)
