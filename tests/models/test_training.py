"""Training: fit, evaluate and predict against the same thing written out in NumPy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from numbanet import Callback, Input, LearningRateScheduler, Model, Sequential, set_seed
from numbanet.errors import ArgumentError, DataError, GraphError
from numbanet.ir import Value
from numbanet.layers import (
    Add,
    BatchNormalization,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
)
from numbanet.optimizers import SGD, Adam
from tests.reference_device import ReferenceDevice

RNG = np.random.default_rng(0)
X = RNG.normal(size=(11, 4)).astype(np.float32)
Y = RNG.integers(3, size=11)
TARGET = RNG.normal(size=(11, 2)).astype(np.float32)


def linear(learning_rate: float = 0.1, momentum: float = 0.0) -> Sequential:
    model = Sequential([Input((4,)), Dense(2)])
    model.compile(
        SGD(learning_rate, momentum), "mse", metrics=["mae"], device=ReferenceDevice()
    )
    return model


def classifier() -> Sequential:
    model = Sequential(
        [Input((4,)), Dense(5, activation="relu"), Dense(3, activation="softmax")]
    )
    model.compile(
        SGD(0.1),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        device=ReferenceDevice(),
    )
    return model


def descend(
    w: np.ndarray, b: np.ndarray, order: np.ndarray, batch: int, rate: float, momentum: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Momentum descent on the mean squared error of a linear model, in float64."""
    w, b = w.astype(np.float64), b.astype(np.float64)
    vw, vb = np.zeros_like(w), np.zeros_like(b)
    total = 0.0
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        error = X[rows] @ w + b - TARGET[rows]
        total += (error**2).mean() * len(rows)
        g = 2 * error / error.size
        vw, vb = momentum * vw + X[rows].T @ g, momentum * vb + g.sum(0)
        w, b = w - rate * vw, b - rate * vb
    return w, b, total / len(order)


