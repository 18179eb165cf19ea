"""The ``training`` argument: models that take it, and calls as at inference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet import layers
from numbanet.ir import topological
from tests.reference_device import ReferenceDevice

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3)).astype(np.float32)
Y = RNG.normal(size=(6, 1)).astype(np.float32)


def fit(model: nb.Model) -> None:
    model.compile(nb.optimizers.SGD(0.1), "mse", device=ReferenceDevice())
    model.fit(X, Y, epochs=3, verbose=0)


def test_a_part_as_at_inference_keeps_its_statistics_and_drops_nothing() -> None:
    h = nb.Input((3,))
    norm = layers.BatchNormalization()
    base = nb.Model(h, layers.Dropout(0.5)(norm(layers.Dense(4)(h))), name="base")
    x = nb.Input((3,))
    model = nb.Model(x, layers.Dense(1)(base(x, training=False)))
    ops = {node.op.name for node in topological(model.outputs)}
    assert not ops & {"batch_norm", "dropout"}
    fit(model)
    np.testing.assert_array_equal(norm.get_weights()[2], np.zeros(4))
    other = nb.Model(x, layers.Dense(1)(base(x)))
    fit(other)
    assert norm.get_weights()[2].any()


def test_a_part_as_at_inference_comes_back_from_a_file(tmp_path: Path) -> None:
    x = nb.Input((3,))
    norm, drop = layers.BatchNormalization(), layers.Dropout(0.5)
    model = nb.Model(x, layers.Dense(1)(drop(norm(x, training=False), training=False)))
    model.save(path := tmp_path / "model.safetensors")
    again = nb.load(path)
    assert not {node.op.name for node in topological(again.outputs)} & {"batch_norm", "dropout"}
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_what_comes_before_is_as_in_training() -> None:
    x = nb.Input((3,))
    y = layers.Dropout(0.5, name="later")(layers.Dropout(0.5, name="before")(x), training=False)
    paths = [node.path for node in topological([y]) if node.op.name == "dropout"]
    assert paths == ["before"]


class Told(nb.Model):
    """Written as for Keras; notes what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.head = layers.Dropout(0.5), layers.Dense(1)
        self.seen: list[Any] = []

    def call(self, x: Any, training: Any = None) -> Any:
        self.seen.append(training)
        x = self.drop(x, training=training)
        return self.head(x if training else 2.0 * x)


def test_a_model_is_told_whether_it_is_trained() -> None:
    model = Told()
    fit(model)
    assert set(model.seen) == {True}
    found = model.predict(X)
    assert model.seen[-1] is False
    kernel, bias = model.head.get_weights()
    np.testing.assert_allclose(found, 2 * X @ kernel + bias, rtol=1e-5)
    mean = ((found - Y) ** 2).mean()
    assert model.evaluate(X, Y) == pytest.approx(mean, rel=1e-5)


def test_training_within_inference_is_refused() -> None:
    x = nb.Input((3,))
    model = nb.Model(x, layers.Dropout(0.5)(x, training=True))
    with pytest.raises(NotImplementedError, match="training=True"):
        model.predict(X)


def test_a_parameter_without_default() -> None:
    class Net(nb.Model):
        def call(self, inputs: Any, training: Any) -> Any:
            a, b = inputs
            return a + b if training else a - b

    model = Net()
    np.testing.assert_array_equal(model.predict([X, X]), np.zeros_like(X))
