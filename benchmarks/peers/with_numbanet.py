"""numbanet, through the models that its users write."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import numbanet as nb
from benchmarks.session import Session, Task
from benchmarks.workloads import Weights, Workload, resnet20_convolutions
from numbanet.layers import (
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
    ReLU,
)
from numbanet.models.trainer import DataSet


def _mlp(_: bool) -> nb.Model:
    return nb.Sequential(
        [nb.Input((784,)), Dense(128, activation="relu", name="fc1"), Dense(10, name="fc2")]
    )


def _autoencoder(_: bool) -> nb.Model:
    sizes = ((256, "relu"), (64, "relu"), (256, "relu"), (784, "sigmoid"))
    layers = [Dense(size, name=f"fc{i + 1}", activation=f) for i, (size, f) in enumerate(sizes)]
    return nb.Sequential([nb.Input((784,)), *layers])


def _cnn(dropout: bool) -> nb.Model:
    x = h = nb.Input((28, 28, 1))
    for name, channels in (("conv1", 16), ("conv2", 32)):
        h = MaxPooling2D(2)(Conv2D(channels, 3, activation="relu", name=name)(h))
        h = Dropout(0.25)(h) if dropout else h
    return nb.Model(x, Dense(10, name="fc")(Flatten()(h)))


def _resnet20(_: bool) -> nb.Model:
    sizes = {
        name: (out, size, stride) for name, _, out, size, stride in resnet20_convolutions()
    }

    def unit(name: str, x):
        channels, size, stride = sizes[name]
        padding = "valid" if size == 1 else ((1, 1), (1, 1))
        conv = Conv2D(
            channels, size, strides=stride, padding=padding, use_bias=False, name=name
        )
        norm = BatchNormalization(epsilon=1e-5, name=name.replace("conv", "norm"))
        return norm(conv(x))

    x = nb.Input((32, 32, 3))
    h = ReLU()(unit("stem.conv", x))
    for stage in range(3):
        for block in range(3):
            at = f"stage{stage}.block{block}"
            y = unit(f"{at}.conv2", ReLU()(unit(f"{at}.conv1", h)))
            skip = f"{at}.skip.conv"
            h = ReLU()(Add()([y, unit(skip, h) if skip in sizes else h]))
    return nb.Model(x, Dense(10, name="fc")(GlobalAveragePooling2D()(h)))


MODELS = {"mlp": _mlp, "cnn": _cnn, "autoencoder": _autoencoder, "resnet20": _resnet20}


def _converted(name: str, array: np.ndarray, model: str) -> np.ndarray:
    """Linear weights as [in, out], convolutions as [out, height, width, in]."""
    if array.ndim == 4:
        return array.transpose(0, 2, 3, 1)
    if array.ndim == 2 and (model, name) == ("cnn", "fc.weight"):
        # Flattened channels-first there, channels-last here.
        return array.reshape(10, 32, 5, 5).transpose(2, 3, 1, 0).reshape(800, 10)
    return array.T if array.ndim == 2 else array


def _set_weights(model: nb.Model, weights: Weights, name: str) -> None:
    for layer in model.layers:
        own = [
            _converted(key, array, name)
            for key, array in weights.items()
            if key.rsplit(".", 1)[0] == layer.name
        ]
        if own:
            rest = layer.get_weights()[len(own) :]  # running statistics keep their start
            layer.set_weights([*own, *rest])


def _model(task: Task) -> nb.Model:
    workload = task.workload
    model = MODELS[workload.model](task.dropout)
    _set_weights(model, task.weights, workload.model)
    if workload.optimizer == "adam":
        optimizer = nb.optimizers.Adam(workload.learning_rate, epsilon=1e-8)
    else:
        optimizer = nb.optimizers.SGD(workload.learning_rate, momentum=workload.momentum)
    is_code = workload.model == "autoencoder"
    loss = "mse" if is_code else nb.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, device=task.device)
    return model


def _data(task: Task) -> tuple[np.ndarray, np.ndarray]:
    x = task.x if task.x.ndim == 2 else np.ascontiguousarray(task.x.transpose(0, 2, 3, 1))
    return x, (x if task.workload.model == "autoencoder" else task.y)


def _batches(workload: Workload, *arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    for start in range(0, len(arrays[0]), workload.batch):
        yield tuple(array[start : start + workload.batch] for array in arrays)


def open_steps(task: Task) -> Session:
    return _predicting(task) if task.workload.kind == "predict" else _training(task)


def _training(task: Task) -> Session:
    """Steps as ``fit`` runs them: an epoch over the batches is one call."""
    model, workload = _model(task), task.workload
    x, y = _data(task)
    trainer = model._current_trainer()
    data = model._data_set(x, y)
    order = np.arange(data.samples)
    steps_per_epoch = data.samples // workload.batch

    def run(steps: int) -> None:
        for _ in range(max(1, steps // steps_per_epoch)):
            trainer.train_epoch(data, order, workload.batch)

    def losses(steps: int) -> list[float]:
        parts = [model._data_set(*part) for part in _batches(workload, x, y)]
        return [_loss(trainer, parts[i % len(parts)]) for i in range(steps)]

    return Session(run, losses)


def _loss(trainer, batch: DataSet) -> float:
    order = np.arange(batch.samples)
    return trainer.train_epoch(batch, order, batch.samples)["loss"]


def _predicting(task: Task) -> Session:
    model = _model(task)
    x, _ = _data(task)
    batches = [batch for (batch,) in _batches(task.workload, x)]

    def run(steps: int) -> None:
        for i in range(steps):
            model.predict(batches[i % len(batches)])

    def losses(steps: int) -> list[float]:
        outs = (model.predict(batches[i % len(batches)]) for i in range(steps))
        return [float(np.sqrt(np.mean(np.square(out)))) for out in outs]

    return Session(run, losses)
