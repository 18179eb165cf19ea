"""Loss and metrics over the epochs as curves."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numbanet.errors import ArgumentError, MissingPackageError

if TYPE_CHECKING:
    from numbanet.models.history import History

_WIDTH, _HEIGHT = 5.0, 3.6  # of one metric's axes, in inches
_VALIDATION = "val_"


def plot_history(history: History, metrics: Sequence[str] | None = None) -> Any:
    """A figure with axes for each metric; see `History.plot`."""
    names = _names(history) if metrics is None else list(metrics)
    for name in names:
        if name not in history.history:
            known = ", ".join(_names(history)) or "nothing: no epoch has ended"
            raise ArgumentError(f"no metric {name!r}", expected=known)
    if not names:
        raise ArgumentError("there is nothing to plot", mend="Train for an epoch first")
    figure = _figure(figsize=(_WIDTH * len(names), _HEIGHT), layout="constrained")
    epochs = [epoch + 1 for epoch in history.epoch]
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        axes.plot(epochs, history.history[name], marker=".", label="training")
        _plot_validation(axes, epochs, history.history.get(_VALIDATION + name))
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    return figure


def _plot_validation(axes: Any, epochs: list[int], numbers: list[Any] | None) -> None:
    if numbers is None:
        return
    # Not every epoch need be validated; those that are come at a steady pace.
    pace = len(epochs) // len(numbers)
    axes.plot(epochs[pace - 1 :: pace][: len(numbers)], numbers, marker=".", label="validation")


def _names(history: History) -> list[str]:
    """Of what is one number an epoch, without those of the validation data."""
    return [
        name
        for name, numbers in history.history.items()
        if not name.startswith(_VALIDATION) and all(np.ndim(each) == 0 for each in numbers)
    ]


def _figure(**options: Any) -> Any:
    """A figure, which the user's own backend shows where there is one."""
    try:
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ImportError as error:
        raise MissingPackageError(
            "plots need matplotlib, which is not installed",
            mend="Install it with: pip install numbanet[plot]",
        ) from error
    return pyplot.figure(**options)
