"""Where the data of a training are: put on a device once, or carried there batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet.layers import Dense
from numbanet.runtime.cuda.device import CudaDevice
from numbanet.runtime.cuda.simulated import SimulatorDriver
from tests.reference_device import ReferenceDevice

SAMPLES, BATCH = 11, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(SAMPLES, 4)).astype(np.float32)
Y = RNG.integers(3, size=SAMPLES)
VALID = (X[:5] + 1, Y[:5])


class CountingDevice(ReferenceDevice):
    """Counts what is put on it; ``room`` is what it says it has."""

    def __init__(self, room: bool = True) -> None:
        super().__init__()
        self.room = room
        self.puts: list[np.ndarray] = []

    def put(self, array: np.ndarray) -> np.ndarray:
        self.puts.append(array)
        return array

    def has_room(self, nbytes: int) -> bool:
        return self.room


def model(device: Any) -> nb.Sequential:
    nb.set_seed(0)
    made = nb.Sequential([nb.Input((4,)), Dense(3)])
    loss = nb.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(nb.optimizers.SGD(0.1), loss, metrics=["accuracy"], device=device)
    return made


def fitted(device: Any, **options: Any) -> tuple[dict[str, list[float]], list[np.ndarray]]:
    made = model(device)
    history = made.fit(X, Y, BATCH, epochs=3, verbose=0, seed=1, **options)
    return history.history, made.get_weights()


def assert_same(found: Any, expected: Any) -> None:
    assert found[0] == expected[0]
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_data_are_put_on_the_device_once_for_all_epochs() -> None:
    device = CountingDevice()
    fitted(device, validation_data=VALID)
    assert len(device.puts) == 4  # inputs and targets, and those of validation


def test_a_batch_is_not_put_anywhere() -> None:
    device = CountingDevice()
    made = model(device)
    made.train_on_batch(X[:BATCH], Y[:BATCH])
    made.fit(iter([(X[:BATCH], Y[:BATCH])] * 3), verbose=0)
    assert not device.puts


@pytest.mark.parametrize("shuffle", [True, False])
def test_data_that_do_not_fit_train_to_the_same_bits(shuffle: bool) -> None:
    device = CountingDevice(room=False)
    found = fitted(device, shuffle=shuffle, validation_data=VALID)
    assert not device.puts
    assert_same(found, fitted(CountingDevice(), shuffle=shuffle, validation_data=VALID))


def test_training_stops_amid_data_that_do_not_fit() -> None:
    class Stop(nb.Callback):
        steps = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.steps += 1
            self.model.stop_training = batch == 1

    stop = Stop()
    model(CountingDevice(room=False)).fit(X, Y, BATCH, epochs=3, verbose=0, callbacks=[stop])
    assert stop.steps == 2


@pytest.mark.simulator
def test_data_of_an_earlier_training_make_room() -> None:
    driver = SimulatorDriver()
    made = model(CudaDevice(driver))
    free = []
    for _ in range(3):
        made.fit(X.copy(), Y.copy(), BATCH, verbose=0)
        free.append(driver.memory_info()[0])
    assert free[1] == free[2]  # the second time inputs got a second piece of memory


@pytest.mark.simulator
def test_a_full_gpu_takes_batches() -> None:
    whole = fitted(CudaDevice(SimulatorDriver()))
    assert_same(fitted(CudaDevice(_Full())), whole)


class _Full(SimulatorDriver):
    """Has room for what is small, and says that it has next to none."""

    def memory_info(self) -> tuple[int, int]:
        free, total = super().memory_info()
        return min(free, total // 8), total
