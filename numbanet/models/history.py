"""What `fit` returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numbanet.viz.curves import plot_history


@dataclass
class History:
    """Loss and metrics of each epoch.

    Attributes
    ----------
    epoch : list of int
        From 0.
    history : dict of str to list
        By name, ``val_`` before those of the validation data. Metrics of several numbers have
        an array for each epoch.
    params : dict
        ``epochs``, ``batch_size`` and ``steps`` of an epoch (None if nobody knows), ``seed``.
    """

    epoch: list[int] = field(default_factory=list)
    history: dict[str, list[Any]] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)

    def append(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Add an epoch."""
        self.epoch.append(epoch)
        for name, number in logs.items():
            self.history.setdefault(name, []).append(number)

    def plot(self, metrics: Sequence[str] | None = None) -> Any:
        """Curves over the epochs, those of the validation data beside the others.

        Parameters
        ----------
        metrics : sequence of str, optional
            Names without ``val_``; by default all that are single numbers.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        MissingPackageError
            If matplotlib is not installed.
        ArgumentError
            If there is nothing of that name.
        """
        return plot_history(self, metrics)
