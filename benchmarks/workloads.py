"""What is measured: models, batch sizes, initial weights and data, in no framework's terms.

Weights are in PyTorch's layouts, the most widely known: linear ``[out, in]``, convolution
``[out, in, height, width]``. Images are ``[batch, channels, height, width]``. Each peer
converts once, before anything is timed.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

Weights = dict[str, np.ndarray]


@dataclass(frozen=True)
class Workload:
    """One row of the table.

    Attributes
    ----------
    name : str
    title : str
    model : str
        ``"mlp"``, ``"cnn"``, ``"resnet20"`` or ``"autoencoder"``.
    batch : int
    kind : str
        ``"train"``: whole steps (forward, loss, backward, update). ``"predict"``: forward only.
    steps : int
        Steps of one timed round: a multiple of the number of batches.
    optimizer : str
        ``"sgd"`` (momentum 0.9) or ``"adam"``.
    """

    name: str
    title: str
    model: str
    batch: int
    kind: str = "train"
    steps: int = 50
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9

    @property
    def input_shape(self) -> tuple[int, ...]:
        return _INPUTS[self.model]

    def weights(self, seed: int = 0) -> Weights:
        """Initial weights, uniform within ``1 / sqrt(fan in)``, biases too."""
        numbers = np.random.default_rng(seed)
        made: Weights = {}
        for name, shape, fan_in in _SHAPES[self.model]():
            if name.endswith(("scale", "shift")):
                made[name] = np.full(shape, float(name.endswith("scale")), np.float32)
                continue
            bound = 1.0 / math.sqrt(fan_in)
            made[name] = numbers.uniform(-bound, bound, shape).astype(np.float32)
        return made

    def data(self, batches: int = 8, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """``batches`` batches of inputs and targets; targets are the inputs to reconstruct."""
        numbers = np.random.default_rng(seed)
        count = batches * self.batch
        x = numbers.uniform(0, 1, (count, *self.input_shape)).astype(np.float32)
        y = numbers.integers(0, 10, count)
        return x, (x if self.model == "autoencoder" else y)


_INPUTS: dict[str, tuple[int, ...]] = {
    "mlp": (784,),
    "autoencoder": (784,),
    "cnn": (1, 28, 28),
    "resnet20": (3, 32, 32),
}

Shapes = list[tuple[str, tuple[int, ...], int]]


def _linear(name: str, fan_in: int, fan_out: int) -> Shapes:
    return [(f"{name}.weight", (fan_out, fan_in), fan_in), (f"{name}.bias", (fan_out,), fan_in)]


def _convolution(name: str, fan_in: int, fan_out: int, size: int, bias: bool) -> Shapes:
    fan = fan_in * size * size
    weight = (f"{name}.weight", (fan_out, fan_in, size, size), fan)
    return [weight, (f"{name}.bias", (fan_out,), fan)] if bias else [weight]


def _mlp() -> Shapes:
    return _linear("fc1", 784, 128) + _linear("fc2", 128, 10)


def _autoencoder() -> Shapes:
    sizes = (784, 256, 64, 256, 784)
    pairs = itertools.pairwise(sizes)
    return [row for i, (a, b) in enumerate(pairs) for row in _linear(f"fc{i + 1}", a, b)]


def _cnn() -> Shapes:
    convolutions = _convolution("conv1", 1, 16, 3, True) + _convolution(
        "conv2", 16, 32, 3, True
    )
    return convolutions + _linear("fc", 800, 10)


def _resnet20() -> Shapes:
    shapes: Shapes = []
    for name, fan_in, fan_out, size, _ in resnet20_convolutions():
        shapes += _convolution(name, fan_in, fan_out, size, False)
        norm = name.replace("conv", "norm")
        shapes += [(f"{norm}.scale", (fan_out,), 1), (f"{norm}.shift", (fan_out,), 1)]
    return shapes + _linear("fc", 64, 10)


def resnet20_convolutions() -> list[tuple[str, int, int, int, int]]:
    """Name, channels in and out, kernel size and stride of each, in order.

    (He et al., "Deep residual learning", 2015, section 4.2; 1x1 convolutions on the skips.)
    """
    rows = [("stem.conv", 3, 16, 3, 1)]
    channels = 16
    for stage, width in enumerate((16, 32, 64)):
        for block in range(3):
            stride = 2 if stage and not block else 1
            at = f"stage{stage}.block{block}"
            rows.append((f"{at}.conv1", channels, width, 3, stride))
            rows.append((f"{at}.conv2", width, width, 3, 1))
            if stride == 2:
                rows.append((f"{at}.skip.conv", channels, width, 1, 2))
            channels = width
    return rows


_SHAPES = {"mlp": _mlp, "cnn": _cnn, "autoencoder": _autoencoder, "resnet20": _resnet20}

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload("mlp-32", "MLP 784-128-10, batch 32", "mlp", 32, steps=400),
        Workload("mlp-64", "MLP 784-128-10, batch 64", "mlp", 64, steps=304),
        Workload("mlp-1024", "MLP 784-128-10, batch 1024", "mlp", 1024, steps=48),
        Workload("cnn-64", "CNN on 28x28, batch 64", "cnn", 64, steps=40),
        Workload("cnn-512", "CNN on 28x28, batch 512", "cnn", 512, steps=8),
        Workload("resnet20-128", "ResNet-20 (CIFAR size), batch 128", "resnet20", 128, steps=8),
        Workload(
            "autoencoder-128",
            "autoencoder 784-256-64-256-784, Adam, batch 128",
            "autoencoder",
            128,
            steps=64,
            optimizer="adam",
            learning_rate=0.001,
        ),
        Workload("mlp-infer-1", "MLP inference, batch 1", "mlp", 1, "predict", steps=1000),
        Workload("cnn-infer-1", "CNN inference, batch 1", "cnn", 1, "predict", steps=300),
    )
}
