"""The single operations that are measured, and the arrays that they are given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Operation:
    """``kind`` of rows, with its gradients if it goes ``backward``; or a matrix product.

    Attributes
    ----------
    kind : {"softmax", "layer_norm", "cross_entropy", "matmul"}
    shape : tuple of int
        Rows and columns; of a product ``M, K, N``.
    backward : bool
        Also the gradients of all floating-point inputs. Those of softmax and layer
        normalisation are given the gradient of the result, ``g``; cross-entropy is a mean.
    """

    kind: str
    shape: tuple[int, ...]
    backward: bool = False
    epsilon: float = 1e-5

    def arrays(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Inputs by name: ``a, b``; or ``x`` and, as needed, ``gamma, beta, labels, g``."""
        numbers = np.random.default_rng(seed)

        def normal(*shape: int) -> np.ndarray:
            return numbers.standard_normal(shape, np.float32)

        if self.kind == "matmul":
            rows, inner, columns = self.shape
            return {"a": normal(rows, inner), "b": normal(inner, columns)}
        rows, columns = self.shape
        made = {"x": normal(rows, columns)}
        if self.kind == "layer_norm":
            made |= {"gamma": normal(columns), "beta": normal(columns)}
        if self.kind == "cross_entropy":
            made["labels"] = numbers.integers(0, columns, rows)
        elif self.backward:
            made["g"] = normal(rows, columns)
        return made

    @property
    def differentiated(self) -> tuple[str, ...]:
        """Names of the inputs whose gradients are asked for."""
        if not self.backward:
            return ()
        return ("x", "gamma", "beta") if self.kind == "layer_norm" else ("x",)
