"""Steps of an optimizer by the ops' references: no kernels, and no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from numbanet import ops
from numbanet.ir import DType, Graph, Variable
from numbanet.optimizers import Optimizer
from numbanet.state.flat import FlatState
from numbanet.state.linking import Leaves
from numbanet.testing import run


class Steps:
    """Parameters, and an optimizer that moves them by gradients that are given.

    Parameters
    ----------
    optimizer : Optimizer
    starts : dict of str to ndarray
        The parameters by path.
    """

    def __init__(self, optimizer: Optimizer, starts: dict[str, np.ndarray]) -> None:
        self.optimizer = optimizer
        self.variables = {path: Variable(start, path) for path, start in starts.items()}
        self.state = FlatState(self.variables)
        self.slots = optimizer.create_slots(self.state)
        self.inputs = [
            ops.input_value(path, start.shape, DType.of(start.dtype))
            for path, start in starts.items()
        ]
        leaves = Leaves(None, None)
        updates = optimizer.updates(self.state, self.slots, self.inputs, leaves)
        self.graph = Graph(tuple(self.inputs), {}, tuple(updates))

    def take(self, gradients: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The parameters after another step."""
        run(self.graph, dict(zip(self.inputs, gradients, strict=True)))
        return self.parameters()

    def parameters(self) -> list[np.ndarray]:
        return [variable.numpy() for variable in self.variables.values()]

    def finish(self) -> list[np.ndarray]:
        """The parameters when training is over."""
        self.optimizer.finish(self.state, self.slots)
        return self.parameters()


def gradients_like(
    starts: dict[str, np.ndarray], rng: np.random.Generator, count: int
) -> Iterator[list[np.ndarray]]:
    """Random gradients for ``count`` steps."""
    for _ in range(count):
        yield [rng.normal(size=each.shape).astype(each.dtype) for each in starts.values()]
