"""Whole training steps on real kernels: they repeat, they agree, they cost nothing extra."""

from __future__ import annotations

import platform
import tracemalloc

import numpy as np
import pytest

import numbanet as nb
from numbanet import ops
from numbanet.compile import compile_program
from numbanet.ir import Graph, Update, Variable
from numbanet.kernels.cpu import compile as cpu_compile
from numbanet.layers import (
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPooling2D,
)
from numbanet.runtime import get_device
from numbanet.runtime.cpu import set_num_threads
from numbanet.runtime.device import Device
from tests.reference_device import ReferenceDevice

SAMPLES, BATCH = 12, 8  # the last batch is smaller


def perceptron(dropout: float) -> nb.Model:
    layers = [nb.Input((4, 4, 1)), Flatten(), Dense(9, activation="tanh"), Dropout(dropout)]
    return nb.Sequential([*layers, Dense(3)])


def convolutional(dropout: float) -> nb.Model:
    """A skip connection, batch normalisation, and one convolution used twice."""
    x = nb.Input((4, 4, 1))
    shared = Conv2D(3, 3, padding="same", activation="relu")
    h = BatchNormalization()(Conv2D(3, 3, padding="same")(x))
    h = Add()([h, shared(shared(h))])
    return nb.Model(x, Dense(3)(Dropout(dropout)(Flatten()(MaxPooling2D()(h)))))


def trained(make, device: str | Device, epochs: int = 2, dropout: float = 0.25) -> tuple:
    """Losses of each epoch, and all weights afterwards."""
    nb.set_seed(5)
    model = make(dropout)
    rng = np.random.default_rng(1)
    x = rng.uniform(size=(SAMPLES, 4, 4, 1)).astype(np.float32)
    y = rng.integers(0, 3, SAMPLES)
    model.compile(
        nb.optimizers.SGD(0.1, momentum=0.9),
        nb.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        device=device,
    )
    history = model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0, seed=3)
    return history.history["loss"], [w for layer in model.layers for w in layer.get_weights()]


def assert_close(found: tuple, expected: tuple) -> None:
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4)
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("make", [perceptron, convolutional])
def test_cpu_trains_as_the_references_do(make) -> None:
    assert_close(trained(make, "cpu"), trained(make, ReferenceDevice()))


@pytest.mark.simulator
@pytest.mark.parametrize("make", [perceptron, convolutional])
def test_simulated_gpu_trains_as_the_references_do(make) -> None:
    assert_close(trained(make, "cuda", epochs=1), trained(make, ReferenceDevice(), epochs=1))


@pytest.mark.gpu
@pytest.mark.parametrize("make", [perceptron, convolutional])
def test_gpu_trains_as_the_references_do(make) -> None:
    assert_close(trained(make, "cuda"), trained(make, ReferenceDevice()))


@pytest.mark.gpu
@pytest.mark.parametrize("make", [perceptron, convolutional])
def test_gpu_repeats_every_bit(make) -> None:
    assert_same_bits(trained(make, "cuda"), trained(make, "cuda"))


def assert_same_bits(found: tuple, expected: tuple) -> None:
    assert found[0] == expected[0]
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", [perceptron, convolutional])
def test_one_seed_gives_the_same_bits_on_any_number_of_threads(make) -> None:
    runs = []
    for threads in (1, 2, 2):
        set_num_threads(threads)
        runs.append(trained(make, "cpu"))
    assert_same_bits(runs[1], runs[0])
    assert_same_bits(runs[2], runs[0])


@pytest.mark.parametrize("make", [perceptron, convolutional])
def test_a_steady_step_allocates_and_compiles_nothing(make) -> None:
    model = make(0.25)
    loss = nb.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, device="cpu")
    x, y = np.ones((8, 4, 4, 1), np.float32), np.zeros(8, np.int64)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    trainer, data, order = model._current_trainer(), model._data_set(x, y), np.arange(8)
    kernels = len(cpu_compile._COMPILED)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            trainer.train_epoch(data, order, 8)
        grown = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert grown < 10_000
    assert len(cpu_compile._COMPILED) == kernels


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86 has the mode")
def test_slots_decay_to_zero_and_not_into_slow_subnormal_numbers() -> None:
    slot = Variable(np.full(64, 1e-37, np.float32), "slot")
    value = ops.variable_value(slot)
    graph = Graph((), {}, (Update(value, value * 0.1),))
    device = get_device("cpu")
    executable = device.load(compile_program(graph, device))
    executable.run(2)
    np.testing.assert_array_equal(slot.numpy(), np.zeros(64))
    assert np.float32(1e-37) * np.float32(0.1) > 0  # the caller's own arithmetic is as it was
