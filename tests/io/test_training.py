"""Training that goes on from a file as if it had not stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numbanet import Input, Model, Sequential, io, losses, metrics, ops, optimizers
from numbanet.errors import ArgumentError, FormatError
from numbanet.io.tensors import read
from numbanet.ir import Value
from numbanet.layers import Dense, Dropout
from numbanet.lint import LintWarning
from numbanet.optimizers import schedules
from tests.reference_device import ReferenceDevice

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4)).astype(np.float32)
Y = RNG.normal(size=(12, 2)).astype(np.float32)


def cubed(y_true: Value, y_pred: Value) -> Value:
    return ops.mean(ops.absolute(y_true - y_pred) ** 3.0, axes=-1)


class Slow(optimizers.SGD):
    def __init__(self, part: float) -> None:
        super().__init__(0.1 * part, momentum=0.5)


def mlp() -> Sequential:
    return Sequential([Input((4,)), Dense(3, activation="tanh"), Dropout(0.4), Dense(2)])


COMPILED: dict[str, dict[str, Any]] = {
    "names": {"optimizer": "adam", "loss": "mse", "metrics": ["mae"]},
    "objects": {
        "optimizer": optimizers.Adam(0.01, amsgrad=True, clipnorm=1.0),
        "loss": losses.Huber(delta=0.5),
        "metrics": [metrics.RootMeanSquaredError()],
    },
    "a schedule": {
        "optimizer": optimizers.RMSprop(schedules.ExponentialDecay(0.1, 3, 0.5)),
        "loss": "mse",
    },
    "an average": {
        "optimizer": optimizers.Lion(use_ema=True, gradient_accumulation_steps=2),
        "loss": "mse",
    },
    "custom": {"optimizer": Slow(0.3), "loss": cubed},
}
CUSTOM = {"cubed": cubed, "Slow": Slow}


def fit(model: Model, epochs: int = 1) -> None:
    model.fit(X, Y, batch_size=5, epochs=epochs, shuffle=False, seed=3, verbose=0)


@pytest.fixture(autouse=True)
def reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loaded models run on the reference device, where nothing is compiled."""
    device = ReferenceDevice()
    monkeypatch.setattr("numbanet.models.training.get_device", lambda _: device)


@pytest.mark.parametrize("kind", COMPILED)
def test_training_goes_on_as_if_it_had_not_stopped(kind: str, tmp_path: Path) -> None:
    straight = mlp()
    straight.compile(**COMPILED[kind])
    path = tmp_path / "m"
    fit(straight)
    straight.save(path)
    fit(straight)
    again = io.load(path, CUSTOM)
    assert type(again.optimizer) is type(straight.optimizer)
    fit(again)
    for a, b in zip(straight.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert again.optimizer.learning_rate == straight.optimizer.learning_rate
    scores = [m.evaluate(X, Y, return_dict=True) for m in (straight, again)]
    assert scores[0] == scores[1]


def test_losses_and_metrics_of_several_outputs_come_back(tmp_path: Path) -> None:
    x = Input((4,))
    model = Model(x, {"a": Dense(2)(x), "b": Dense(2)(x)})
    model.compile(
        "sgd",
        {"a": "mse", "b": losses.MeanAbsoluteError()},
        metrics={"a": ["mae"]},
        loss_weights={"a": 2.0, "b": 0.5},
    )
    model.save(tmp_path / "m")
    again = io.load(tmp_path / "m")
    targets = {"a": Y, "b": Y + 1}
    expected = model.evaluate(X, targets, return_dict=True)
    assert again.evaluate(X, targets, return_dict=True) == expected


def test_a_learning_rate_that_was_set_is_kept(tmp_path: Path) -> None:
    model = mlp()
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 0.125
    model.save(tmp_path / "m")
    assert io.load(tmp_path / "m").optimizer.learning_rate == 0.125


def test_lint_of_a_loaded_model_is_no_fault_of_the_file(tmp_path: Path) -> None:
    model = Sequential([Input((2,)), Dense(2), Dropout(0.5)])
    with pytest.warns(LintWarning, match="NB107"):
        model.compile("sgd", "mse", device="cpu")
    model.save(path := tmp_path / "model.safetensors")
    with pytest.raises(LintWarning, match="NB107"):  # tests make errors of warnings
        io.load(path)


def test_training_is_left_out_when_not_asked_for(tmp_path: Path) -> None:
    model = mlp()
    model.compile("adam", "mse")
    fit(model)
    model.save(tmp_path / "whole")
    model.save(tmp_path / "bare", include_optimizer=False)
    assert not any(name[0] == "@" for name in read(tmp_path / "bare").tensors)
    for again in (io.load(tmp_path / "whole", compile=False), io.load(tmp_path / "bare")):
        with pytest.raises(ArgumentError, match="not compiled"):
            again.evaluate(X, Y)


def test_a_state_that_is_another_optimizers_is_refused(tmp_path: Path) -> None:
    model = mlp()
    model.compile("adam", "mse")
    fit(model)
    path = tmp_path / "m"
    model.save(path)
    contents = read(path)
    text = contents.metadata["numbanet"].replace("optimizers.Adam", "optimizers.Adamax")
    io.save_tensors(contents.tensors, path, {"numbanet": text})
    with pytest.raises(FormatError):
        io.load(path)
    assert io.load(path, compile=False).count_params() == model.count_params()


def test_functions_must_be_given(tmp_path: Path) -> None:
    model = mlp()
    model.compile("sgd", cubed)
    model.save(tmp_path / "m")
    with pytest.raises(FormatError, match="unknown class 'cubed'"):
        io.load(tmp_path / "m")
    model.compile("sgd", lambda a, b: a - b)
    with pytest.raises(ArgumentError, match="lambda"):
        model.save(tmp_path / "m")
