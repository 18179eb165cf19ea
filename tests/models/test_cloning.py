"""Copies of architectures: clones, configurations, JSON; weights are new, structure is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet import Input, Model, Sequential, layers
from numbanet.errors import ArgumentError, FormatError
from numbanet.ir import Graph, Value
from numbanet.layers import Dense, Layer
from numbanet.layers.ownership import walk
from numbanet.models import clone_model, load_model, model_from_json, save_model
from numbanet.ops import variable_value
from numbanet.passes.inference import inference
from numbanet.testing import evaluate
from tests.keras_peer import import_keras

keras = import_keras()

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def doubled(x: Value) -> Value:
    return x * 2.0


class Scale(Layer):
    def __init__(self, start: str = "ones", **options: Any) -> None:
        super().__init__(**options)
        self.start = start

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight((input_shape[-1],), self.start, name="factor")

    def call(self, x: Value) -> Value:
        return x * variable_value(self.factor)


def sequential() -> Model:
    return Sequential([Input((4,)), Dense(3, "tanh"), layers.Dropout(0.5), Dense(2)], "stack")


def unbuilt() -> Model:
    return Sequential([Dense(3, name="first"), Dense(2)])


def branches() -> Model:
    a, b = Input((4,), name="a"), Input((4,))
    shared = Dense(3, name="shared")
    inner = Sequential([Input((3,)), Dense(2, activation=doubled)])
    h = layers.Add()([shared(a), shared(b)]) * 0.5 + np.arange(3, dtype=np.float32)
    model = Model({"a": a, "b": b}, {"y": inner(h), "z": Scale("ones")(inner(shared(a)))})
    model.get_layer("shared").trainable = False
    return model


def wrapped() -> Model:
    x = Input((5, 4))
    y = layers.Bidirectional(layers.GRU(2))(layers.TimeDistributed(sequential())(x))
    return Model(x, y)


MODELS: list[Callable[[], Model]] = [sequential, unbuilt, branches, wrapped]
OWN = {"Scale": Scale, "doubled": doubled}


def outputs_of(model: Model) -> list[np.ndarray]:
    """Outputs of made-up data, at inference."""
    values = model.signature.inputs
    rng = np.random.default_rng(1)
    arrays = {
        name: rng.normal(size=(3, *type_.shape[1:])).astype(np.float32)
        for name, type_ in sorted(values.items())
    }
    inputs = dict(zip(values, model.inputs, strict=True))
    graph = Graph(tuple(inputs.values()), {str(i): y for i, y in enumerate(model.outputs)})
    found = evaluate(inference(graph), {inputs[name]: each for name, each in arrays.items()})
    return list(found.values())


def assert_same_architecture(copy: Model, model: Model) -> None:
    assert type(copy) is type(model)
    outline = [(path, type(each), each.trainable) for path, each in walk(model) if path]
    assert [(path, type(each), each.trainable) for path, each in walk(copy) if path] == outline
    own = {each for _, each in walk(model)}
    assert not own & {each for _, each in walk(copy)}
    if model._signature is None:
        return
    assert list(copy.variables()) == list(model.variables())
    copy.set_weights(model.get_weights())
    for found, expected in zip(outputs_of(copy), outputs_of(model), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("make", MODELS)
def test_a_clone_is_the_same_with_other_weights(make: Callable[[], Model]) -> None:
    model = make()
    copy = clone_model(model)
    if copy.get_weights():
        assert any(
            (a != b).any() for a, b in zip(copy.get_weights(), model.get_weights(), strict=True)
        )
    assert_same_architecture(copy, model)


@pytest.mark.parametrize("make", MODELS)
def test_json_and_configurations_are_the_same_with_other_weights(
    make: Callable[[], Model],
) -> None:
    model = make()
    assert_same_architecture(model_from_json(model.to_json(indent=1), OWN), model)
    config = json.loads(json.dumps(model.get_config()))
    assert_same_architecture(type(model).from_config(config, OWN), model)


def test_shared_layers_are_shared_in_the_clone() -> None:
    copy = clone_model(branches())
    names = [name for name in copy.variables() if name.startswith("shared")]
    assert names == ["shared/kernel", "shared/bias"]
    assert copy.get_layer("shared").name == "shared"


def test_a_clone_function_is_asked_as_in_keras() -> None:
    def cloned(library: Any, recursive: bool) -> list[str]:
        inner = library.Sequential([library.Input((3,)), library.layers.Dense(2, name="low")])
        x = library.Input((4,))
        model = library.Model(x, inner(library.layers.Dense(3, name="high")(x)))
        asked = []

        def clone(layer: Any) -> Any:
            asked.append(layer.name)
            return layer

        copy = library.models.clone_model(model, clone_function=clone, recursive=recursive)
        assert copy.get_layer("high") is model.get_layer("high")
        return [name for name in asked if name in ("high", "low")]

    for recursive in (False, True):
        assert cloned(nb, recursive) == cloned(keras, recursive)


def test_a_clone_from_other_inputs() -> None:
    x = Input((4,), name="other")
    copy = clone_model(sequential(), input_tensors=x)
    assert copy.input_shape == (None, 4)
    functional = Model(a := Input((4,)), Dense(2)(a))
    assert clone_model(functional, input_tensors=[x]).input is x


def test_what_cannot_be_cloned_is_refused() -> None:
    with pytest.raises(ArgumentError, match="takes a model"):
        clone_model(Dense(2))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="returns a layer"):
        clone_model(sequential(), clone_function=lambda layer: None)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="call_function"):
        clone_model(sequential(), call_function=print)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"version": 1}', "null"])
def test_json_that_describes_no_model(text: str) -> None:
    with pytest.raises(FormatError):
        model_from_json(text)


def test_json_names_only_what_is_registered_or_given() -> None:
    with pytest.raises(FormatError, match="unknown class 'doubled'"):
        model_from_json(branches().to_json())


def test_a_constant_that_was_meddled_with() -> None:
    config = branches().get_config()
    next(iter(config["arrays"].values()))["shape"] = [7]
    with pytest.raises(FormatError, match="not a constant"):
        Model.from_config(config, OWN)


def test_models_of_a_class_of_ones_own_are_made_of_their_arguments() -> None:
    class Two(Model):
        def __init__(self, units: int) -> None:
            super().__init__()
            self.first, self.units = Dense(units), units

        def forward(self, x: Value) -> Value:
            return self.first(x)

    model = Two(3)
    assert model.get_config() == {"units": 3}
    assert Two.from_config(model.get_config()).units == 3
    model.predict(X)
    copy = clone_model(model)
    assert copy.predict(X).shape == (3, 3)


def test_files_by_kerass_names(tmp_path: Any) -> None:
    model = sequential()
    save_model(model, tmp_path / "m.safetensors")
    np.testing.assert_array_equal(
        load_model(tmp_path / "m.safetensors").get_weights()[0], model.get_weights()[0]
    )
