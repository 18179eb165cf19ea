"""Graphs: nested inputs and outputs, parts of models, taps, Keras's order of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numbanet import Input, Model, Sequential, lint, nn, ops
from numbanet.errors import ArgumentError, DataError, GraphError
from numbanet.ir import Value
from numbanet.layers import (
    Add,
    BatchNormalization,
    Concatenate,
    Dense,
    Dropout,
    Module,
    ReLU,
)
from tests.reference_device import ReferenceDevice

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4)).astype(np.float32)
Z = RNG.normal(size=(6, 3)).astype(np.float32)


def chain() -> Model:
    x = Input((4,), name="x")
    h = Dense(5, activation="relu", name="first")(x)
    h = Dense(5, activation="tanh", name="second")(h)
    return Model(x, Dense(2, name="third")(Add(name="skip")([h, Dense(5, name="side")(x)])))


def predict(model: Model, data: Any) -> Any:
    """Predictions of the reference device: no kernel is compiled."""
    model.compile("sgd", "mse", device=ReferenceDevice())
    return model.predict(data)


# Inputs and outputs.


def test_nested_inputs_and_outputs_are_fed_and_handed_back_as_they_are_nested() -> None:
    a, b, c = Input((4,)), Input((4,)), Input((3,), name="c")
    joined = Concatenate()([a, b, c])
    outputs = {"boxes": [Dense(2)(joined), Dense(3)(joined)], "label": Dense(1)(joined)}
    model = Model({"pair": [a, b], "rest": (c,)}, outputs)
    assert model.input_names == ["pair_0", "pair_1", "rest_0"]
    assert model.output_names == ["boxes_0", "boxes_1", "label"]
    assert model.output_shape == {"boxes": [(None, 2), (None, 3)], "label": (None, 1)}
    assert model.input_shape == {"pair": [(None, 4), (None, 4)], "rest": ((None, 3),)}
    found = predict(model, {"pair": [X, X + 1], "rest": (Z,)})
    assert found["boxes"][1].shape == (6, 3)
    flat = model.predict({"pair_0": X, "pair_1": X + 1, "rest_0": Z})
    np.testing.assert_array_equal(found["label"], flat["label"])
    with pytest.raises(DataError, match="nested"):
        model.predict({"pair": [X], "rest": (Z,)})
    again = model({"pair": [Input((4,)), Input((4,))], "rest": (Input((3,)),)})
    assert again["boxes"][0].shape == (None, 2)


def test_a_nested_model_trains_on_nested_targets() -> None:
    x = Input((4,))
    model = Model(x, {"a": [Dense(1)(x), Dense(2)(x)]})
    model.compile("sgd", "mse", device=ReferenceDevice())
    history = model.fit(X, {"a": [X[:, :1], X[:, :2]]}, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.parametrize("kind", ["functional", "sequential", "subclass"])
def test_inputs_and_outputs_of_every_kind_of_model_belong_together(kind: str) -> None:
    class Net(Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = Dense(3, name="dense")

        def call(self, x: Value) -> Value:
            return self.dense(x)

    model: Model = {
        "functional": chain,
        "sequential": lambda: Sequential([Input((4,)), Dense(3)]),
        "subclass": Net,
    }[kind]()
    whole = predict(model, X)
    again = Model(model.inputs, model.outputs)
    np.testing.assert_array_equal(predict(again, X), whole)
    assert model.input_shape == (None, 4)
    assert model.output_shape == (None, whole.shape[1])


class ByPosition(Model):
    def forward(self, left: Value, right: Value) -> Value:
        return left - 2 * right


class InOne(Model):
    def call(self, inputs: Any, training: bool = False) -> Value:
        if isinstance(inputs, dict):
            return inputs["left"] - 2 * inputs["right"]
        left, right = inputs
        return left - 2 * right


@pytest.mark.parametrize("kind", [ByPosition, InOne])
@pytest.mark.parametrize("form", ["list", "dict", "turned"])
def test_subclasses_take_several_inputs(kind: type[Model], form: str) -> None:
    data = {
        "list": [X, X + 1],
        "dict": {"left": X, "right": X + 1},
        "turned": {"right": X + 1, "left": X},
    }[form]
    np.testing.assert_allclose(predict(kind(), data), X - 2 * (X + 1), rtol=1e-6)


# Layers and parts.


def test_layers_by_name_and_index_and_path() -> None:
    inner = chain()
    x = Input((4,))
    model = Model(x, ReLU()(inner(x)))
    assert model.get_layer("model") is inner
    assert model.get_layer("model/second") is inner["second"] is model["model/second"]
    assert model.get_layer(index=0) is inner
    assert model.get_layer(index=-1) is model["relu"]
    for arguments in ({}, {"name": "relu", "index": 0}, {"index": 2}, {"name": "model/none"}):
        with pytest.raises(ArgumentError):
            model.get_layer(**arguments)


def test_a_slice_of_names_has_both_ends_and_shares_layers() -> None:
    model = chain()
    part = model["second":"second"]
    assert part.layers == [model["second"]]
    assert part.input_shape == (None, 5)
    whole = model[:]
    np.testing.assert_array_equal(predict(whole, X), predict(model, X))
    first = model[:"second"]
    assert [layer.name for layer in first.layers] == ["first", "second"]
    np.testing.assert_array_equal(
        predict(part, predict(model["first":"first"], X)), predict(first, X)
    )
    last = model["skip":]
    assert len(last.inputs) == 2
    with pytest.raises(GraphError, match="disconnected"):
        model["second":"third"]
    with pytest.raises(ArgumentError, match="no layer"):
        model["second":"fourth"]


def test_a_sequential_is_cut_by_names_and_knows_the_shapes() -> None:
    model = Sequential([Input((4,)), Dense(5), ReLU(), Dense(2)])
    part = model["relu":"dense_1"]
    assert isinstance(part, Sequential)
    assert list(part) == [model[1], model[2]]
    assert part.input_shape == (None, 5)


def test_taps_give_what_layers_return() -> None:
    model = chain()
    first = predict(model.tap("first"), X)
    np.testing.assert_array_equal(first, predict(model[:"first"], X))
    both = predict(model.tap("first", "third"), X)
    np.testing.assert_array_equal(both["first"], first)
    np.testing.assert_array_equal(both["third"], predict(model, X))
    assert model.tap("first")(Input((4,))).shape == (None, 5)
    assert model.tap("first").layers == [model["first"]]
    with pytest.raises(ArgumentError, match="no layer 'nobody'"):
        model.tap("nobody")
    with pytest.raises(ArgumentError, match="names of layers"):
        model.tap()


def test_taps_of_shared_layers_and_of_nested_models() -> None:
    a, b = Input((4,), name="a"), Input((4,), name="b")
    encoder = Sequential([Dense(3, name="inner"), ReLU(name="act")], name="encoder")
    model = Model([a, b], Add()([encoder(a), encoder(b)]))
    taps = predict(model.tap("encoder", "encoder[1]", "encoder[1]/inner"), [X, X + 1])
    kernel, bias = encoder.get_weights()
    np.testing.assert_allclose(taps["encoder"], np.maximum(X @ kernel + bias, 0), rtol=1e-5)
    inner = (X + 1) @ kernel + bias
    np.testing.assert_allclose(taps["encoder[1]/inner"], inner, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(taps["encoder[1]"], np.maximum(inner, 0), rtol=1e-5)
    with pytest.raises(ArgumentError, match="is called 2 time"):
        model.tap("encoder[2]")
    with pytest.raises(ArgumentError, match="no model with layers"):
        model.tap("add/x")


def test_two_nested_models_may_have_layers_of_one_name() -> None:
    x = Input((4,))
    one = Sequential([Dense(3, name="fc")], name="one")
    two = Sequential([Dense(3, name="fc")], name="two")
    model = Model(x, Add()([one(x), two(x)]))
    taps = model.tap("one/fc", "two/fc")
    assert list(taps.variables()) == [
        "one/fc/kernel",
        "one/fc/bias",
        "two/fc/kernel",
        "two/fc/bias",
    ]


# Freezing.


def test_freezing_a_model_freezes_all_below_it_and_thawing_thaws() -> None:
    inner = Sequential([Input((4,)), Dense(3), BatchNormalization()], name="inner")
    x = Input((4,))
    model = Model(x, Dense(1)(inner(x)))
    inner.trainable = False
    assert not inner[1].trainable
    assert [v.name for v in model.trainable_weights] == ["dense/kernel", "dense/bias"]
    assert len(model.non_trainable_weights) == 6
    assert model.weights == model.non_trainable_weights[:0] + list(model.variables().values())
    inner.trainable = True
    assert len(model.trainable_weights) == 6


def test_freezing_counts_from_the_next_fit_on() -> None:
    model = Sequential([Input((4,)), BatchNormalization(center=False, scale=False), Dense(1)])
    model.compile("sgd", "mse", device=ReferenceDevice())
    target = X[:, :1]
    model.fit(X, target, verbose=0)
    model[0].trainable = False
    before = model[0].get_weights()
    model.fit(X, target, verbose=0)
    for old, new in zip(before, model[0].get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    model[0].trainable = True
    model.fit(X, target, verbose=0)
    assert (model[0].get_weights()[0] != before[0]).any()


# Layers of other kinds.


def test_modules_and_plain_ops_are_steps() -> None:
    class Gate(Module):
        def __init__(self, units: int) -> None:
            super().__init__()
            self.open = Dense(units, activation="sigmoid")

        def forward(self, x: Value, *, by: Value) -> Value:
            return x * self.open(by)

    x = Input((4,))
    h = nn.Linear(4, 3)(x)
    model = Model(x, Gate(3)(ops.tanh(h) + 1.0, by=x))
    linear, gate = model.layers
    w, b = linear.weights[0].numpy(), linear.weights[1].numpy()
    kernel, bias = gate.get_weights()
    gated = 1 / (1 + np.exp(-(X @ kernel + bias)))
    np.testing.assert_allclose(
        predict(model, X), (np.tanh(X @ w.T + b) + 1) * gated, rtol=1e-5, atol=1e-6
    )


def test_unused_inputs_may_be_fed() -> None:
    a, b = Input((4,), name="a"), Input((3,), name="b")
    model = Model([a, b], Dense(2)(a))
    assert predict(model, [X, Z]).shape == (6, 2)


def test_a_dropout_between_layers_is_left_out_of_predictions() -> None:
    x = Input((4,))
    model = Model(x, Dropout(0.5)(ops.dropout(x, 0.5, *ops.random_state())))
    with lint.ignore("NB107"):
        np.testing.assert_array_equal(predict(model, X), X)
