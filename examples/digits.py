"""
Handwritten digits
==================

A multilayer perceptron and a convolutional network, start to finish. Trains both on
scikit-learn's scans of real handwriting, prints how well they read digits that they have never
seen, and draws the training curves. Exits with an error if one of them reads worse than it
should.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import numbanet as nb
from numbanet.layers import (
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPooling2D,
    ReLU,
)
from numbanet.optimizers import SGD

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SEED = 2
HELD_OUT = 0.2


@dataclass(frozen=True)
class Digits:
    """Images ``(n, 8, 8, 1)`` in [0, 1] and labels, for training and held out."""

    x: np.ndarray
    y: np.ndarray
    held_out_x: np.ndarray
    held_out_y: np.ndarray


def load(seed: int) -> Digits:
    """The 1797 scans, split with every digit's share kept."""
    images, labels = load_digits(return_X_y=True)
    x = (images / 16).astype(np.float32).reshape(-1, 8, 8, 1)
    parts = train_test_split(x, labels, test_size=HELD_OUT, random_state=seed, stratify=labels)
    x, held_out_x, y, held_out_y = parts
    return Digits(x, y, held_out_x, held_out_y)


def perceptron() -> nb.Sequential:
    """Layers one after the other."""
    return nb.Sequential(
        [
            nb.Input((8, 8, 1)),
            Flatten(),
            Dense(128, activation="relu"),
            Dropout(0.2),
            Dense(64, activation="relu"),
            Dense(10, activation="softmax"),
        ],
        name="perceptron",
    )


def convolutional() -> nb.Model:
    """A skip connection, and one convolution that looks at two scales."""
    image = nb.Input((8, 8, 1), name="image")
    stem = Conv2D(16, 3, padding="same", activation="relu", name="stem")(image)
    body = BatchNormalization()(Conv2D(16, 3, padding="same", name="body")(stem))
    h = ReLU()(Add(name="skip")([stem, body]))

    shared = Conv2D(16, 3, padding="same", activation="relu", name="shared")
    fine = MaxPooling2D()(shared(h))
    coarse = shared(MaxPooling2D()(h))
    h = Flatten()(Concatenate()([fine, coarse]))
    h = Dense(64, activation="relu")(Dropout(0.4)(h))
    return nb.Model(
        image, Dense(10, activation="softmax", name="digit")(h), name="convolutional"
    )


@dataclass(frozen=True)
class Job:
    """A model, how to train it, and the accuracy that it has to reach."""

    model: nb.Model
    epochs: int
    required: float

    def cosine(self, epoch: int, _: float) -> float:
        """The learning rate: half a wave from 0.04 down to almost nothing."""
        return 0.02 * (1 + math.cos(math.pi * epoch / self.epochs))

    def run(self, data: Digits) -> tuple[nb.History, float]:
        """Train; the history and the accuracy on held-out digits."""
        self.model.compile(
            SGD(momentum=0.9, nesterov=True, weight_decay=1e-4),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        self.model.summary()
        began = time.perf_counter()
        held_out = (data.held_out_x, data.held_out_y)
        history = self.model.fit(
            data.x,
            data.y,
            batch_size=32,
            epochs=self.epochs,
            validation_data=held_out,
            callbacks=[nb.LearningRateScheduler(self.cosine)],
        )
        scores = self.model.evaluate(*held_out, return_dict=True)
        accuracy = scores["accuracy"]
        print(
            f"{self.model.name}: held-out accuracy {accuracy:.4f} "
            f"(required {self.required}), {time.perf_counter() - began:.1f} s\n"
        )
        return history, accuracy


def draw(histories: dict[str, nb.History], path: Path) -> None:
    """Loss and accuracy of each epoch, a row for each model."""
    figure, axes = plt.subplots(len(histories), 2, figsize=(9, 6), layout="constrained")
    for row, (name, history) in zip(axes, histories.items(), strict=True):
        for axis, quantity in zip(row, ("loss", "accuracy"), strict=True):
            axis.plot(history.history[quantity], label="training")
            axis.plot(history.history[f"val_{quantity}"], label="held out")
            axis.set(title=name, xlabel="epoch", ylabel=quantity)
            axis.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> int:
    """Train both models; 1 if one of them is not accurate enough."""
    parser = argparse.ArgumentParser(description="Train two networks to read digits.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--picture", type=Path, default=Path("digits.png"))
    arguments = parser.parse_args()

    began = time.perf_counter()
    nb.set_seed(arguments.seed)
    data = load(arguments.seed)
    counts = f"{len(data.x)} digits to learn, {len(data.held_out_x)} held out"
    print(f"seed {arguments.seed}: {counts}\n")
    jobs = [Job(perceptron(), 60, 0.97), Job(convolutional(), 30, 0.985)]
    results = {job.model.name: job.run(data) for job in jobs}

    draw({name: history for name, (history, _) in results.items()}, arguments.picture)
    print(f"training curves: {arguments.picture.resolve()}")
    print(f"all in {time.perf_counter() - began:.1f} s")
    is_fine = all(results[job.model.name][1] >= job.required for job in jobs)
    if not is_fine:
        print("a model is less accurate than required", file=sys.stderr)
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
