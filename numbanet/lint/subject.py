"""What the rules for models look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from numbanet.ir import Value
from numbanet.layers.module import Module
from numbanet.losses import Loss


@dataclass(frozen=True, eq=False)
class Subject:
    """A model recorded on inputs of known sizes, its losses, and its data if there are any.

    Attributes
    ----------
    model : Module
    inputs, outputs : dict of str to Value
    losses : dict of str to Loss
        By output.
    terms : tuple of Value
        What the losses give, and so all that is computed for training.
    x, y : dict of str to ndarray
        By input and by output; empty before the first data come.
    batch_size : int, optional
    """

    model: Module
    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    losses: Mapping[str, Loss]
    terms: tuple[Value, ...]
    x: Mapping[str, np.ndarray] = field(default_factory=dict)
    y: Mapping[str, np.ndarray] = field(default_factory=dict)
    batch_size: int | None = None
