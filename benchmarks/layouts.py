"""Weights of PyTorch's layouts in those of frameworks that put channels last."""

from __future__ import annotations

import numpy as np

from benchmarks.models import Weights


def channels_last(weights: Weights, convolution: tuple[int, ...]) -> Weights:
    """Linear weights as ``[in, out]``, convolutions' axes in the order ``convolution``.

    A linear layer that reads a flattened image gets its rows in the order in which channels
    come last: `ConvNet`'s ``fc`` reads 5 x 5 pixels.
    """
    return {name: _turned(name, array, convolution) for name, array in weights.items()}


def _turned(name: str, array: np.ndarray, convolution: tuple[int, ...]) -> np.ndarray:
    if array.ndim == 4:
        return np.ascontiguousarray(array.transpose(convolution))
    if name == "fc.weight" and array.shape == (10, 800):
        return array.reshape(10, 32, 5, 5).transpose(2, 3, 1, 0).reshape(800, 10)
    return np.ascontiguousarray(array.T)
