"""Callbacks that watch a number, beside Keras's: the same decisions on the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numbanet import callbacks
from tests.keras_peer import import_keras

keras = import_keras()


class Trained:
    """What these callbacks see of a model: its weights are the number of the epoch."""

    def __init__(self) -> None:
        self.stop_training, self.learning_rate, self.weights = False, 1.0, [0]
        self.optimizer = self

    def get_weights(self) -> list[int]:
        return self.weights

    def set_weights(self, weights: list[int]) -> None:
        self.weights = weights


def watch(callback: Any, numbers: np.ndarray) -> tuple[Trained, list[float]]:
    """The model in the end, and the learning rate of each epoch."""
    model, rates = Trained(), []
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, number in enumerate(numbers):
        model.weights = [epoch]
        callback.on_epoch_end(epoch, {"number": number})
        rates.append(float(model.learning_rate))
        if model.stop_training:
            break
    callback.on_train_end()
    return model, rates


def numbers(rng: np.random.Generator) -> np.ndarray:
    # Halves and quarters: Keras compares in float32.
    found = np.round(4 * rng.normal(size=12)) / 4
    found[rng.random(12) < 0.1] = np.nan
    return found


@pytest.mark.parametrize("seed", range(40))
def test_early_stopping(seed: int) -> None:
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {
        "monitor": "number",
        "patience": int(rng.integers(4)),
        "min_delta": float(rng.choice([0, 0.5])),
        "mode": str(rng.choice(["min", "max"])),
        "baseline": float(rng.integers(-2, 2)) if rng.random() < 0.5 else None,
        "restore_best_weights": bool(rng.integers(2)),
        "start_from_epoch": int(rng.integers(3)),
    }
    watched = numbers(rng)
    ours, theirs = (each.EarlyStopping(**options) for each in (callbacks, keras.callbacks))
    found, expected = watch(ours, watched), watch(theirs, watched)
    assert found[0].weights == expected[0].weights
    assert len(found[1]) == len(expected[1])
    assert (ours.stopped_epoch, ours.best_epoch) == (theirs.stopped_epoch, theirs.best_epoch)


@pytest.mark.parametrize("seed", range(20))
def test_reduce_on_plateau(seed: int) -> None:
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {
        "monitor": "number",
        "factor": 0.5,
        "patience": int(rng.integers(1, 4)),
        "min_delta": float(rng.choice([0, 0.5])),
        "mode": str(rng.choice(["min", "max"])),
        "cooldown": int(rng.integers(3)),
        "min_lr": 0.1,
    }
    watched = numbers(rng)
    ours, theirs = (each.ReduceLROnPlateau(**options) for each in (callbacks, keras.callbacks))
    np.testing.assert_allclose(watch(ours, watched)[1], watch(theirs, watched)[1], rtol=1e-6)
