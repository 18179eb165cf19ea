"""Configurations: constructor arguments out and in, names found and refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from numbanet import Model, layers, nn, ops
from numbanet.configuration import (
    Configured,
    find,
    from_config,
    name_of,
    register,
    to_config,
)
from numbanet.errors import ArgumentError, FormatError
from numbanet.initializers import HeNormal
from numbanet.ir import DType, Value
from numbanet.layers import Module


class Scaled(Module):
    def __init__(self, factor: float, *rest: int, size: int = 3, **options: Any) -> None:
        super().__init__(**options)
        self.factor, self.rest, self.size = factor, rest, size

    def call(self, x: Value) -> Value:
        return x * self.factor


def test_arguments_come_back_by_name_with_defaults() -> None:
    config = layers.Conv2D(4, (3, 5), activation="relu").get_config()
    assert config["kernel_size"] == [3, 5]
    assert (config["filters"], config["padding"], config["activation"]) == (4, "valid", "relu")
    assert json.loads(json.dumps(config)) == config
    again = layers.Conv2D.from_config(config)
    assert again.get_config() == config


CASES = [
    (layers.Dense, (3,), {"kernel_initializer": HeNormal(seed=3)}),
    (layers.Dense, (3,), {"activation": ops.relu, "name": "fc"}),
    (layers.Dense, (np.int64(3),), {"kernel_initializer": "he_normal"}),
    (layers.BatchNormalization, (), {"momentum": 0.9}),
    (layers.Reshape, ((2, -1),), {}),
    (nn.Linear, (3, 4), {"dtype": DType.FLOAT64}),
    (nn.Sequential, (nn.Linear(2, 3), nn.ReLU()), {}),
    (Scaled, (2.0, 5, 6), {"size": 4, "name": "own"}),
]


@pytest.mark.parametrize(("kind", "args", "kwargs"), CASES)
def test_configurations_are_json_and_make_the_same_object(
    kind: type[Configured], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    config = kind(*args, **kwargs).get_config()
    again = kind.from_config(json.loads(json.dumps(config)))
    assert type(again) is kind
    assert again.get_config() == config


def test_a_subclass_is_configured_by_its_own_constructor() -> None:
    class Wide(layers.Dense):
        def __init__(self, factor: int) -> None:
            super().__init__(10 * factor)

    assert Wide(2).get_config() == {"factor": 2}
    assert Wide.from_config({"factor": 2}).units == 20


def test_lambdas_have_no_name() -> None:
    layer = layers.Dense(3, activation=lambda x: x)
    with pytest.raises(ArgumentError, match="lambda"):
        layer.get_config()


def test_a_layer_around_a_model_has_a_configuration() -> None:
    x = layers.Input((3,))
    wrapper = layers.TimeDistributed(Model(x, layers.Dense(2)(x)))
    again = from_config(to_config(wrapper))
    assert again(layers.Input((5, 3))).shape == (None, 5, 2)


def test_symbolic_values_have_no_place_in_a_configuration() -> None:
    class Biased(layers.Layer):
        def __init__(self, bias: Value) -> None:
            super().__init__()

    with pytest.raises(ArgumentError, match=r"save\(\)"):
        Biased(layers.Input((3,))).get_config()


def test_names_of_our_own_are_found_and_others_only_when_given() -> None:
    for thing in (layers.Dense, nn.Linear, HeNormal, ops.relu):
        assert find(name_of(thing)) is thing
    with pytest.raises(FormatError, match="unknown class 'Scaled'"):
        find(name_of(Scaled))
    assert find(name_of(Scaled), {"Scaled": Scaled}) is Scaled


@pytest.mark.parametrize(
    "name",
    ["os.system", "layers._Merge", "errors.FormatError", "builtins.eval", "", "nn..Linear"],
)
def test_names_outside_of_the_public_rooms_are_refused(name: str) -> None:
    with pytest.raises(FormatError):
        find(name)


def test_a_registered_name_is_taken_once() -> None:
    @register(name="tests/Thing")
    class Thing(Module):
        pass

    assert find(name_of(Thing)) is Thing
    with pytest.raises(ArgumentError, match="registered already"):
        register(Scaled, name="tests/Thing")


def test_call_is_taken_for_forward() -> None:
    y = Scaled(2.0)(x := layers.Input((3,)))
    assert y.shape == x.shape
