"""A callback that writes a table of epochs."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np

from numbanet.models.callbacks.base import Callback, Log


class CSVLogger(Callback):
    """Writes a row for each epoch: its number, loss and metrics.

    Parameters
    ----------
    filename : str or Path
    separator : str
    append : bool
        Go on with a file that is there.
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        self.path, self.separator, self.append = Path(filename), separator, append

    def on_train_begin(self, logs: Log | None = None) -> None:
        self._names: list[str] | None = None
        if self.append and self.path.exists() and self.path.stat().st_size:
            with open(self.path, newline="") as file:
                self._names = next(csv.reader(file, delimiter=self.separator))
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text("")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        row = {"epoch": epoch, **{name: _cell(each) for name, each in (logs or {}).items()}}
        with open(self.path, "a", newline="") as file:
            writer = csv.writer(file, delimiter=self.separator)
            if self._names is None:
                self._names = list(row)
                writer.writerow(self._names)
            # Without validation in an epoch, its columns are there all the same.
            writer.writerow([row.get(name, "NA") for name in self._names])


def _cell(number: Any) -> Any:
    return np.array2string(number, separator=", ") if isinstance(number, np.ndarray) else number
