"""The same small modules on numbanet and on PyTorch: one source, two bases."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import numbanet.nn as our_nn
from numbanet import ops
from numbanet.ir import Value
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.tensor import Tensor

torch = pytest.importorskip("torch")


@tensor_function
def _affine(x: Value, weight: Value, bias: Value) -> Value:
    return ops.matmul(x, weight, transpose_b=True) + bias


def _library(nn: Any, tensor: Any, affine: Any) -> SimpleNamespace:
    """Modules on ``nn``; ``tensor`` makes a tensor of an array."""

    class Linear(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.inputs, self.outputs = inputs, outputs
            grid = np.arange(outputs * inputs, dtype=np.float32).reshape(outputs, inputs)
            self.weight = nn.Parameter(tensor(grid / 10))
            self.bias = nn.Parameter(tensor(np.ones(outputs, np.float32)))

        def forward(self, x: Any) -> Any:
            return affine(x, self.weight, self.bias)

        def extra_repr(self) -> str:
            return f"inputs={self.inputs}, outputs={self.outputs}"

    class Norm(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.register_parameter("scale", None)
            self.register_buffer("mean", tensor(np.zeros(width, np.float32)))
            self.register_buffer("count", tensor(np.array(0, np.int64)))
            self.register_buffer("cache", tensor(np.zeros(2, np.float32)), persistent=False)
            self.register_buffer("nothing", None)

        def forward(self, x: Any) -> Any:
            return x

    class Wordy(nn.Module):
        def extra_repr(self) -> str:
            return "one line\nanother"

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = Linear(3, 4)
            self.norm = Norm(4)
            self.branch = nn.Sequential(Linear(4, 4), nn.Sequential(Norm(4), Wordy()))
            self.shared = self.first
            self.own = nn.Parameter(tensor(np.zeros((2, 2), np.float32)))
            self.unheld = [Linear(1, 1)]
            self.missing = None

        def forward(self, x: Any) -> Any:
            return self.branch[0](self.norm(self.first(x)))

    return SimpleNamespace(nn=nn, tensor=tensor, Linear=Linear, Norm=Norm, Wordy=Wordy, Net=Net)


OURS = _library(our_nn, lambda array: Tensor.wrap(np.array(array)), _affine)
THEIRS = _library(torch.nn, torch.tensor, torch.nn.functional.linear)
BOTH = (OURS, THEIRS)


def as_text(thing: Any) -> str:
    """How ``thing`` prints, whoever made it."""
    return repr(thing).replace("torch.", "numbanet.")


def alike(make: Any) -> None:
    """``make(library)`` prints the same on both."""
    ours, theirs = (as_text(make(library)) for library in BOTH)
    assert ours == theirs
