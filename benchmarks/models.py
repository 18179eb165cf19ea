"""The models that are measured: their sizes and initial weights, in no framework's terms.

Weights are in PyTorch's layouts, the most widely known: linear ``[out, in]``, convolution
``[out, in, height, width]``, images ``[batch, channels, height, width]``. Each peer converts
once, before anything is timed. Their order is that of the layers.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Weights = dict[str, np.ndarray]
Shapes = list[tuple[str, tuple[int, ...], int]]
"""Name, shape and fan in of each weight."""


@dataclass(frozen=True)
class Perceptron:
    """Linear layers ``fc1``, ``fc2``, ... with ReLU between them.

    One that ``reconstructs`` ends in a sigmoid and learns its own inputs.
    """

    sizes: tuple[int, ...]
    reconstructs: bool = False

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.sizes[:1]

    def shapes(self) -> Shapes:
        pairs = enumerate(itertools.pairwise(self.sizes), 1)
        return [row for i, (a, b) in pairs for row in _linear(f"fc{i}", a, b)]


@dataclass(frozen=True)
class ConvNet:
    """Twice convolution 3 x 3, ReLU, max pooling 2 x 2 and dropout; then a linear layer."""

    channels: tuple[int, ...] = (1, 16, 32)
    features: int = 800
    dropout: float = 0.25
    reconstructs = False
    input_shape = (1, 28, 28)

    def shapes(self) -> Shapes:
        shapes: Shapes = []
        for i, (a, b) in enumerate(itertools.pairwise(self.channels), 1):
            shapes += _convolution(f"conv{i}", a, b, 3, bias=True)
        return shapes + _linear("fc", self.features, 10)


class Convolution(NamedTuple):
    """A convolution of a residual network, which a batch normalisation follows."""

    name: str
    fan_in: int
    fan_out: int
    size: int
    stride: int


@dataclass(frozen=True)
class ResNet:
    """Residual networks for images of 32 x 32 (He et al., "Deep residual learning", 2015,
    section 4.2), with 1 x 1 convolutions on the skips where sizes change.

    Each of ``stages`` has ``blocks`` blocks of two convolutions; the first has ``width``
    channels, and each further one twice as many on half as many rows and columns.
    """

    width: int
    stages: int
    blocks: int
    reconstructs = False
    input_shape = (3, 32, 32)

    def convolutions(self) -> list[Convolution]:
        """In order; ``stem.conv``, ``stage0.block0.conv1``, ``stage1.block0.skip.conv``."""
        rows = [Convolution("stem.conv", 3, self.width, 3, 1)]
        channels = self.width
        for stage, block in itertools.product(range(self.stages), range(self.blocks)):
            width, stride = self.width << stage, 2 if stage and not block else 1
            at = f"stage{stage}.block{block}"
            rows.append(Convolution(f"{at}.conv1", channels, width, 3, stride))
            rows.append(Convolution(f"{at}.conv2", width, width, 3, 1))
            if stride == 2:
                rows.append(Convolution(f"{at}.skip.conv", channels, width, 1, 2))
            channels = width
        return rows

    def block_names(self) -> list[str]:
        places = itertools.product(range(self.stages), range(self.blocks))
        return [f"stage{stage}.block{block}" for stage, block in places]

    def shapes(self) -> Shapes:
        shapes: Shapes = []
        for name, fan_in, fan_out, size, _ in self.convolutions():
            shapes += _convolution(name, fan_in, fan_out, size, bias=False)
            shapes += _normalisation(name.replace("conv", "norm"), fan_out)
        return shapes + _linear("fc", self.width << (self.stages - 1), 10)


@dataclass(frozen=True)
class Transformer:
    """An encoder of pre-norm blocks (Xiong et al., "On layer normalization in the transformer
    architecture", 2020) over ``tokens`` vectors; their mean is classified.

    A block is attention without a mask, then a perceptron four times as wide with GELU.
    """

    layers: int
    width: int
    heads: int
    tokens: int
    epsilon: float = 1e-5
    reconstructs = False

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.tokens, self.width)

    def block_names(self) -> list[str]:
        return [f"block{i}" for i in range(self.layers)]

    def shapes(self) -> Shapes:
        width = self.width
        shapes: Shapes = []
        for at in self.block_names():
            shapes += _normalisation(f"{at}.norm1", width)
            shapes += _linear(f"{at}.qkv", width, 3 * width)
            shapes += _linear(f"{at}.out", width, width)
            shapes += _normalisation(f"{at}.norm2", width)
            shapes += _linear(f"{at}.up", width, 4 * width)
            shapes += _linear(f"{at}.down", 4 * width, width)
        return shapes + _normalisation("norm", width) + _linear("fc", width, 10)


Model = Perceptron | ConvNet | ResNet | Transformer


def initial_weights(model: Model, seed: int = 0) -> Weights:
    """Uniform within ``1 / sqrt(fan in)``, biases too; scales are one, shifts zero."""
    numbers = np.random.default_rng(seed)
    made: Weights = {}
    for name, shape, fan_in in model.shapes():
        if name.endswith(("scale", "shift")):
            made[name] = np.full(shape, float(name.endswith("scale")), np.float32)
            continue
        bound = 1.0 / math.sqrt(fan_in)
        made[name] = numbers.uniform(-bound, bound, shape).astype(np.float32)
    return made


def samples(model: Model, count: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Inputs ``x`` and targets ``y``: classes, or the inputs to reconstruct."""
    numbers = np.random.default_rng(seed)
    x = numbers.random((count, *model.input_shape), np.float32)
    return {"x": x, "y": x if model.reconstructs else numbers.integers(0, 10, count)}


def _linear(name: str, fan_in: int, fan_out: int) -> Shapes:
    return [(f"{name}.weight", (fan_out, fan_in), fan_in), (f"{name}.bias", (fan_out,), fan_in)]


def _convolution(name: str, fan_in: int, fan_out: int, size: int, *, bias: bool) -> Shapes:
    fan = fan_in * size * size
    weight = (f"{name}.weight", (fan_out, fan_in, size, size), fan)
    return [weight, (f"{name}.bias", (fan_out,), fan)] if bias else [weight]


def _normalisation(name: str, width: int) -> Shapes:
    return [(f"{name}.scale", (width,), 1), (f"{name}.shift", (width,), 1)]
