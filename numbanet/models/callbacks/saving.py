"""Callbacks that write models to files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from numbanet.errors import ArgumentError, FormatError
from numbanet.models.callbacks.base import Callback, Log
from numbanet.models.callbacks.monitoring import Monitor


class ModelCheckpoint(Monitor):
    """Saves the model after epochs, or after so many steps.

    Parameters
    ----------
    filepath : str or Path
        May have fields: ``"{epoch:02d}-{val_loss:.2f}.weights.safetensors"``; epochs count
        from 1.
    monitor : str
    verbose : {0, 1}
    save_best_only : bool
        Only when ``monitor`` got better.
    save_weights_only : bool
        `Model.save_weights` in the place of `Model.save`.
    mode : {"auto", "min", "max"}
    save_freq : "epoch" or int
        An integer counts steps.
    initial_value_threshold : float, optional
        The number to beat at first.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        from numbanet.io.tensors import check_ending  # `io` is made of models.

        super().__init__(monitor, mode)
        check_ending(filepath)
        self.filepath, self.verbose = str(filepath), verbose
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.save_freq = _checked_frequency(save_freq)
        self.best = initial_value_threshold
        self._steps = 0
        self._epoch = 0
        if save_freq != "epoch":
            # A hook for batches makes epochs run step by step, so only who counts has one.
            self.on_train_batch_end = self._after_step

    def on_epoch_begin(self, epoch: int, logs: Log | None = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(logs or {})

    def _after_step(self, batch: int, logs: Log | None = None) -> None:
        self._steps += 1
        if self._steps % int(self.save_freq) == 0:
            self._save(logs or {})

    def _save(self, logs: Log) -> None:
        if self.save_best_only:
            number = self.number(logs)
            if number is None or np.isnan(number) or not self.is_better(number, self.best):
                return
            self.best = number
        path = self._path(logs)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            print(f"Epoch {self._epoch + 1}: saved {path}")

    def _path(self, logs: Log) -> str:
        # Logs are read from the device: only for a name that has more fields than the epoch.
        fields = set(re.findall(r"{(\w+)", self.filepath)) - {"epoch"}
        missing = fields - set(logs) if fields else set()
        if missing:
            raise ArgumentError(
                "filepath has fields that the logs do not have",
                got=", ".join(sorted(missing)),
                expected=", ".join(["epoch", *logs]),
            )
        return self.filepath.format(epoch=self._epoch + 1, **{k: logs[k] for k in fields})


class BackupAndRestore(Callback):
    """Writes all that training changes, and after a crash takes it up where it was.

    The interrupted script is started again as it is. Weights, the optimizer's slots and steps,
    and the order of samples go on as if nothing had happened, if backups are of whole epochs.

    Parameters
    ----------
    backup_dir : str or Path
    save_freq : "epoch" or int
        An integer counts steps. Training is taken up at the epoch's start, then.
    double_checkpoint : bool
        Keep the backup before the last one, too.
    delete_checkpoint : bool
        Whether the backup goes when training ends.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        self.path = Path(backup_dir) / "backup.safetensors"
        self.save_freq = _checked_frequency(save_freq)
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self._steps = 0
        self._epoch = 0
        if save_freq != "epoch":
            # A hook for batches makes epochs run step by step, so only who counts has one.
            self.on_train_batch_end = self._after_step

    @property
    def _older(self) -> Path:
        return self.path.with_name("backup_before.safetensors")

    def on_train_begin(self, logs: Log | None = None) -> None:
        if self.path.exists():
            state = _state(self.path)
            _restore(self.model.trainer.everything(), state)
            self.model.fitting.resume(int(state["epoch"]), int(state["seed"]))

    def on_epoch_begin(self, epoch: int, logs: Log | None = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            self._write(epoch + 1)

    def _after_step(self, batch: int, logs: Log | None = None) -> None:
        self._steps += 1
        if self._steps % int(self.save_freq) == 0:
            self._write(self._epoch)

    def on_train_end(self, logs: Log | None = None) -> None:
        if self.delete_checkpoint:
            self.path.unlink(missing_ok=True)
            self._older.unlink(missing_ok=True)

    def _write(self, epoch: int) -> None:
        from numbanet.io import save_tensors

        everything = self.model.trainer.everything()
        state = {name: each.numpy() for name, each in everything.items()}
        state["epoch"] = np.asarray(epoch)
        state["seed"] = np.asarray(self.model.fitting.seed)
        if self.double_checkpoint and self.path.exists():
            os.replace(self.path, self._older)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        save_tensors(state, self.path)


def _state(path: Path) -> dict[str, np.ndarray]:
    from numbanet.io import load_tensors

    state = load_tensors(path)
    if not {"epoch", "seed"} <= set(state):
        raise FormatError("the file is no backup", got=str(path))
    return state


def _restore(variables: dict[str, Any], state: dict[str, np.ndarray]) -> None:
    """Assign everything, after everything was compared."""
    expected = {name: each.type.sizes for name, each in variables.items()}
    found = {name: state[name].shape for name in state if name not in ("epoch", "seed")}
    if found != expected:
        other = {name for name in {*found, *expected} if found.get(name) != expected.get(name)}
        raise FormatError("the backup is of another model", got=", ".join(sorted(other)))
    for name, variable in variables.items():
        variable.assign(state[name])


def _checked_frequency(save_freq: str | int) -> str | int:
    is_count = isinstance(save_freq, int) and save_freq is not True and save_freq > 0
    if save_freq != "epoch" and not is_count:
        raise ArgumentError("save_freq is 'epoch' or a number of steps", got=repr(save_freq))
    return save_freq