@pytest.mark.parametrize("batch_size", [1, 4, 11, 32])
def test_an_epoch_in_order_is_descent_written_out(batch_size: int) -> None:
    model = linear(0.1, 0.9)
    w, b = model.get_weights()
    history = model.fit(X, TARGET, batch_size=batch_size, shuffle=False, verbose=0)
    w, b, loss = descend(w, b, np.arange(11), batch_size, 0.1, 0.9)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(model.get_weights()[1], b, rtol=2e-5, atol=1e-6)
    assert history.history["loss"] == [pytest.approx(loss, rel=1e-5)]
    assert model.optimizer.iterations.numpy() == -(-11 // batch_size)


def test_two_fits_with_one_seed_give_the_same_bits() -> None:
    def run() -> tuple[list[np.ndarray], dict[str, list[float]]]:
        set_seed(5)
        model = Sequential([Input((4,)), Dense(6), Dropout(0.5), Dense(2)])
        model.compile(Adam(0.01), "mse", device=ReferenceDevice())
        history = model.fit(X, TARGET, batch_size=3, epochs=3, verbose=0)
        return model.get_weights(), history.history

    (first, one), (second, two) = run(), run()
    assert one == two
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_shuffling_sees_every_sample_once() -> None:
    model = linear(0.0)
    history = model.fit(X, TARGET, batch_size=4, verbose=0, seed=3)
    w, b = model.get_weights()
    assert history.history["loss"][0] == pytest.approx(
        ((X @ w + b - TARGET) ** 2).mean(), rel=1e-5
    )


def test_history_has_loss_metrics_and_validation() -> None:
    model = classifier()
    history = model.fit(X, Y, 4, epochs=2, verbose=0, validation_data=(X[:3], Y[:3]))
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert history.epoch == [0, 1]
    assert history.params["steps"] == 3
    loss, accuracy = model.evaluate(X[:3], Y[:3])
    assert history.history["val_loss"][-1] == loss
    assert history.history["val_accuracy"][-1] == accuracy


def test_validation_split_holds_the_end_out() -> None:
    model = linear(0.1)
    w, b = model.get_weights()
    history = model.fit(X, TARGET, 4, shuffle=False, verbose=0, validation_split=0.3)
    w, b, loss = descend(w, b, np.arange(8), 4, 0.1, 0.0)
    assert history.history["loss"] == [pytest.approx(loss, rel=1e-5)]
    held_out = ((X[8:] @ w + b - TARGET[8:]) ** 2).mean()
    assert history.history["val_loss"] == [pytest.approx(held_out, rel=1e-5)]


@pytest.mark.parametrize("batch_size", [None, 1, 4])
def test_evaluate_and_predict_do_not_depend_on_the_batch_size(batch_size: int | None) -> None:
    model = classifier()
    probabilities = model.predict(X, batch_size=batch_size)
    assert probabilities.shape == (11, 3)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
    found = model.evaluate(X, Y, batch_size=batch_size, return_dict=True)
    assert isinstance(found, dict)
    expected = -np.log(probabilities[np.arange(11), Y]).mean()
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert found["accuracy"] == pytest.approx((probabilities.argmax(-1) == Y).mean())


def test_evaluate_returns_the_loss_alone_without_metrics() -> None:
    model = Sequential([Input((4,)), Dense(2)])
    model.compile(loss="mse", device=ReferenceDevice())
    assert isinstance(model.evaluate(X, TARGET), float)


def test_dropout_trains_and_does_not_evaluate() -> None:
    model = Sequential([Input((4,)), Dropout(0.5)])
    x = Input((4,))
    whole = Model(x, Dense(1, kernel_initializer="ones")(model(x)))
    whole.compile(SGD(0.0), "mse", device=ReferenceDevice())
    np.testing.assert_allclose(whole.predict(X)[:, 0], X.sum(-1), rtol=1e-4, atol=1e-5)
    quiet = whole.evaluate(X, np.zeros(11))
    noisy = [whole.fit(X, np.zeros(11), verbose=0).history["loss"][0] for _ in range(2)]
    assert noisy[0] != noisy[1]
    assert quiet not in noisy


def test_running_statistics_move_and_are_used() -> None:
    model = Sequential([Input((4,)), BatchNormalization(momentum=0.75)])
    model.compile(SGD(0.0), "mse", device=ReferenceDevice())
    model.fit(X, X, batch_size=11, shuffle=False, verbose=0)
    mean, variance = model.get_weights()[2:]
    np.testing.assert_allclose(mean, 0.25 * X.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(variance, 0.75 + 0.25 * X.var(0), rtol=1e-4)
    expected = (X - mean) / np.sqrt(variance + 1e-3)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-4, atol=1e-5)


def test_shared_batch_normalization_chains_its_updates() -> None:
    shared = BatchNormalization(momentum=0.5)
    a, b = Input((4,)), Input((4,))
    model = Model([a, b], Add()([shared(a), shared(b)]))
    model.compile(SGD(0.0), "mse", device=ReferenceDevice())
    model.fit([X, X + 1], X, batch_size=11, shuffle=False, verbose=0)
    mean = shared.moving_mean.numpy()
    first, second = X.mean(0), X.mean(0) + 1
    np.testing.assert_allclose(mean, 0.25 * first + 0.5 * second, rtol=1e-4, atol=1e-6)


def test_frozen_layers_stay_and_others_move() -> None:
    model = classifier()
    model[0].trainable = False
    before = model.get_weights()
    model.fit(X, Y, epochs=2, verbose=0)
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])
    assert (before[2] != after[2]).any()
    model[0].trainable = True
    model.fit(X, Y, verbose=0)
    assert (model.get_weights()[0] != after[0]).any()


