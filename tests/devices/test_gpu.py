"""Layers, models and ways to train on a GPU, beside the CPU and the ops' references."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet import nn, optim
from numbanet.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Embedding,
    Flatten,
    GlobalAveragePooling2D,
    LayerNormalization,
    MaxPooling2D,
    MultiHeadAttention,
    ReLU,
)
from numbanet.runtime import get_device
from numbanet.runtime.cuda.device import CudaDevice
from numbanet.tensors.flush import device as tensor_device
from numbanet.tensors.flush import set_default_device
from tests.devices.test_training import assert_close, assert_same_bits
from tests.layers.cases import LAYERS, SEQUENCES, Row
from tests.layers.test_conformance import BATCH, called, computed

pytestmark = pytest.mark.gpu

CLASSES = nb.losses.SparseCategoricalCrossentropy(from_logits=True)
SAMPLES, BATCH_SIZE = 37, 16


# Layers.


def fed(row: Row) -> Any:
    arrays = row.arrays(BATCH)
    return arrays if isinstance(row.shape, list) else arrays[0]


@pytest.mark.filterwarnings("ignore:NB107")  # A model of nothing but dropout.
@pytest.mark.parametrize("row", [*LAYERS, *SEQUENCES], ids=lambda row: row.label)
def test_every_layer_predicts_as_its_references_do(row: Row) -> None:
    _, inputs, output = called(row)
    model = nb.Model(inputs, output)
    model.compile("sgd", "mse", device="cuda")
    found = model.predict(fed(row), batch_size=BATCH)
    np.testing.assert_allclose(found, computed(inputs, output, row), rtol=3e-5, atol=3e-6)


@pytest.mark.filterwarnings("ignore:NB107")
@pytest.mark.parametrize("row", [*LAYERS, *SEQUENCES], ids=lambda row: row.label)
def test_every_layer_learns_as_on_the_cpu(row: Row) -> None:
    found, expected = (learned(row, device) for device in ("cuda", "cpu"))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def learned(row: Row, device: str) -> list[np.ndarray]:
    """The weights after two steps; none where there is nothing to learn."""
    nb.set_seed(1)
    layer, inputs, output = called(row)
    if not layer.trainable_variables():
        return []
    model = nb.Model(inputs, output)
    model.compile(nb.optimizers.SGD(0.1), "mse", device=device)
    shape = model.predict(fed(row), batch_size=BATCH).shape
    target = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    model.fit(fed(row), target, batch_size=BATCH, epochs=2, verbose=0, seed=3)
    return layer.get_weights()


# Models.


def perceptron() -> nb.Model:
    return nb.Sequential([nb.Input((28, 28, 1)), Flatten(), Dense(128, "relu"), Dense(10)])


def convolutional() -> nb.Model:
    x = nb.Input((28, 28, 1))
    h = MaxPooling2D()(Conv2D(16, 3, activation="relu")(x))
    h = nb.layers.Dropout(0.25)(MaxPooling2D()(Conv2D(32, 3, activation="relu")(h)))
    return nb.Model(x, Dense(10)(Flatten()(h)))


def residual() -> nb.Model:
    x = nb.Input((28, 28, 1))
    h = ReLU()(BatchNormalization()(Conv2D(8, 3, padding="same", use_bias=False)(x)))
    for width, stride in ((8, 1), (16, 2)):
        skip = h if stride == 1 else Conv2D(width, 1, strides=2, use_bias=False)(h)
        y = Conv2D(width, 3, strides=stride, padding="same", use_bias=False)(h)
        y = BatchNormalization()(DepthwiseConv2D(3, padding="same")(ReLU()(y)))
        h = ReLU()(nb.layers.Add()([y, skip]))
    return nb.Model(x, Dense(10)(GlobalAveragePooling2D()(h)))


def attentive() -> nb.Model:
    x = nb.Input((28, 28, 1))
    h = Dense(24)(nb.layers.Reshape((28, 28))(x))
    a = LayerNormalization()(h)
    h = nb.layers.Add()([h, MultiHeadAttention(3, 8)(a, a)])
    return nb.Model(x, Dense(10)(nb.layers.GlobalAveragePooling1D()(h)))


def recurrent() -> nb.Model:
    x = nb.Input((28, 28, 1))
    h = GRU(12, return_sequences=True)(nb.layers.Reshape((28, 28))(x))
    return nb.Model(x, Dense(10)(LSTM(9)(h)))


MODELS = [perceptron, convolutional, residual, attentive, recurrent]
OPTIMIZERS: list[Callable[[], nb.optimizers.Optimizer]] = [
    lambda: nb.optimizers.SGD(0.05, momentum=0.9),
    # A large epsilon: gradients that are zero but for rounding would move weights at random.
    lambda: nb.optimizers.Adam(0.003, epsilon=1e-3),
]


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.uniform(size=(SAMPLES, 28, 28, 1)).astype(np.float32)
    return x, rng.integers(0, 10, SAMPLES)


def compiled(make: Callable[[], nb.Model], device: Any, optimizer: int = 0) -> nb.Model:
    nb.set_seed(5)
    model = make()
    model.compile(OPTIMIZERS[optimizer](), CLASSES, metrics=["accuracy"], device=device)
    return model


def results(model: nb.Model, history: nb.History) -> tuple[list[float], list[np.ndarray]]:
    return history.history["loss"], model.get_weights()


def trained(
    make: Callable[[], nb.Model], device: Any, optimizer: int = 0, epochs: int = 2
) -> tuple[list[float], list[np.ndarray]]:
    model = compiled(make, device, optimizer)
    x, y = data()
    history = model.fit(
        x, y, BATCH_SIZE, epochs=epochs, verbose=0, seed=3, validation_data=(x[:9], y[:9])
    )
    return results(model, history)


@pytest.mark.parametrize("optimizer", [0, 1])
@pytest.mark.parametrize("make", MODELS)
def test_a_model_trains_as_on_the_cpu(make: Callable[[], nb.Model], optimizer: int) -> None:
    found, expected = (trained(make, device, optimizer) for device in ("cuda", "cpu"))
    assert_close(found, expected)


@pytest.mark.parametrize("make", MODELS)
def test_two_trainings_give_the_same_bits(make: Callable[[], nb.Model]) -> None:
    assert_same_bits(trained(make, "cuda"), trained(make, "cuda"))


@pytest.mark.parametrize("make", MODELS)
def test_replayed_steps_give_the_bits_of_launched_ones(make: Callable[[], nb.Model]) -> None:
    """40 steps by graphs of several steps, and the same launch by launch."""
    x, y = data()
    found = []
    for is_direct in (False, True):
        model = compiled(make, "cuda")
        trainer = model._current_trainer()
        trainer.state.adopt()
        types = model._data_set(x, y).types
        step = trainer.device.load(trainer.train_program(types, 8))
        arrays = model._data_set(x, y).arrays | {"order": np.arange(SAMPLES)}
        for name, array in arrays.items():
            step.bind(name, array)
        trainer.counters.start.assign(0)
        for _ in range(10):
            if is_direct:
                for _ in range(4):
                    step.time_launches()
            else:
                step.run(4)
            trainer.counters.start.assign(0)
        found.append(([], model.get_weights()))
    assert_same_bits(*found)


@pytest.mark.parametrize("make", MODELS)
def test_predictions_are_the_cpu_s_for_every_batch_size(make: Callable[[], nb.Model]) -> None:
    x, _ = data()
    expected = compiled(make, "cpu").predict(x)
    model = compiled(make, "cuda")
    for size in (1, 5, SAMPLES, 7):
        for _ in range(3):  # launched, captured, replayed
            found = model.predict(x, batch_size=size)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_batches_from_a_generator_train_to_the_bits_of_arrays() -> None:
    x, y = data()

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, SAMPLES, BATCH_SIZE):
            part = slice(start, start + BATCH_SIZE)
            yield x[part].copy(), y[part].copy()

    whole, streamed = compiled(convolutional, "cuda"), compiled(convolutional, "cuda")
    expected = whole.fit(x, y, BATCH_SIZE, epochs=1, verbose=0, seed=3, shuffle=False)
    found = streamed.fit(batches(), verbose=0, seed=3)
    assert_same_bits(results(streamed, found), results(whole, expected))


def test_data_that_do_not_fit_train_to_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = trained(convolutional, "cuda")
    monkeypatch.setattr(CudaDevice, "has_room", lambda self, nbytes: False)
    assert_same_bits(trained(convolutional, "cuda"), expected)


def test_memory_is_constant_while_training_goes_on() -> None:
    """More than ten thousand steps, with evaluation and prediction in between."""
    device = get_device("cuda")
    assert isinstance(device, CudaDevice)
    nb.set_seed(0)
    model = nb.Sequential([nb.Input((8,)), Dense(16, "relu"), Dense(3)])
    model.compile(nb.optimizers.SGD(0.01), CLASSES, metrics=["accuracy"], device=device)
    x = np.random.default_rng(0).normal(size=(4099, 8)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)

    def free() -> int:
        with device.driver:
            device.driver.synchronise()
            return device.driver.memory_info()[0]

    def train() -> int:
        model.fit(x, y, 4, epochs=2, verbose=0, validation_data=(x[:100], y[:100]))
        model.predict(x[:99], batch_size=32)
        return free()

    train()
    before = train()
    for _ in range(4):
        assert train() == before


def test_models_train_in_threads_as_if_alone() -> None:
    expected = {make: trained(make, "cuda") for make in MODELS}
    found: dict[Any, Any] = {}
    threads = [
        threading.Thread(target=lambda make=make: found.update({make: fitted_alone(make)}))
        for make in MODELS
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for make in MODELS:
        assert_close(found[make], expected[make])


_BUILDING = threading.Lock()


def fitted_alone(make: Callable[[], nb.Model]) -> tuple[list[float], list[np.ndarray]]:
    """As `trained`; the seed of initial weights is one for all threads."""
    with _BUILDING:
        model = compiled(make, "cuda")
        model.get_weights()
    x, y = data()
    options: dict[str, Any] = {"epochs": 2, "verbose": 0, "seed": 3}
    history = model.fit(x, y, BATCH_SIZE, validation_data=(x[:9], y[:9]), **options)
    return results(model, history)


# PyTorch's way.


@pytest.fixture
def on_gpu() -> Iterator[None]:
    before = tensor_device()
    set_default_device("cuda")
    yield
    set_default_device(before)


@pytest.mark.usefixtures("on_gpu")
def test_a_loop_over_tensors_trains_as_on_the_cpu() -> None:
    found = looped()
    set_default_device("cpu")
    for a, b in zip(found, looped(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def looped() -> list[np.ndarray]:
    nb.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(676, 10)
    )
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    x, y = (nb.tensor(each) for each in data())
    images = x.permute(0, 3, 1, 2)
    losses = []
    for step in range(6):
        optimizer.zero_grad()
        part = slice(step * 6, step * 6 + 6)
        loss = nn.functional.cross_entropy(model(images[part]), y[part])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return [np.array(losses), *(each.detach().numpy() for each in model.parameters())]


def test_ids_are_looked_up_and_learned_as_on_the_cpu() -> None:
    ids = np.random.default_rng(0).integers(0, 50, (40, 7))
    labels = ids.sum(1) % 3
    found = []
    for device in ("cuda", "cpu"):
        nb.set_seed(0)
        model = nb.Sequential([nb.Input((7,), dtype="int64"), Embedding(50, 6), Flatten()])
        model.add(Dense(3))
        model.compile(nb.optimizers.SGD(0.1), CLASSES, device=device)
        history = model.fit(ids, labels, 16, epochs=3, verbose=0, seed=1)
        found.append(results(model, history))
    assert_close(*found)
