"""What `fit` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class History:
    """Loss and metrics of each epoch.

    Attributes
    ----------
    epoch : list of int
        From 0.
    history : dict of str to list of float
        By name, ``val_`` before those of the validation data.
    params : dict
        ``epochs``, ``batch_size``, ``steps`` (of an epoch) and ``seed``.
    """

    epoch: list[int] = field(default_factory=list)
    history: dict[str, list[float]] = field(default_factory=dict)
    params: dict[str, int] = field(default_factory=dict)

    def append(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Add an epoch."""
        self.epoch.append(epoch)
        for name, number in logs.items():
            self.history.setdefault(name, []).append(number)
