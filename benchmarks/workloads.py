"""The table of what is measured: a workload is one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.models import (
    ConvNet,
    Model,
    Perceptron,
    ResNet,
    Transformer,
    Weights,
    initial_weights,
    samples,
)
from benchmarks.operations import Operation

BEST = "the best peer"


@dataclass(frozen=True)
class Workload:
    """One thing to measure, in all frameworks.

    Attributes
    ----------
    name, title : str
    group : str
        The table that it stands in.
    kind : str
        What is measured: a key of `KINDS`.
    subject : Model, Operation or None
    batch : int
    batches : int
        How many different ones steps take in turn.
    samples : int
        Of an epoch.
    optimizer : str
        ``"sgd"`` (momentum 0.9) or ``"adam"``.
    targets : dict of str to float
        By peer: the part of its time (or memory) on a CPU that numbanet may take at most.
    cuda_target : float
        Seconds that numbanet may take at most on an H200; 0 for no target.
    devices : tuple of str
        Where it runs unless it is asked for by name.
    """

    name: str
    title: str
    group: str
    kind: str
    subject: Model | Operation | None = None
    batch: int = 0
    batches: int = 8
    samples: int = 0
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    targets: Mapping[str, float] = field(default_factory=dict)
    cuda_target: float = 0.0
    devices: tuple[str, ...] = ("cpu", "cuda")

    @property
    def model(self) -> Model:
        assert self.subject is not None
        assert not isinstance(self.subject, Operation)
        return self.subject

    @property
    def operation(self) -> Operation:
        assert isinstance(self.subject, Operation)
        return self.subject

    @property
    def count(self) -> int:
        """Samples in the data."""
        return self.samples or self.batch * self.batches

    def quick(self) -> Workload:
        """The same with a tenth of the samples in an epoch."""
        return replace(self, samples=self.samples // 10)

    def of_few_samples(self) -> Workload:
        """The same with an epoch of four batches, the last of them smaller."""
        return replace(self, samples=min(self.samples, 4 * self.batch - self.batch // 4))

    def weights(self) -> Weights:
        return {} if isinstance(self.subject, Operation) else initial_weights(self.model)

    def arrays(self) -> dict[str, np.ndarray]:
        """The data: ``x`` and ``y``, or an operation's inputs."""
        if isinstance(self.subject, Operation):
            return self.subject.arrays()
        return samples(self.model, self.count)


@dataclass(frozen=True)
class Kind:
    """How a kind of workload is measured and shown.

    ``is_fresh``: each sample is a process of its own. ``scale`` makes ``unit`` of seconds or
    bytes.
    """

    unit: str
    scale: float
    is_fresh: bool = False
    has_limit: bool = True


KINDS = {
    "train": Kind("us a step", 1e6),
    "predict": Kind("us a batch", 1e6),
    "epoch": Kind("s an epoch", 1.0),
    "rows": Kind("us", 1e6),
    "product": Kind("us", 1e6),
    "cold": Kind("s", 1.0, is_fresh=True, has_limit=False),
    "memory": Kind("MB", 1e-6, is_fresh=True, has_limit=False),
    "install": Kind("MB", 1e-6, has_limit=False),
}

TINY_MLP = Perceptron((6, 4, 10))
MLP = Perceptron((784, 128, 10))
WIDE_MLP = Perceptron((4096, 4096, 4096, 10))
AUTOENCODER = Perceptron((784, 256, 64, 256, 784), reconstructs=True)
CNN = ConvNet()
RESNET20 = ResNet(width=16, stages=3, blocks=3)
RESNET18 = ResNet(width=64, stages=4, blocks=2)
TRANSFORMER = Transformer(layers=4, width=128, heads=4, tokens=128)

STEPS, INFERENCE, EPOCHS = "Training steps", "Inference", "Epochs of fit"
LOOPS = "Python of one iteration: a network whose kernels take no time"
ROWS, PRODUCTS = "Row kernels", "Matrix products"
COLD, INSTALL, MEMORY = "Cold start", "Install size", "Peak memory of a training step"


def _steps(
    name: str, title: str, model: Model, batch: int, target: float = 0.0, **others
) -> Workload:
    targets = {BEST: target} if target else {}
    return Workload(
        f"{name}-{batch}",
        f"{title}, batch {batch}",
        STEPS,
        "train",
        model,
        batch,
        targets=targets,
        **others,
    )


def _inference(name: str, title: str, model: Model) -> Workload:
    title = f"{title}, batch 1"
    return Workload(
        f"{name}-infer-1", title, INFERENCE, "predict", model, 1, targets={BEST: 0.3}
    )


