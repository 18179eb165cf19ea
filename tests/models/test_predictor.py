"""Predictions that come again: a batch like one before takes the short way."""

import numpy as np
import pytest

import numbanet as nb
from numbanet.errors import DataError
from numbanet.layers import Dense, Embedding, Flatten
from numbanet.models.predictor import Predictor

NUMBERS = np.random.default_rng(0).random((6, 8), np.float32)


def dense(device="cpu"):
    model = nb.Sequential([nb.Input((4,)), Dense(3, activation="tanh")])
    model.compile("sgd", "mse", device=device)
    return model


def expected(model, x):
    kernel, bias = model.layers[-1].get_weights()
    return np.tanh(np.asarray(x, np.float32) @ kernel + bias)


@pytest.fixture
def loads(monkeypatch):
    """Sizes of the batches that did not take the short way."""
    seen = []
    run = Predictor.run

    def watched(self, batch):
        seen.append(len(next(iter(batch.values()))))
        return run(self, batch)

    monkeypatch.setattr(Predictor, "run", watched)
    return seen


@pytest.mark.parametrize("method", ["predict", "predict_on_batch"])
def test_a_batch_that_comes_again_takes_the_short_way(method, loads):
    model = dense()
    call = getattr(model, method)
    for x in (NUMBERS[:2, :4].copy(), NUMBERS[2:4, ::2], NUMBERS[:5, :4], NUMBERS[4:6, :4]):
        np.testing.assert_allclose(call(x), expected(model, x), rtol=1e-5, atol=1e-6)
    assert loads == [2, 5]


@pytest.mark.parametrize(
    "x",
    [
        NUMBERS[:2, :4].astype(np.float64),
        NUMBERS[:2, :4].astype(">f4"),
        NUMBERS[:2, :4].tolist(),
        [NUMBERS[:2, :4].copy()],
        {"input": NUMBERS[:2, :4].copy()},
    ],
    ids=["float64", "big-endian", "list", "list-of-one", "mapping"],
)
def test_what_cannot_be_taken_as_it_is_goes_the_long_way(x, loads):
    model = dense()
    model.predict_on_batch(NUMBERS[:2, :4].copy())
    array = x["input"] if isinstance(x, dict) else np.asarray(x).reshape(2, 4)
    np.testing.assert_allclose(
        model.predict_on_batch(x), expected(model, array), rtol=1e-5, atol=1e-6
    )
    assert loads == [2, 2]


@pytest.mark.parametrize("shape", [(2, 5), (2,), (), (2, 4, 1), (0, 4)])
def test_a_wrong_shape_is_refused_after_a_right_one(shape):
    model = dense()
    model.predict_on_batch(np.zeros((2, 4), np.float32))
    with pytest.raises(DataError):
        model.predict_on_batch(np.zeros(shape, np.float32))


def test_ids_are_checked_each_time():
    model = nb.Sequential([nb.Input((2,), dtype="int64"), Embedding(5, 3), Flatten()])
    model.predict(np.array([[1, 2]]))
    with pytest.raises(DataError):
        model.predict(np.array([[1, 7]]))


def test_a_result_is_not_written_over_by_the_next():
    model = dense()
    first = model.predict_on_batch(NUMBERS[:2, :4].copy())
    kept = first.copy()
    model.predict_on_batch(NUMBERS[2:4, 4:].copy())
    model.predict_on_batch(NUMBERS[2:4, :4].copy())
    np.testing.assert_array_equal(first, kept)


def test_a_larger_array_than_a_batch_is_cut():
    model = dense()
    x = NUMBERS[:, :4].copy()
    model.predict(x)
    np.testing.assert_allclose(
        model.predict(x, batch_size=4), expected(model, x), rtol=1e-5, atol=1e-6
    )


def test_training_moves_the_weights_under_a_prediction():
    """Training takes the weights into one flat variable; so does another model's."""
    shared = Dense(3, activation="tanh")
    x, y = NUMBERS[:2, :4].copy(), NUMBERS[:2, :3].copy()
    model, other = (nb.Sequential([nb.Input((4,)), shared]) for _ in range(2))
    for each in (model, other, model):
        model.predict_on_batch(x)
        each.compile("sgd", "mse", device="cpu")
        each.fit(x, y, epochs=3, verbose=0)
        np.testing.assert_allclose(
            model.predict_on_batch(x), expected(model, x), rtol=1e-5, atol=1e-6
        )
