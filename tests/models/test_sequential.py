"""Sequential models: names, positions, slices, growing and shrinking, errors."""

from __future__ import annotations

import numpy as np
import pytest

from numbanet import Input, Model, Sequential
from numbanet.errors import ArgumentError, GraphError, ShapeError
from numbanet.layers import Conv2D, Dense, Flatten, ReLU
from numbanet.testing import evaluate


def mlp() -> Sequential:
    return Sequential([Input((4,)), Dense(3), ReLU(), Dense(2)])


def test_layers_by_position_and_name() -> None:
    model = mlp()
    assert list(model.submodules()) == ["dense", "relu", "dense_1"]
    assert len(model) == 3
    assert model[0] is model["dense"]
    assert model[-1] is model["dense_1"]
    assert [type(layer).__name__ for layer in model] == ["Dense", "ReLU", "Dense"]
    with pytest.raises(IndexError):
        model[3]
    with pytest.raises(ArgumentError, match="no layer 'conv', expected dense, relu, dense_1"):
        model["conv"]


def test_mapping_names_the_layers() -> None:
    model = Sequential({"hidden": Dense(3), "act": ReLU(), "logits": Dense(2, name="own")})
    assert list(model.submodules()) == ["hidden", "act", "logits"]
    model(Input((4,)))
    assert "logits/kernel" in model.variables()
    assert model["hidden"].name == "hidden"


def test_slices_share_layers_and_weights() -> None:
    model = mlp()
    encoder = model[:2]
    assert isinstance(encoder, Sequential)
    assert encoder[0] is model[0]
    assert encoder.signature.outputs["output"].shape == (None, 3)
    head = model[2:]
    assert list(head.submodules()) == ["dense_1"]
    x = Input((4,))
    array = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(
        evaluate(head(encoder(x)), {x: array}), evaluate(model(x), {x: array})
    )


def test_shapes_wait_for_an_input() -> None:
    model = Sequential([Dense(3), Dense(2)])
    assert not model[0].is_built
    model.add(Dense(1))
    assert model(Input((4,))).shape == (None, 1)
    assert model[0].is_built


def test_add_and_pop() -> None:
    model = mlp()
    last = model[-1]
    assert model.pop() is last
    assert model.signature.outputs["output"].shape == (None, 3)
    model.add(Dense(7), name="logits")
    assert model.signature.outputs["output"].shape == (None, 7)
    with pytest.raises(ArgumentError, match="pop"):
        Sequential().pop()


def test_add_of_a_layer_that_does_not_fit_changes_nothing() -> None:
    model = Sequential([Input((4, 4, 1)), Flatten()])
    with pytest.raises(ShapeError):
        model.add(Conv2D(3, 3))
    assert len(model) == 1
    model.add(Dense(3))
    assert model.signature.outputs["output"].shape == (None, 3)


def test_cycles_are_refused() -> None:
    model = mlp()
    with pytest.raises(GraphError, match="cycle"):
        model.add(model)
    with pytest.raises(GraphError, match="cycle"):
        model.add(Sequential([model, ReLU()]))
    assert len(model) == 3


def test_wrong_elements() -> None:
    with pytest.raises(ArgumentError, match="takes layers"):
        Sequential([Dense])  # type: ignore[list-item]
    with pytest.raises(ArgumentError, match="Input comes first"):
        Sequential([Dense(3), Input((4,))])
    with pytest.raises(ArgumentError, match="two layers are named 'a'"):
        Sequential([Dense(3, name="a"), Dense(3, name="a")])


def test_sequential_is_a_layer_of_other_models() -> None:
    x = Input((4,))
    model = Model(x, Dense(1)(mlp()(x)))
    assert list(model.submodules()) == ["sequential", "dense"]