def _epoch(name: str, title: str, model: Model, cuda_target: float = 0.0) -> Workload:
    return Workload(
        f"epoch-{name}",
        f"{title}, 60,000 samples, batch 128",
        EPOCHS,
        "epoch",
        model,
        128,
        samples=60_000,
        targets={"torch.loader": 0.2, "keras.torch": 0.2, "keras.jax": 0.2, "jax.scan": 0.5},
        cuda_target=cuda_target,
    )


def _rows() -> list[Workload]:
    made = []
    for kind in ("softmax", "layer_norm", "cross_entropy"):
        for rows, columns in ((64, 10), (1024, 128), (8192, 1024)):
            for backward in (False, True):
                name = f"{kind}-{rows}x{columns}" + "-backward" * backward
                title = kind.replace("_", " ").replace("layer norm", "layer normalisation")
                title += f", {rows} x {columns}" + ", forward and backward" * backward
                operation = Operation(kind, (rows, columns), backward)
                targets = {BEST: 0.6}
                made.append(Workload(name, title, ROWS, "rows", operation, targets=targets))
    return made


def _products() -> list[Workload]:
    squares = [(n, n, n) for n in (64, 128, 256, 512, 1024, 2048, 4096)]
    thin = [(32, 784, 128), (64, 784, 128), (784, 64, 128), (64, 128, 10), (1, 784, 128)]
    return [
        Workload(
            "matmul-" + "x".join(map(str, shape)),
            " x ".join(map(str, shape)),
            PRODUCTS,
            "product",
            Operation("matmul", shape),
            devices=("cuda",) if max(shape) > 2048 else ("cpu", "cuda"),
        )
        for shape in (*squares, *thin)
    ]


def _memory(name: str, title: str, model: Model, batch: int) -> Workload:
    return Workload(
        f"memory-{name}-{batch}",
        f"{title}, batch {batch}",
        MEMORY,
        "memory",
        model,
        batch,
        batches=1,
        targets={BEST: 0.7},
        devices=("cpu",),
    )


WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        _steps("mlp", "MLP 784-128-10", MLP, 32, 0.5),
        _steps("mlp", "MLP 784-128-10", MLP, 64, 0.5, cuda_target=15e-6),
        _steps("mlp", "MLP 784-128-10", MLP, 1024, 0.9, cuda_target=30e-6),
        _steps("cnn", "CNN on 28 x 28", CNN, 64, 0.5, cuda_target=45e-6),
        _steps("cnn", "CNN on 28 x 28", CNN, 512, 0.5, cuda_target=130e-6),
        _steps("resnet20", "ResNet-20, 32 x 32", RESNET20, 128, 0.8, cuda_target=2000e-6),
        _steps(
            "resnet18",
            "ResNet-18, 32 x 32",
            RESNET18,
            128,
            cuda_target=12_500e-6,
            batches=2,
            devices=("cuda",),
        ),
        _steps(
            "wide-mlp",
            "MLP 4096-4096-4096-10",
            WIDE_MLP,
            1024,
            cuda_target=3800e-6,
            batches=2,
            devices=("cuda",),
        ),
        _steps("transformer", "transformer of 4 layers", TRANSFORMER, 8, 0.9),
        _steps(
            "autoencoder",
            "autoencoder 784-256-64-256-784, Adam",
            AUTOENCODER,
            128,
            0.7,
            optimizer="adam",
            learning_rate=0.001,
        ),
        # What the hand-written loop takes here above `fit`'s step, it takes everywhere.
        Workload("tiny-mlp-2", "MLP 6-4-10, batch 2", LOOPS, "train", TINY_MLP, 2),
        _inference("mlp", "MLP 784-128-10", MLP),
        _inference("cnn", "CNN on 28 x 28", CNN),
        _epoch("mlp", "MLP 784-128-10", MLP, cuda_target=9e-3),
        _epoch("cnn", "CNN on 28 x 28", CNN),
        *_rows(),
        *_products(),
        Workload(
            "cold-mlp-64",
            "MLP 784-128-10, batch 64: from import to the first finished step",
            COLD,
            "cold",
            MLP,
            64,
            targets={"torch": 0.5},
        ),
        Workload("install", "package and all that it requires", INSTALL, "install"),
        _memory("mlp", "MLP 784-128-10", MLP, 1024),
        _memory("cnn", "CNN on 28 x 28", CNN, 512),
        _memory("resnet20", "ResNet-20, 32 x 32", RESNET20, 128),
        _memory("transformer", "transformer of 4 layers", TRANSFORMER, 8),
    )
}
