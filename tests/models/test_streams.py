"""Batches by their numbers, as Keras's PyDataset has them, and epochs of so many steps."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet.data import TensorDataset
from numbanet.errors import ArgumentError, DataError
from tests.keras_peer import import_keras
from tests.reference_device import ReferenceDevice

keras = import_keras()

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation"),
    pytest.mark.filterwarnings("ignore:Your input ran out of data"),
]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(11, 4)).astype(np.float32)
Y = RNG.normal(size=(11, 2)).astype(np.float32)
SIZE = 4


class Batches:
    """By their numbers, and what was asked for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __len__(self) -> int:
        return -(-len(X) // SIZE)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append(number)
        part = slice(number * SIZE, (number + 1) * SIZE)
        return X[part], Y[part]

    def on_epoch_end(self) -> None:
        self.asked.append("end")


class Kerass(Batches, keras.utils.PyDataset):
    def __init__(self) -> None:
        keras.utils.PyDataset.__init__(self)
        Batches.__init__(self)


class Endless(keras.utils.PyDataset):
    num_batches = None

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        return X[number % 11 :][:1], Y[number % 11 :][:1]


def linear(library: Any = nb) -> Any:
    model = library.Sequential([library.Input((4,)), library.layers.Dense(2)])
    options = {"device": ReferenceDevice()} if library is nb else {}
    model.compile("sgd", "mse", metrics=["mae"], **options)
    model.set_weights([np.ones((4, 2), np.float32), np.zeros(2, np.float32)])
    return model


@pytest.mark.parametrize("kind", [Batches, Kerass])
@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_by_number_are_trained_on_once_an_epoch(kind: Any, shuffle: bool) -> None:
    model, data = linear(), kind()
    model.fit(data, epochs=2, shuffle=shuffle, seed=3, verbose=0)
    first, end, second, last = data.asked[:3], data.asked[3], data.asked[4:7], data.asked[7]
    assert sorted(first) == sorted(second) == [0, 1, 2]
    assert (end, last) == ("end", "end")
    assert (first == second == [0, 1, 2]) is not shuffle


def test_they_train_evaluate_and_predict_as_in_keras() -> None:
    ours, theirs = linear(), linear(keras)
    settings = {"epochs": 3, "shuffle": False, "verbose": 0}
    a = ours.fit(Kerass(), validation_data=Kerass(), **settings).history
    b = theirs.fit(Kerass(), validation_data=Kerass(), **settings).history
    assert set(a) == set(b)
    for name, numbers in b.items():
        np.testing.assert_allclose(a[name], numbers, rtol=1e-5)
    np.testing.assert_allclose(
        ours.evaluate(Kerass()), theirs.evaluate(Kerass(), verbose=0), rtol=1e-5
    )
    np.testing.assert_allclose(
        ours.predict(Kerass()), theirs.predict(Kerass(), verbose=0), rtol=1e-4, atol=1e-6
    )


def test_batches_without_an_end_need_a_number_of_steps() -> None:
    ours, theirs = linear(), linear(keras)
    settings = {"epochs": 2, "steps_per_epoch": 3, "shuffle": False, "verbose": 0}
    a, b = (model.fit(Endless(), **settings).history for model in (ours, theirs))
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-5)
    assert ours.predict(Endless(), steps=4).shape == (4, 2)


def test_a_model_learns_its_inputs_from_batch_zero() -> None:
    model, data = nb.Sequential([nb.layers.Dense(2)]), Batches()
    model.compile("sgd", "mse", device=ReferenceDevice())
    model.fit(data, shuffle=False, verbose=0)
    assert data.asked == [0, 0, 1, 2, "end"]


def test_samples_by_number_are_no_batches() -> None:
    model = linear()
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ArgumentError, match="DataLoader"):
            call(TensorDataset(X, Y))


def test_no_batches_at_all() -> None:
    class Empty(Batches):
        def __len__(self) -> int:
            return 0

    with pytest.raises(DataError, match="no batches"):
        linear().fit(Empty(), verbose=0)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
@pytest.mark.parametrize("kind", ["arrays", "batches"])
def test_epochs_of_so_many_steps_are_kerass(steps: int, kind: str) -> None:
    def trained(library: Any) -> tuple[list[float], list[np.ndarray]]:
        model = linear(library)
        given = (X, Y) if kind == "arrays" else (Kerass(),)
        settings = {"epochs": 4, "steps_per_epoch": steps, "shuffle": False, "verbose": 0}
        size = {"batch_size": SIZE} if kind == "arrays" else {}
        found = model.fit(*given, **size, **settings).history["loss"]
        return found, model.get_weights()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found, weights = trained(nb)
    told = [str(each.message) for each in caught if "ran out" in str(each.message)]
    assert bool(told) == (steps in (2, 7))
    expected, peers = trained(keras)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for ours, theirs in zip(weights, peers, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_names_of_results() -> None:
    model = linear()
    model.fit(X, Y, verbose=0)
    model.reset_metrics()
    found = dict(zip(model.metrics_names, model.evaluate(X, Y), strict=True))
    assert found == model.evaluate(X, Y, return_dict=True)
    x = nb.Input((4,))
    two = nb.Model(x, {"a": nb.layers.Dense(2)(x), "b": nb.layers.Dense(2)(x)})
    two.compile("sgd", "mse", metrics=["mae"], device=ReferenceDevice())
    logs = two.test_on_batch(X, {"a": Y, "b": Y}, return_dict=True)
    assert two.metrics_names == list(logs)
