"""Dropout."""

from __future__ import annotations

from numbanet import ops
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.layers.module import Module


class Dropout(Module):
    """While training, sets elements to zero with probability ``rate`` and scales the others by
    ``1 / (1 - rate)`` (Srivastava et al., 2014). Otherwise returns its input.

    Parameters
    ----------
    rate : float
        In [0, 1).
    name : str, optional
    """

    def __init__(self, rate: float, name: str | None = None) -> None:
        super().__init__(name)
        if not 0 <= rate < 1:
            raise ArgumentError("Dropout takes a rate in [0, 1)", got=repr(rate))
        self.rate = float(rate)

    def forward(self, x: Value) -> Value:
        if self.rate == 0:
            return x
        return ops.dropout(x, self.rate, *ops.random_state())
