"""Modules: names, ownership, weights."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from numbanet.errors import ArgumentError, GraphError
from numbanet.ir import Value
from numbanet.layers import Dense, Input, Module
from numbanet.layers.calls import origin_of
from numbanet.layers.ownership import snake_case, walk


class Block(Module):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.first = Dense(units, activation="relu")
        self.rest = [Dense(units), Dense(units, name="named")]
        self.by_key = {"out": Dense(2)}

    def forward(self, x: Value) -> Value:
        y = self.first(x)
        for layer in self.rest:
            y = layer(y)
        return self.by_key["out"](y)


def test_children_are_named_after_the_attributes_that_hold_them() -> None:
    block = Block(3)
    block(Input((4,)))
    assert list(block.variables()) == [
        "first/kernel",
        "first/bias",
        "rest_0/kernel",
        "rest_0/bias",
        "rest_1/kernel",
        "rest_1/bias",
        "by_key_out/kernel",
        "by_key_out/bias",
    ]
    assert block.first.name == "first"
    assert block.rest[1].name == "named"


def test_nodes_carry_the_path_of_nested_layers() -> None:
    y = Block(3)(Input((4,)))
    assert y.path == "block/by_key_out"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Dense", "dense"),
        ("Conv2D", "conv2d"),
        ("MaxPooling2D", "max_pooling2d"),
        ("LeakyReLU", "leaky_relu"),
        ("ReLU", "relu"),
        ("BatchNormalization", "batch_normalization"),
    ],
)
def test_default_names(name: str, expected: str) -> None:
    assert snake_case(name) == expected


def test_module_that_contains_itself() -> None:
    block = Block(3)
    block.rest.append(block)
    with pytest.raises(GraphError, match="contains itself"):
        list(walk(block))


def test_frozen_modules_hide_what_is_below_them() -> None:
    block = Block(3)
    block(Input((4,)))
    block.rest[0].trainable = False
    assert not any(path.startswith("rest_0") for path in block.trainable_variables())
    assert len(block.trainable_variables()) == 6
    block.trainable = False
    assert block.trainable_variables() == {}
    block.trainable = True
    assert len(block.trainable_variables()) == 8


def test_weights_go_out_and_in() -> None:
    a, b = Block(3), Block(3)
    a(Input((4,)))
    b(Input((4,)))
    b.set_weights(a.get_weights())
    for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


def test_weights_that_do_not_fit_change_nothing() -> None:
    layer = Dense(3)
    layer(Input((4,)))
    before = layer.get_weights()
    with pytest.raises(ArgumentError, match=r"kernel \(4, 3\), bias \(3,\)"):
        layer.set_weights([np.ones((4, 3)), np.ones(4)])
    for x, y in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


def test_recorded_calls_do_not_outlive_their_values() -> None:
    y = Block(3)(Input((4,)))
    assert origin_of(y) is not None
    alive = weakref.ref(y)
    del y
    gc.collect()
    assert alive() is None
