"""Keras ``fit``; the environment variable ``KERAS_BACKEND`` says on what."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from benchmarks.layouts import channels_last
from benchmarks.models import ConvNet, Perceptron
from benchmarks.session import Session, Task


def _perceptron(sizes: Perceptron, dropout: float) -> list[keras.Layer]:
    *hidden, last = sizes.sizes[1:]
    return [*(layers.Dense(size, activation="relu") for size in hidden), layers.Dense(last)]


def _convnet(sizes: ConvNet, dropout: float) -> list[keras.Layer]:
    made: list[keras.Layer] = []
    for channels in sizes.channels[1:]:
        made += [layers.Conv2D(channels, 3, activation="relu"), layers.MaxPooling2D(2)]
        made += [layers.Dropout(dropout)] if dropout else []
    return [*made, layers.Flatten(), layers.Dense(10)]


LAYERS = {Perceptron: _perceptron, ConvNet: _convnet}


def open_fit(task: Task) -> Session:
    """Epochs of ``fit`` with shuffling, accuracy and the progress bar."""
    workload, x = task.workload, task.x_channels_last
    made = LAYERS[type(workload.model)](workload.model, task.dropout)
    model = keras.Sequential([keras.Input(x.shape[1:]), *made])
    model.set_weights(list(channels_last(task.weights, (2, 3, 1, 0)).values()))
    model.compile(
        keras.optimizers.SGD(workload.learning_rate, momentum=workload.momentum),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )

    def fit(epochs: int) -> keras.callbacks.History:
        bar: Any = 1  # declared a str, and documented as an int
        return model.fit(
            x, task.y, workload.batch, epochs=epochs, verbose=bar, shuffle=task.is_random
        )

    def check(epochs: int) -> list[float]:
        history = fit(epochs).history
        return [*history["loss"], *history["accuracy"]]

    return Session(fit, check)
