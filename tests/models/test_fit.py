"""What `fit` and its siblings take: weights, batches, steps, and what ends them early."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from numbanet import Callback, Input, Model, Sequential, constraints, metrics, ops, regularizers
from numbanet.data import DataLoader, TensorDataset
from numbanet.errors import ArgumentError, DataError
from numbanet.initializers import Ones
from numbanet.layers import Dense, Module
from numbanet.ops import variable_value
from numbanet.optimizers import SGD
from tests.reference_device import ReferenceDevice

RNG = np.random.default_rng(0)
X = RNG.normal(size=(11, 4)).astype(np.float32)
LABELS = RNG.integers(3, size=11)
TARGET = RNG.normal(size=(11, 2)).astype(np.float32)
WEIGHT = RNG.uniform(0.2, 2, 11).astype(np.float32)
DEVICE = ReferenceDevice()


def linear(rate: float = 0.1, **options: Any) -> Sequential:
    model = Sequential([Input((4,)), Dense(2)])
    kernel = np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2)
    model.set_weights([kernel, np.zeros(2, np.float32)])
    model.compile(SGD(rate), **({"loss": "mse", "device": DEVICE} | options))
    return model


def classifier(**options: Any) -> Sequential:
    model = Sequential([Input((4,)), Dense(3, activation="softmax")])
    loss = "sparse_categorical_crossentropy"
    model.compile(SGD(0.0), **({"loss": loss, "device": DEVICE} | options))
    return model


def squares(model: Model) -> np.ndarray:
    return ((model.predict(X) - TARGET) ** 2).mean(-1)


def batches(size: int = 4, times: int = 1, weighted: bool = False) -> Iterator[tuple]:
    for _ in range(times):
        for i in range(0, 11, size):
            part = slice(i, i + size)
            yield (X[part], TARGET[part], WEIGHT[part])[: 3 if weighted else 2]


def same(a: Model, b: Model) -> None:
    for one, two in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


# Weights.


def test_sample_weights_are_factors_of_the_loss() -> None:
    model = linear(0.0, metrics=["mae"], weighted_metrics=["mae", "mse"])
    found = model.evaluate(X, TARGET, sample_weight=WEIGHT, batch_size=4, return_dict=True)
    assert isinstance(found, dict)
    assert list(found) == ["loss", "mae", "weighted_mae", "mse"]
    distance = np.abs(model.predict(X) - TARGET).mean(-1)
    assert found["loss"] == pytest.approx((squares(model) * WEIGHT).mean(), rel=1e-5)
    assert found["mae"] == pytest.approx(distance.mean(), rel=1e-5)
    assert found["weighted_mae"] == pytest.approx(
        np.average(distance, weights=WEIGHT), rel=1e-5
    )
    mse = np.average(squares(model), weights=WEIGHT)
    assert found["mse"] == pytest.approx(mse, rel=1e-5)
    without = model.evaluate(X, TARGET, return_dict=True)
    assert isinstance(without, dict)
    assert without["weighted_mae"] == pytest.approx(distance.mean(), rel=1e-5)


def test_class_weights_are_weights_of_samples() -> None:
    weights = {0: 2.0, 2: 0.5}
    one, two = classifier(), classifier()
    two.set_weights(one.get_weights())
    a = one.fit(X, LABELS, class_weight=weights, shuffle=False, verbose=0)
    by_sample = np.array([weights.get(label, 1.0) for label in LABELS])
    b = two.fit(X, LABELS, sample_weight=by_sample, shuffle=False, verbose=0)
    assert a.history == b.history


def test_one_weight_serves_all_outputs_and_a_dict_some() -> None:
    x = Input((4,))
    model = Model(x, {"a": Dense(2)(x), "b": Dense(1)(x)})
    model.compile(SGD(0.0), "mse", loss_weights={"a": 1.0, "b": 3.0}, device=DEVICE)
    y = {"a": TARGET, "b": TARGET[:, :1]}
    out = model.predict(X)
    errors = {name: ((out[name] - y[name]) ** 2).mean(-1) for name in y}
    for given in (WEIGHT, {"b": WEIGHT}, [None, WEIGHT]):
        found = model.evaluate(X, y, sample_weight=given, return_dict=True)
        assert isinstance(found, dict)
        factor = WEIGHT if given is WEIGHT else 1
        assert found["a_loss"] == pytest.approx((errors["a"] * factor).mean(), rel=1e-5)
        assert found["b_loss"] == pytest.approx((errors["b"] * WEIGHT).mean(), rel=1e-5)
        total = found["a_loss"] + 3 * found["b_loss"]
        assert found["loss"] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sample_weight": WEIGHT[:5]}, DataError, "different length"),
        ({"sample_weight": np.ones((11, 3))}, DataError, "leading axes of the targets"),
        ({"sample_weight": {"nope": WEIGHT}}, DataError, "names do not match"),
        ({"class_weight": {0: 1.0}}, DataError, "labels or one-hot"),
        ({"class_weight": {0: 1.0}, "sample_weight": WEIGHT}, ArgumentError, "not both"),
        ({"initial_epoch": -1}, ArgumentError, "initial_epoch"),
        ({"steps_per_epoch": 0}, ArgumentError, "steps_per_epoch"),
        ({"validation_freq": 0}, ArgumentError, "validation_freq"),
        ({"callbacks": [Callback]}, ArgumentError, "forget to call"),
    ],
)
def test_wrong_arguments_change_nothing(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    model = linear()
    target = np.zeros((11, 2, 2), np.float32) if "labels" in message else TARGET
    if "labels" in message:
        model = Sequential([Input((4,)), Dense(4), _Square()])
        model.compile(SGD(0.1), "mse", device=DEVICE)
    before = model.get_weights()
    with pytest.raises(error, match=message):
        model.fit(X, target, verbose=0, **arguments)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class _Square(Module):
    def forward(self, x: Any) -> Any:
        return ops.reshape(x, (-1, 2, 2))


# Losses and metrics of the user's own, and of several numbers.


def test_functions_are_losses_and_metrics() -> None:
    def cubes(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(abs(y_true - y_pred) ** 3.0, axes=-1)

    model = linear(0.0, loss=cubes, metrics=[cubes, metrics.get("mse")])
    found = model.evaluate(X, TARGET, return_dict=True)
    assert isinstance(found, dict)
    expected = (np.abs(model.predict(X) - TARGET) ** 3).mean()
    assert found["loss"] == pytest.approx(expected, rel=1e-4)
    assert found["cubes"] == pytest.approx(expected, rel=1e-4)


def test_metrics_of_many_totals_add_up_on_the_device() -> None:
    given = [metrics.AUC(num_thresholds=20), metrics.ConfusionMatrix(3), metrics.F1Score()]
    model = classifier(loss="categorical_crossentropy", metrics=given)
    given[1].sparse_y_true = False
    one_hot = np.eye(3, dtype=np.float32)[LABELS]
    history = model.fit(X, one_hot, 4, epochs=2, verbose=0).history
    out = model.predict(X)
    assert history["auc"][1] == pytest.approx(metrics.AUC(num_thresholds=20)(one_hot, out))
    expected = np.zeros((3, 3))
    np.add.at(expected, (LABELS, out.argmax(-1)), 1)
    np.testing.assert_array_equal(history["confusion_matrix"][1], expected)
    np.testing.assert_allclose(history["f1_score"][0], metrics.F1Score()(one_hot, out))


def test_a_loss_without_reduction_cannot_be_trained_on() -> None:
    from numbanet.losses import Huber

    with pytest.raises(ArgumentError, match="one number in training"):
        linear(loss=Huber(reduction=None)).fit(X, TARGET, verbose=0)


# Regularizers and constraints.


class Scaled(Module):
    """``x * w``, with what is tested on ``w``."""

    def __init__(self, regularizer: Any = None, constraint: Any = None) -> None:
        super().__init__()
        self.rules = {"regularizer": regularizer, "constraint": constraint}

    def build(self, x: Any) -> None:
        self.w = self.parameter("w", (4,), Ones(), **self.rules)

    def forward(self, x: Any) -> Any:
        return x * variable_value(self.w)


def scaled(layer: Scaled, rate: float) -> Sequential:
    model = Sequential([Input((4,)), layer])
    model.compile(SGD(rate), "mse", device=DEVICE)
    return model


def test_regularizers_are_part_of_the_loss_and_of_its_gradient() -> None:
    layer = Scaled(regularizers.L1L2(0.5, 0.25))
    model = scaled(layer, 1.0)
    y = X * 1.0  # no error: the gradient is the regularizer's
    assert model.evaluate(X, y) == pytest.approx(0.5 * 4 + 0.25 * 4)
    history = model.fit(X, y, batch_size=11, verbose=0)
    assert history.history["loss"] == [pytest.approx(3.0)]
    np.testing.assert_allclose(layer.w.numpy(), 1 - (0.5 + 0.5), atol=1e-6)


def test_frozen_parameters_are_not_regularized() -> None:
    layer = Scaled(regularizers.get("l2"))
    model = Sequential([Input((4,)), layer, Dense(1)])
    layer.trainable = False
    model.compile(SGD(0.1), "mse", device=DEVICE)
    expected = (model.predict(X) ** 2).mean()
    assert model.evaluate(X, np.zeros(11)) == pytest.approx(expected, rel=1e-5)


def test_constraints_hold_after_each_step() -> None:
    layer = Scaled(constraint=constraints.NonNeg())
    model = scaled(layer, 10.0)
    model.fit(X, -X, batch_size=11, verbose=0)
    np.testing.assert_array_equal(layer.w.numpy(), np.zeros(4))


# Batches.


@pytest.mark.parametrize("kind", ["generator", "loader", "steps"])
def test_batches_train_as_the_arrays_do(kind: str) -> None:
    one, two = linear(), linear()
    a = one.fit(X, TARGET, batch_size=4, epochs=2, shuffle=False, verbose=0)
    steps = None
    if kind == "generator":
        given: Any = batches(times=2)
        steps = 3
    elif kind == "loader":
        given = DataLoader(TensorDataset(X, TARGET), batch_size=4)
    else:
        given, steps = DataLoader(TensorDataset(X, TARGET), batch_size=4), 3
    b = two.fit(given, epochs=2, steps_per_epoch=steps, verbose=0)
    same(one, two)
    np.testing.assert_allclose(a.history["loss"], b.history["loss"], rtol=1e-6)
    assert two.evaluate(batches()) == pytest.approx(two.evaluate(X, TARGET), rel=1e-6)
    np.testing.assert_allclose(two.predict(batches()), two.predict(X), rtol=1e-6)
    np.testing.assert_array_equal(two.predict(batches(), steps=1), two.predict(X)[:4])


def test_weights_come_with_batches() -> None:
    model = linear(0.0)
    found = model.evaluate(batches(weighted=True))
    assert found == pytest.approx((squares(model) * WEIGHT).mean(), rel=1e-5)


def test_a_model_learns_its_inputs_from_the_first_batch() -> None:
    model = Sequential([Dense(2)])
    model.compile(SGD(0.1), "mse", device=DEVICE)
    history = model.fit(batches(), verbose=0)
    assert len(history.history["loss"]) == 1
    assert model.optimizer.iterations.numpy() == 3


def test_batches_that_run_out() -> None:
    model = linear()
    with pytest.raises(DataError, match="ran out, got 0 of epoch 2"):
        model.fit(batches(), epochs=2, verbose=0)
    assert model.history.epoch == [0]
    with pytest.raises(DataError, match="ran out, got 1 of epoch 2, expected 2"):
        model.fit(batches(), epochs=2, steps_per_epoch=2, verbose=0)
    with pytest.raises(ArgumentError, match="bring their own"):
        model.fit(batches(), TARGET, verbose=0)
    with pytest.raises(ArgumentError, match="batches cannot"):
        model.fit(batches(), validation_split=0.5, verbose=0)


def test_a_bad_batch_is_refused_before_its_step() -> None:
    model = linear()
    with pytest.raises(DataError, match="wrong shape"):
        model.fit(iter([(X[:4], TARGET[:4]), (X[:4, :3], TARGET[:4])]), verbose=0)
    assert model.optimizer.iterations.numpy() == 1


def test_steps_go_on_where_the_last_epoch_ended() -> None:
    one, two = linear(), linear()
    one.fit(X, TARGET, batch_size=4, epochs=2, seed=1, verbose=0)
    with pytest.warns(UserWarning, match="has 1 of 2 steps"):
        history = two.fit(
            X, TARGET, batch_size=4, epochs=4, steps_per_epoch=2, seed=1, verbose=0
        )
    same(one, two)
    assert history.params["steps"] == 2


def test_on_batch_siblings() -> None:
    one, two = linear(metrics=["mae"]), linear(metrics=["mae"])
    history = one.fit(X, TARGET, batch_size=11, shuffle=False, verbose=0).history
    found = two.train_on_batch(X, TARGET, return_dict=True)
    same(one, two)
    assert found == {name: numbers[0] for name, numbers in history.items()}
    assert two.test_on_batch(X, TARGET) == two.evaluate(X, TARGET)
    np.testing.assert_array_equal(two.predict_on_batch(X), two.predict(X))


# Epochs.


def test_fit_goes_on_from_an_epoch() -> None:
    one, two = linear(), linear()
    one.fit(X, TARGET, batch_size=4, epochs=3, seed=5, verbose=0)
    two.fit(X, TARGET, batch_size=4, epochs=1, seed=5, verbose=0)
    history = two.fit(X, TARGET, batch_size=4, epochs=3, initial_epoch=1, seed=5, verbose=0)
    same(one, two)
    assert history.epoch == [1, 2]


def test_validation_now_and_then() -> None:
    model = linear(0.0)
    data = (X[:5], TARGET[:5], WEIGHT[:5])
    expected = pytest.approx((squares(model)[:5] * WEIGHT[:5]).mean(), rel=1e-5)
    for frequency, times in ((2, 2), ([1, 3, 4], 3)):
        history = model.fit(
            X, TARGET, epochs=4, verbose=0, validation_data=data, validation_freq=frequency
        )
        assert history.history["val_loss"] == [expected] * times
    history = model.fit(
        X, TARGET, verbose=0, validation_data=data, validation_batch_size=2, validation_steps=1
    )
    first = (squares(model)[:2] * WEIGHT[:2]).mean()
    assert history.history["val_loss"] == [pytest.approx(first, rel=1e-5)]


# What ends training early.


class At(Callback):
    """Does something at the end of a step or of an epoch."""

    def __init__(self, what: Any, step: int) -> None:
        self.what, self.step, self.count = what, step, 0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.count += 1
        if self.count == self.step:
            self.what(self)


def interrupt(_: Callback) -> None:
    signal.raise_signal(signal.SIGINT)


def stop(callback: Callback) -> None:
    callback.model.stop_training = True


def fail(_: Callback) -> None:
    raise RuntimeError("mine")


@pytest.mark.parametrize(
    ("what", "error"), [(interrupt, KeyboardInterrupt), (fail, RuntimeError), (stop, None)]
)
def test_training_that_ends_after_a_step_can_go_on(
    what: Any, error: type[BaseException] | None
) -> None:
    model = linear()
    arguments = {"batch_size": 4, "epochs": 4, "verbose": 0, "seed": 3}
    handler = signal.getsignal(signal.SIGINT)
    if error is None:
        model.fit(X, TARGET, callbacks=At(what, 4), **arguments)
        assert model.history.epoch == [0, 1]
    else:
        with pytest.raises(error):
            model.fit(X, TARGET, callbacks=At(what, 4), **arguments)
        assert model.history.epoch == [0]
        assert len(model.history.history["loss"]) == 1
    assert signal.getsignal(signal.SIGINT) is handler
    assert model.optimizer.iterations.numpy() == 4
    expected = linear()
    expected.fit(X, TARGET, steps_per_epoch=1, **arguments)
    same(model, expected)
    model.fit(X, TARGET, verbose=0)
    assert model.optimizer.iterations.numpy() == 5


def test_ctrl_c_without_a_hook_for_steps_ends_the_epoch() -> None:
    class AtEpoch(Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            if epoch == 1:
                signal.raise_signal(signal.SIGINT)

    model = linear()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, TARGET, epochs=5, verbose=0, callbacks=[AtEpoch()])
    assert model.history.epoch == [0, 1]


def test_targets_of_another_structure() -> None:
    x = Input((4,))
    model = Model(x, {"a": Dense(2)(x), "b": Dense(1)(x)})
    model.compile("sgd", "mse", device=DEVICE)
    for wrong in (TARGET, [TARGET], {"a": TARGET}, {"a": TARGET, "c": TARGET}):
        with pytest.raises(DataError):
            model.fit(X, wrong, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"run_eagerly": True}, NotImplementedError),
        ({"jit_compile": False}, NotImplementedError),
        ({"steps_per_execution": 0}, ArgumentError),
        ({"weighted_metrics": ["acuracy"]}, ArgumentError),
    ],
)
def test_wrong_compile(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        linear(**arguments)


# On kernels.


def many_metrics(device: Any) -> dict[str, list[Any]]:
    layer = Scaled(regularizers.L1L2(0.01, 0.02), constraints.MaxNorm(1.5))
    head = Dense(3, activation="softmax", kernel_initializer=Ones())
    model = Sequential([Input((4,)), layer, head])
    model.compile(
        SGD(0.1),
        "categorical_crossentropy",
        metrics=[
            metrics.AUC(num_thresholds=10),
            metrics.ConfusionMatrix(3, sparse_y_true=False),
            metrics.Precision(thresholds=[0.3, 0.4]),
        ],
        weighted_metrics=["accuracy"],
        device=device,
    )
    one_hot = np.eye(3, dtype=np.float32)[LABELS]
    history = model.fit(X, one_hot, 4, epochs=2, verbose=0, sample_weight=WEIGHT, shuffle=False)
    return history.history


def test_kernels_train_and_measure_as_the_references_do() -> None:
    found, expected = many_metrics("cpu"), many_metrics(ReferenceDevice())
    assert list(found) == list(expected)
    for name, numbers in expected.items():
        np.testing.assert_allclose(found[name], numbers, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.gpu
def test_a_gpu_trains_and_measures_as_the_references_do() -> None:
    found, expected = many_metrics("cuda"), many_metrics(ReferenceDevice())
    for name, numbers in expected.items():
        np.testing.assert_allclose(found[name], numbers, rtol=1e-4, atol=1e-6, err_msg=name)