def test_frozen_batch_normalization_uses_its_running_statistics() -> None:
    model = Sequential([Input((4,)), BatchNormalization(), Dense(1)])
    model[0].trainable = False
    model.compile(SGD(0.1), "mse", device=ReferenceDevice())
    before = model.get_weights()
    model.fit(X, TARGET[:, 0], verbose=0)
    for old, new in zip(before[:4], model.get_weights()[:4], strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_model_without_trainable_parameters_evaluates_and_does_not_train() -> None:
    model = linear()
    model.trainable = False
    assert np.isfinite(model.evaluate(X, TARGET)).all()
    with pytest.raises(GraphError, match="no trainable parameters"):
        model.fit(X, TARGET, verbose=0)


def test_two_models_that_share_layers_train_in_turn() -> None:
    device = ReferenceDevice()
    x = Input((4,))
    h = Dense(3, name="shared")(x)
    one, two = Model(x, Dense(2)(h)), Model(x, Dense(2)(h))
    encoder = Model(x, h)
    for model in (one, two):
        model.compile(SGD(0.1, 0.9), "mse", device=device)
    kernel = encoder["shared"].variables()["kernel"]
    for model in (one, two, one):
        before = kernel.numpy()
        model.fit(X, TARGET, verbose=0)
        after = kernel.numpy()
        assert (before != after).any()
        bias = encoder["shared"].variables()["bias"].numpy()
        np.testing.assert_allclose(encoder.predict(X), X @ after + bias, rtol=1e-4, atol=1e-5)
        assert np.isfinite(one.evaluate(X, TARGET))
        np.testing.assert_array_equal(kernel.numpy(), after)


def test_several_outputs_have_losses_weights_and_metrics() -> None:
    x = Input((4,))
    model = Model(x, [Dense(2, name="a")(x), Dense(3, activation="softmax", name="b")(x)])
    model.compile(
        SGD(0.0),
        loss={"a": "mse", "b": "sparse_categorical_crossentropy"},
        metrics={"b": ["accuracy"]},
        loss_weights={"a": 2.0, "b": 0.5},
        device=ReferenceDevice(),
    )
    found = model.evaluate(X, {"a": TARGET, "b": Y}, return_dict=True)
    assert isinstance(found, dict)
    assert list(found) == ["loss", "a_loss", "b_loss", "b_accuracy"]
    assert found["loss"] == pytest.approx(2 * found["a_loss"] + 0.5 * found["b_loss"], rel=1e-5)
    a, b = model.predict(X)
    assert found["a_loss"] == pytest.approx(((a - TARGET) ** 2).mean(), rel=1e-5)
    assert b.shape == (11, 3)
    assert model.fit(X, [TARGET, Y], verbose=0).history["b_accuracy"]


def test_outputs_without_a_loss_need_no_targets() -> None:
    x = Input((4,))
    heads = {"a": Dense(2), "b": Dense(3, trainable=False), "c": Dense(1, trainable=False)}
    model = Model(x, {name: head(x) for name, head in heads.items()})
    start = model.get_weights()
    column = TARGET[:, :1]
    for loss, y in (
        ({"a": "mse"}, {"a": TARGET, "c": column}),
        (["mse", None, None], [TARGET, None, column]),
        ({"a": "mse", "b": None, "c": None}, [TARGET, column]),
    ):
        model.set_weights(start)
        model.compile(SGD(0.1), loss, metrics={"c": ["mae"]}, device=ReferenceDevice())
        history = model.fit(X, y, verbose=0).history
        assert list(history) == ["loss", "c_mae"]
        found = model.predict(X)
        plain = np.abs(found["c"] - column).mean()
        assert model.evaluate(X, y)[1] == pytest.approx(plain, rel=1e-5)
        np.testing.assert_array_equal(model.get_weights()[2], start[2])
        assert (model.get_weights()[0] != start[0]).all()
    with pytest.raises(DataError, match="number of arrays"):
        model.fit(X, [TARGET], verbose=0)


def test_a_model_without_a_loss_is_regularized_and_measured() -> None:
    model = Sequential([Input((4,)), Dense(2, use_bias=False, kernel_regularizer="l2")])
    kernel = model.get_weights()[0]
    model.compile(SGD(0.5), metrics=["mse"], device=ReferenceDevice())
    found = model.fit(X, TARGET, verbose=0).history
    assert found["loss"][0] == pytest.approx(0.01 * (kernel**2).sum(), rel=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], 0.99 * kernel, rtol=1e-5)


def test_several_inputs() -> None:
    a, b = Input((4,), name="a"), Input((4,), name="b")
    model = Model([a, b], Dense(1)(Concatenate()([a, b])))
    model.compile("adam", "mse", device=ReferenceDevice())
    history = model.fit({"b": X, "a": X}, TARGET[:, :1], batch_size=4, epochs=2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]
    assert model.predict([X, X]).shape == (11, 1)


def test_shapes_come_from_the_first_data() -> None:
    model = Sequential([Flatten(), Dense(1)])
    model.compile("sgd", "mse", device=ReferenceDevice())
    model.fit(np.ones((6, 2, 2), np.uint8), np.zeros(6), verbose=0)
    assert model.get_weights()[0].shape == (4, 1)


