"""Data that are on a GPU: trained on where they lie, checked there, refused elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet.errors import ArgumentError, DataError, DeviceError
from numbanet.layers import Dense, Embedding, Flatten
from numbanet.runtime.cuda.arrays import DeviceArray
from numbanet.runtime.cuda.device import CudaDevice
from numbanet.runtime.cuda.simulated import SimulatorDriver

SAMPLES, BATCH = 11, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(SAMPLES, 3)).astype(np.float32)
"""Rows of twelve bytes: parts of it do not begin where kernels can load from."""
Y = RNG.integers(4, size=SAMPLES)

pytestmark = pytest.mark.simulator


class CountingDriver(SimulatorDriver):
    """Notes how many bytes come from the host, and go there."""

    def __init__(self) -> None:
        super().__init__()
        self.up: list[int] = []
        self.down: list[int] = []

    def upload(self, address: int, array: np.ndarray, after: Any = None) -> None:
        self.up.append(array.nbytes)
        super().upload(address, array, after)

    def download(self, address: int, array: np.ndarray) -> None:
        self.down.append(array.nbytes)
        super().download(address, array)


class Lent:
    """An array as another library lends it: by DLPack, or by the older interface."""

    def __init__(self, array: DeviceArray, protocol: str) -> None:
        self.shape, self.owner = array.shape, array
        if protocol == "dlpack":
            self.__dlpack__, self.__dlpack_device__ = array.__dlpack__, array.__dlpack_device__
        else:
            self.__cuda_array_interface__ = array.__cuda_array_interface__


@pytest.fixture
def driver() -> CountingDriver:
    return CountingDriver()


@pytest.fixture
def device(driver: CountingDriver) -> CudaDevice:
    return CudaDevice(driver)


@pytest.fixture
def lend(device: CudaDevice) -> Any:
    return lambda array: Lent(device.put(array), "dlpack")


def model(device: Any, *layers: Any, loss: Any = None) -> nb.Sequential:
    nb.set_seed(0)
    made = nb.Sequential([*(layers or (nb.Input((3,)), Dense(4)))])
    loss = loss or nb.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(nb.optimizers.SGD(0.1), loss, metrics=["accuracy"], device=device)
    return made


def same(found: Any, expected: Any) -> None:
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("protocol", ["dlpack", "interface"])
def test_training_is_that_on_the_host_s_arrays(device: Any, protocol: str) -> None:
    def lend(array: np.ndarray) -> Lent:
        return Lent(device.put(array), protocol)

    told: Any = {"batch_size": BATCH, "verbose": 0, "seed": 1, "validation_split": 0.3}
    there, here = model(device), model(device)
    found = there.fit(lend(X), lend(Y), **told).history
    assert found == here.fit(X, Y, **told).history
    same(there.get_weights(), here.get_weights())
    assert there.evaluate(lend(X), lend(Y), BATCH) == here.evaluate(X, Y, BATCH)
    for size in (BATCH, SAMPLES):
        same(there.predict(lend(X), size), here.predict(X, size))
    same(there.predict_on_batch(lend(X)), here.predict_on_batch(X))
    assert there.train_on_batch(lend(X), lend(Y)) == here.train_on_batch(X, Y)
    assert there.test_on_batch(lend(X), lend(Y)) == here.test_on_batch(X, Y)


def test_data_do_not_pass_through_the_host(driver: Any, device: Any, lend: Any) -> None:
    made, x, y = model(device), lend(X), lend(Y)
    made.fit(x, y, BATCH, verbose=0)
    driver.up.clear()
    driver.down.clear()
    made.fit(x, y, BATCH, epochs=3, verbose=0)
    order = SAMPLES * 8
    assert max(driver.up) == order
    assert driver.up.count(order) <= 3 * 2  # for batches, and for the last, smaller one
    assert sum(driver.up) < order * 6 + 200
    assert max(driver.down) <= 8
    made.train_on_batch(x, y)  # the program's constants travel once
    driver.up.clear()
    made.train_on_batch(x, y)
    assert sum(driver.up) <= order + 100 < X.nbytes + Y.nbytes


def test_batches_on_the_device_and_on_the_host_mix(device: Any, lend: Any) -> None:
    there, here = model(device), model(device)
    there.fit(((lend(X), y) for y in (Y, lend(Y))), verbose=0, seed=1)
    here.fit(((X, Y) for _ in range(2)), verbose=0, seed=1)
    same(there.get_weights(), here.get_weights())


def test_weights_of_samples_and_other_dtypes_are_converted_there(
    device: Any, lend: Any
) -> None:
    weights = RNG.uniform(size=(SAMPLES, 1))
    told = {"batch_size": BATCH, "verbose": 0, "seed": 1}
    here, there = model(device), model(device)
    here.fit(X, Y, sample_weight=weights, **told)
    y = lend(Y.astype(np.int32)[:, None])
    there.fit(lend(X.astype(np.float64)), y, sample_weight=lend(weights), **told)
    same(there.get_weights(), here.get_weights())


def test_data_that_do_not_fit_beside_others_are_taken_there(lend: Any, device: Any) -> None:
    class Full(CudaDevice):
        def has_room(self, nbytes: int) -> bool:
            return False

    full = Full(device.driver)
    there, here = model(full), model(device)
    there.fit(lend(X), Y, BATCH, verbose=0, seed=1)
    here.fit(X, Y, BATCH, verbose=0, seed=1)
    same(there.get_weights(), here.get_weights())


def test_labels_and_ids_are_checked_there(device: Any, lend: Any) -> None:
    made = model(device)
    made.fit(X, Y, verbose=0)
    for wrong in (-1, 4):
        y = Y.copy()
        y[7] = wrong
        with pytest.raises(DataError, match=rf"labels out of range, got .*{wrong}.*0 \.\. 3"):
            made.fit(lend(X), lend(y), verbose=0)
    with pytest.raises(DataError, match="class labels are integers"):
        made.fit(lend(X), lend(Y.astype(np.float32)), verbose=0)
    ids = RNG.integers(5, size=(SAMPLES, 2))
    looking = model(device, Embedding(5, 3), Flatten(), Dense(4))
    looking.predict(lend(ids))
    with pytest.raises(DataError, match=r"ids out of range, got 0 \.\. 9"):
        looking.predict(lend(np.array([[0, 9]])))


def test_an_ignored_label_may_be_out_of_range(device: Any, lend: Any) -> None:
    losses = [
        nb.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
        for _ in range(2)
    ]
    y = Y.copy()
    y[3] = -1
    there, here = (model(device, loss=loss) for loss in losses)
    assert there.train_on_batch(lend(X), lend(y))[0] == here.train_on_batch(X, y)[0]
    y[4] = -2
    with pytest.raises(DataError, match="out of range"):
        there.train_on_batch(lend(X), lend(y))


def test_numbers_that_do_not_fit_are_refused(device: Any, lend: Any) -> None:
    made = model(device)
    made.predict(X)
    big = X.astype(np.float64)
    big[2, 1] = 1e300
    with pytest.raises(DataError, match=r"numbers too large for float32, got 1e\+300"):
        made.predict(lend(big))
    with pytest.raises(DataError, match="wrong shape"):
        made.predict(lend(X[:, :2].copy()))
    with pytest.raises(ArgumentError, match="sample_weight instead"):
        made.fit(lend(X), lend(Y), class_weight={0: 2.0}, verbose=0)


def test_a_cpu_says_what_to_do(lend: Any) -> None:
    made = model("cpu")
    made.fit(X, Y, verbose=0)
    expected = r"Lent is not in the host's memory.*'cpu'.*\.cpu\(\).*device=\"cuda\""
    for action in (
        lambda: made.fit(lend(X), Y, verbose=0),
        lambda: made.evaluate(X, lend(Y)),
        lambda: made.predict(lend(X)),
        lambda: made.train_on_batch([lend(X)], Y),
    ):
        with pytest.raises(DeviceError, match=expected):
            action()


def test_what_is_not_lent_is_said(device: Any) -> None:
    class Stubborn:
        shape = (SAMPLES, 3)

        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 0

        def __dlpack__(self, **options: Any) -> Any:
            raise BufferError("requires gradients")

    with pytest.raises(ArgumentError, match="Stubborn on the GPU is not lent, got requires"):
        model(device).fit(Stubborn(), Y, verbose=0)


def test_another_gpu_s_array_is_refused(device: Any) -> None:
    class Elsewhere:
        shape = (SAMPLES, 3)

        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 3

    with pytest.raises(
        DeviceError, match=r"another device's memory, got DLPack's device \(2, 3\)"
    ):
        model(device).predict(Elsewhere())
