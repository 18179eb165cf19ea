"""Progress of training: a bar where it can move, one line an epoch elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from numbanet.errors import ArgumentError

Verbosity = int | str


class Progress:
    """Shows an epoch while it runs.

    Parameters
    ----------
    verbose : {"auto", 0, 1, 2}
        0: nothing; 1: a bar; 2: a line an epoch; "auto": 1 on a terminal and in a notebook,
        else 2.
    epochs : int
    """

    def __init__(self, verbose: Verbosity, epochs: int) -> None:
        if verbose == "auto":
            verbose = 1 if sys.stderr.isatty() or is_notebook() else 2
        if verbose not in (0, 1, 2):
            raise ArgumentError(
                "unknown verbose", got=repr(verbose), expected="'auto', 0, 1, 2"
            )
        self._verbose = int(verbose)
        self._epochs = epochs
        self._began = 0.0
        self._bar: tqdm | None = None

    @property
    def is_watching(self) -> bool:
        """Whether anybody looks between the steps."""
        return self._bar is not None

    def begin(self, epoch: int, steps: int | None) -> None:
        self._began = time.perf_counter()
        if self._verbose == 1:
            title = f"Epoch {epoch + 1}/{self._epochs}"
            self._bar = tqdm(total=steps, desc=title, unit="step", dynamic_ncols=True)

    def step(self, done: int, logs: Mapping[str, Any]) -> None:
        """Called a few times a second."""
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
            self._bar.set_postfix_str(show(logs))

    def end(self, epoch: int, logs: Mapping[str, Any]) -> None:
        seconds = time.perf_counter() - self._began
        if self._bar is not None:
            self._bar.set_postfix_str(show(logs))
            self.close()
        elif self._verbose == 2:
            print(
                f"Epoch {epoch + 1}/{self._epochs} - {seconds:.1f}s - {show(logs)}", flush=True
            )

    def close(self) -> None:
        """Take down the bar, also when an epoch was cut short."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def is_notebook() -> bool:
    """Whether what is written is shown by a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())


def show(logs: Mapping[str, Any]) -> str:
    """``loss: 0.1234 - accuracy: 0.9876``."""
    return " - ".join(f"{name}: {_short(number)}" for name, number in logs.items())


def _short(number: Any) -> str:
    if not isinstance(number, np.ndarray):
        return f"{number:.4g}"
    return np.array2string(number, precision=4, threshold=8).replace("\n", "")
