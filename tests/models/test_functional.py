"""Functional models: structure found by walking back, names, calls on new values, errors."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet import Input, Model, Sequential
from numbanet.errors import ArgumentError, GraphError
from numbanet.initializers import Ones
from numbanet.ir import Value
from numbanet.layers import Add, Concatenate, Conv2D, Dense, Flatten, Module
from numbanet.ops import variable_value
from numbanet.testing import evaluate


def branches() -> Model:
    """A skip connection, a shared layer and two inputs."""
    a, b = Input((4,), name="left"), Input((4,), name="right")
    shared = Dense(3, activation="relu")
    left, right = shared(a), shared(b)
    joined = Concatenate()([Add()([left, right]), left])
    return Model([a, b], Dense(2)(joined))


def test_layers_are_named_in_order_whatever_was_built_before() -> None:
    names = list(branches().submodules())
    assert names == ["dense", "add", "concatenate", "dense_1"]
    assert list(branches().submodules()) == names


def test_shared_layers_own_their_weights_once() -> None:
    model = branches()
    assert list(model.variables()) == [
        "dense/kernel",
        "dense/bias",
        "dense_1/kernel",
        "dense_1/bias",
    ]
    assert model.count_params() == 4 * 3 + 3 + 6 * 2 + 2


def test_call_on_new_values_shares_weights_and_computes_the_same() -> None:
    model = branches()
    a, b = Input((4,)), Input((4,))
    y = model([a, b])
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 5, 4)).astype(np.float32)
    topology = model.topology
    assert topology is not None
    first = topology.outputs["dense_1"]
    feeds = dict(zip(topology.inputs.values(), (left, right), strict=True))
    np.testing.assert_array_equal(evaluate(y, {a: left, b: right}), evaluate(first, feeds))
    np.testing.assert_array_equal(
        evaluate(model({"right": b, "left": a}), {a: left, b: right}), evaluate(first, feeds)
    )


def test_paths_have_the_names_of_the_model() -> None:
    model = branches()
    outputs = model.record_on({name: Input((4,)) for name in ("left", "right")})
    assert outputs["dense_1"].path == "dense_1"


def test_nested_models_are_one_layer_with_paths_below_it() -> None:
    inner = Sequential([Input((4,)), Dense(3), Dense(3)], name="encoder")
    x = Input((4,))
    model = Model(x, Dense(1)(inner(x)))
    assert list(model.submodules()) == ["encoder", "dense"]
    assert "encoder/dense_1/kernel" in model.variables()


def test_ops_between_layers_are_steps() -> None:
    x = Input((4,))
    model = Model(x, Dense(1)(2.0 * Dense(3)(x) + 1.0))
    array = np.ones((2, 4), np.float32)
    y = model(z := Input((4,)))
    kernels = [v.numpy() for k, v in model.variables().items() if k.endswith("kernel")]
    np.testing.assert_allclose(
        evaluate(y, {z: array}), (2 * array @ kernels[0] + 1) @ kernels[1], rtol=1e-5
    )


def test_dicts_name_inputs_and_outputs() -> None:
    x = Input((4,))
    model = Model({"pixels": x}, {"a": Dense(1)(x), "b": Dense(2)(x)})
    assert list(model.signature.inputs) == ["pixels"]
    assert list(model.signature.outputs) == ["a", "b"]


def test_outputs_of_a_list_are_named_after_their_layers() -> None:
    x = Input((4,))
    model = Model(x, [Dense(1, name="age")(x), Dense(2)(x)])
    assert list(model.signature.outputs) == ["age", "dense"]


def test_part_of_a_model_between_inner_values() -> None:
    x = Input((4,))
    h = Dense(3)(x)
    y = Dense(2)(h)
    head = Model(h, y)
    assert list(head.submodules()) == ["dense"]
    assert head.signature.inputs["input"].shape == (None, 3)


def test_missing_input_says_which_and_who_needs_it() -> None:
    a, b = Input((4,), name="left"), Input((7,), name="right")
    y = Add()([Dense(3)(a), Dense(3, name="fc1")(b)])
    with pytest.raises(GraphError) as caught:
        Model(a, y)
    text = str(caught.value)
    assert "disconnected" in text
    assert "Input 'right' of shape (None, 7)" in text
    assert "Dense 'fc1'" in text


def test_two_layers_with_one_given_name() -> None:
    x = Input((4,))
    with pytest.raises(ArgumentError, match="two layers are named 'fc'"):
        Model(x, Dense(3, name="fc")(Dense(3, name="fc")(x)))


def test_given_names_are_kept_free_for_their_layers() -> None:
    x = Input((4,))
    model = Model(x, Dense(3, name="dense")(Dense(3)(x)))
    assert list(model.submodules()) == ["dense_1", "dense"]


def test_two_inputs_with_one_name() -> None:
    a, b = Input((4,), name="x"), Input((4,), name="x")
    with pytest.raises(ArgumentError, match="two inputs"):
        Model([a, b], Add()([a, b]))


def test_something_else_than_values() -> None:
    with pytest.raises(ArgumentError, match="Start from x = Input"):
        Model(np.ones(3), Input((3,)))
    with pytest.raises(ArgumentError):
        Model()


def test_deep_models_are_walked_without_recursion() -> None:
    x = y = Input((1,))
    layer = Dense(1)
    for _ in range(3000):
        y = layer(y)
    model = Model(x, y)
    assert list(model.submodules()) == ["dense"]


def test_subclass_is_a_model() -> None:
    class Net(Model):
        def __init__(self) -> None:
            super().__init__()
            self.stem = Conv2D(2, 3)
            self.head = Dense(3)

        def forward(self, x: Value) -> Value:
            return self.head(Flatten()(self.stem(x)))

    model = Net()
    with pytest.raises(ArgumentError, match="does not know its inputs yet"):
        _ = model.signature
    assert model(Input((4, 4, 1))).shape == (None, 3)
    assert list(model.variables()) == ["stem/kernel", "stem/bias", "head/kernel", "head/bias"]


def test_weights_that_no_layer_of_the_model_owns_are_refused() -> None:
    class Leaky(Module):
        def build(self, x: Value) -> None:
            self.scale = self.parameter("scale", (4,), Ones())

        def forward(self, x: Value) -> Value:
            self.seen = x * variable_value(self.scale)
            return self.seen + 1.0

    x = Input((4,))
    leaky = Leaky()
    leaky(x)
    with pytest.raises(GraphError, match=r"multiply\(\) reads variable leaky/scale outside"):
        Model(x, leaky.seen)