def test_ids_are_checked_before_they_index() -> None:
    ids = RNG.integers(5, size=(6, 3))
    model = Sequential([Embedding(5, 2), Flatten(), Dense(1)])
    model.compile(SGD(0.05), "mse", device=ReferenceDevice())
    before = model.fit(ids, np.ones(6), epochs=3, verbose=0).history["loss"]
    assert before[-1] < before[0]
    weights = model.get_weights()
    ids[0, 0] = 5
    with pytest.raises(DataError, match=r"ids out of range, got 5 .. 5, expected 0 .. 4"):
        model.fit(ids, np.ones(6), verbose=0)
    with pytest.raises(DataError, match="ids out of range"):
        model.predict(ids)
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_new_learning_rate_acts_without_compiling() -> None:
    model = linear(0.1)
    model.fit(X, TARGET, verbose=0)
    before = model.get_weights()
    model.optimizer.learning_rate = 0.0
    model.fit(X, TARGET, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_callbacks_see_epochs_and_schedule_the_learning_rate() -> None:
    class Recorder(Callback):
        def __init__(self) -> None:
            self.seen: list[tuple[int, list[str], float]] = []

        def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
            self.seen.append((epoch, list(logs), self.model.optimizer.learning_rate))

    model = linear(0.5)
    recorder = Recorder()
    halve = LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
    model.fit(X, TARGET, epochs=3, verbose=0, callbacks=[halve, recorder])
    names = ["loss", "mae", "learning_rate"]
    assert recorder.seen == [(0, names, 0.5), (1, names, 0.25), (2, names, 0.125)]


def test_weights_can_be_set_between_fits() -> None:
    model = linear(0.1)
    model.fit(X, TARGET, verbose=0)
    model.set_weights([np.zeros((4, 2)), np.ones(2)])
    np.testing.assert_array_equal(model.predict(X), np.ones((11, 2)))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, Y[:-1], "different length"),
        (X[:0], Y[:0], "empty data set"),
        (X[:, :3], Y, "wrong shape"),
        (X, Y + 1, "labels out of range"),
        (X, Y + 0.5, "labels are integers"),
        (X.astype(object), Y, "numeric dtype"),
        ({"image": X}, Y, "names do not match"),
        (X, {"labels": Y}, "names do not match"),
    ],
)
def test_bad_data_is_refused_and_changes_nothing(x: object, y: object, message: str) -> None:
    model = classifier()
    before = model.get_weights()
    with pytest.raises(DataError, match=message):
        model.fit(x, y, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.optimizer.iterations.numpy() == 0


def test_bad_arguments() -> None:
    model = classifier()
    with pytest.raises(ArgumentError, match="batch_size"):
        model.fit(X, Y, batch_size=0)
    with pytest.raises(ArgumentError, match="epochs"):
        model.fit(X, Y, epochs=0)
    with pytest.raises(ArgumentError, match="verbose"):
        model.fit(X, Y, verbose=7)
    with pytest.raises(ArgumentError, match="validation_split leaves"):
        model.fit(X, Y, validation_split=0.01, verbose=0)
    with pytest.raises(ArgumentError, match="not both"):
        model.fit(X, Y, validation_split=0.5, validation_data=(X, Y), verbose=0)
    with pytest.raises(ArgumentError, match="compile"):
        Sequential([Input((4,)), Dense(1)]).fit(X, Y)
    model.compile("sgd")
    with pytest.raises(ArgumentError, match="no output has a loss"):
        model.fit(X, Y, verbose=0)
    with pytest.raises(ArgumentError, match="no output 'z'"):
        model.compile("sgd", {"z": "mse"})


def test_predict_needs_no_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    device = ReferenceDevice()
    monkeypatch.setattr("numbanet.models.training.get_device", lambda name: device)
    model = Sequential([Input((4,)), Dense(2)])
    w, b = model.get_weights()
    np.testing.assert_allclose(model.predict(X), X @ w + b, rtol=1e-5, atol=1e-6)


def test_models_that_share_layers_may_run_on_different_devices() -> None:
    x = Input((4,))
    h = Dense(3)(x)
    one, two = Model(x, Dense(2)(h)), Model(x, Dense(2)(h))
    for model in (one, two):
        model.compile(SGD(0.1), "mse", device=ReferenceDevice())
    for model in (one, two, one, two):
        before = one["dense"].get_weights()[0]
        model.fit(X, TARGET, verbose=0)
        after = one["dense"].get_weights()[0]
        assert (before != after).any()


def test_subclass_trains() -> None:
    class Net(Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = Dense(5, activation="tanh")
            self.out = Dense(2)

        def forward(self, x: Value) -> Value:
            return self.out(self.hidden(x))

    model = Net()
    model.compile(SGD(0.2), "mse", device=ReferenceDevice())
    losses = model.fit(X, TARGET, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_float64_models_compute_in_float64() -> None:
    model = Sequential([Input((4,), dtype="float64"), Dense(2)])
    model.compile(SGD(0.125), "mse", device=ReferenceDevice())
    w, b = model.get_weights()
    assert w.dtype == np.float64
    model.fit(X, TARGET, batch_size=4, shuffle=False, verbose=0)
    w, b, _ = descend(w, b, np.arange(11), 4, 0.125, 0.0)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-13)
