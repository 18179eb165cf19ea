"""Steps per execution: what callbacks are told, and when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numbanet import Input, Sequential, optimizers, set_seed
from numbanet.errors import ArgumentError
from numbanet.layers import Dense, Dropout
from numbanet.models.callbacks import Callback
from tests.reference_device import ReferenceDevice

RNG = np.random.default_rng(0)
X = RNG.normal(size=(23, 3)).astype(np.float32)
Y = RNG.normal(size=(23, 1)).astype(np.float32)
DEVICE = ReferenceDevice()
BATCH = 3
STEPS = 8
"""The last of them with two samples."""


class Told(Callback):
    """Notes the numbers of batches, and losses."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.batches: list[Any] = []
        self.losses: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.batches.append(batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches[-1] = (self.batches[-1], batch)
        self.losses.append(logs["loss"])
        self.model.stop_training = self.stop_after == batch

    on_test_batch_begin = on_train_batch_begin

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches[-1] = (self.batches[-1], batch)
        self.losses.append(logs["loss"])

    on_predict_batch_begin = on_train_batch_begin

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches[-1] = (self.batches[-1], batch, len(logs["outputs"]["output"]))


def model(together: int | str, optimizer: Any = "adam") -> Sequential:
    set_seed(0)
    made = Sequential([Input((3,)), Dense(2), Dropout(0.5), Dense(1, name="output")])
    made.compile(optimizer, "mse", device=DEVICE, steps_per_execution=together)
    return made


def fit(made: Sequential, *given: Any, told: Told | None = None, **options: Any) -> Told:
    told = told or Told()
    made.fit(*given, verbose=0, seed=1, callbacks=told, **options)
    return told


EXECUTIONS = [
    (1, [(i, i) for i in range(STEPS)]),
    (3, [(0, 2), (3, 5), (6, 7)]),
    (4, [(0, 3), (4, 7)]),
    (7, [(0, 6), (7, 7)]),
    (100, [(0, 7)]),
]


def constant() -> optimizers.Optimizer:
    """Its rate is asked for before each step."""
    return optimizers.SGD(lambda: 0.01)


@pytest.mark.parametrize(("together", "expected"), EXECUTIONS)
@pytest.mark.parametrize("optimizer", [lambda: "adam", constant])
def test_hooks_are_called_for_so_many_steps(
    together: int, expected: Any, optimizer: Any
) -> None:
    one, several = model(1, optimizer()), model(together, optimizer())
    each = fit(one, X, Y, BATCH)
    told = fit(several, X, Y, BATCH)
    assert told.batches == expected
    # The loss is that of the epoch so far.
    np.testing.assert_array_equal(told.losses, [each.losses[last] for _, last in expected])
    for a, b in zip(one.get_weights(), several.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("together", "expected"), EXECUTIONS)
def test_evaluation_and_prediction_run_in_executions_too(together: int, expected: Any) -> None:
    made, told = model(together), Told()
    made.evaluate(X, Y, BATCH, callbacks=told)
    assert told.batches == expected
    told.batches.clear()
    assert made.predict(X, BATCH, callbacks=told).shape == (23, 1)
    sizes = [min(BATCH * (last + 1), 23) - BATCH * first for first, last in expected]
    assert told.batches == [(*e, size) for e, size in zip(expected, sizes, strict=True)]


def test_batches_of_a_generator_run_in_executions_too() -> None:
    told = fit(model(3), ((X[:size], Y[:size]) for size in (5, 2, 5, 5)))
    assert told.batches == [(0, 2), (3, 3)]


def test_an_epoch_starts_an_execution_of_its_own() -> None:
    told = fit(model(3), X, Y, BATCH, epochs=2, steps_per_epoch=4)
    assert told.batches == [(0, 2), (3, 3)] * 2


def test_training_stops_after_an_execution() -> None:
    told = fit(model(3), X, Y, BATCH, told=Told(stop_after=5))
    assert told.batches == [(0, 2), (3, 5)]


def test_executions_grow_by_themselves() -> None:
    x, y = (np.concatenate([array] * 10) for array in (X, Y))
    told = fit(model("auto"), x, y, 1)
    lasts = [last for _, last in told.batches]
    assert [first for first, _ in told.batches] == [0, *(last + 1 for last in lasts[:-1])]
    assert lasts[-1] == len(x) - 1
    assert len(lasts) < len(x) / 4
    told = fit(model("auto"), ((X[:5], Y[:5]) for _ in range(3)))
    assert told.batches == [(0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, None, "often"])
def test_other_numbers_are_refused(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match="positive integer, or 'auto'"):
        model(wrong)
