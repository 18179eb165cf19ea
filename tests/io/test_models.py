"""Models in files: what comes back is the model, bit for bit, and bad files are refused."""

from __future__ import annotations

import errno
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from numbanet import Input, Model, Sequential, io, nn, ops
from numbanet.configuration import register
from numbanet.errors import ArgumentError, FormatError
from numbanet.initializers import HeNormal, shared_generator
from numbanet.io.architecture import Architecture
from numbanet.io.rebuild import rebuild
from numbanet.io.tensors import read
from numbanet.ir import Graph, Value
from numbanet.layers import (
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling2D,
    Module,
    ReLU,
)
from numbanet.layers.ownership import walk
from numbanet.ops import variable_value
from numbanet.passes.inference import inference
from numbanet.testing import evaluate

RNG = np.random.default_rng(0)


class Scale(Module):
    """A custom layer with a weight."""

    def __init__(self, factor: float, name: str | None = None) -> None:
        super().__init__(name)
        self.factor = factor

    def build(self, x: Value, shift: float = 0.0) -> None:
        self.scale = self.parameter("scale", x.shape[1:], HeNormal())  # type: ignore[arg-type]

    def forward(self, x: Value, *, shift: float = 0.0) -> Value:
        return x * variable_value(self.scale) * self.factor + shift


class Wrapped(Module):
    """A custom layer that is given a layer."""

    def __init__(self, inner: Module, sizes: tuple[int, ...] = (1, 2)) -> None:
        super().__init__()
        assert isinstance(sizes, tuple)
        self.inner = inner

    def forward(self, x: Value) -> Value:
        return self.inner(x) + 1.0


class Net(Model):
    """A model with code for its structure."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = Dense(width)
        self.blocks = [Dense(width, activation="relu") for _ in range(2)]

    def call(self, x: Value) -> Value:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return x


def shift(x: Value) -> Value:
    return x + 0.5


CUSTOM = {"Scale": Scale, "Wrapped": Wrapped, "Net": Net, "shift": shift}


def branches() -> Model:
    a, b = Input((4,), name="left"), Input((4,), name="right")
    shared = Dense(3, activation="relu", kernel_initializer=HeNormal(seed=1))
    left, right = shared(a), shared(b)
    joined = Concatenate()([Add()([left, right]), left])
    return Model([a, b], [Dense(2, name="age")(joined), Dense(1)(joined)], name="twins")


def images() -> Model:
    x = Input((6, 6, 2))
    stem = Conv2D(3, 3, padding="same", activation="relu")(x)
    h = Add()([stem, BatchNormalization()(Conv2D(3, 3, padding="same", use_bias=False)(stem))])
    return Model(x, Dense(2)(Dropout(0.3)(GlobalAveragePooling2D()(h))))


def nested() -> Model:
    inner = Sequential([Dense(3, name="fc"), ReLU()], name="encoder")
    other = Model(z := Input((4,)), inner(Dense(4)(z)), name="around")
    x, y = Input((4,)), Input((4,), name="second")
    return Model(
        {"x": x, "rest": [y]}, {"both": [inner(x), other(y)], "sum": inner(x) + other(x)}
    )


def plain_ops() -> Model:
    x = Input((4,))
    h = ops.tanh(x) * np.float32(np.pi) + RNG.normal(size=4).astype(np.float32)
    first, second = ops.split(Dense(6)(h), 2, axis=1)
    return Model(
        x, ops.concatenate([second, first * float("1e-3")], axis=1) / np.inf + first[:, :1]
    )


def custom() -> Model:
    x = Input((4,))
    inner = Dense(4, activation=shift)
    h = Wrapped(inner, sizes=(3,))(x)
    return Model(x, Scale(2.0)(inner(h), shift=0.25))


def modules() -> Model:
    x = Input((4,))
    block = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.LayerNorm(5))
    block[0].bias.requires_grad_(False)
    return Model(x, Dense(2)(block(x)))


def ids() -> Model:
    x = Input((3,), dtype="int64")
    return Model(x, Dense(2)(Flatten()(Embedding(7, 4)(x))))


def sequential() -> Sequential:
    return Sequential([Input((4,)), Dense(3), ReLU(), Dense(2, name="logits")], name="mlp")


def subclass() -> Model:
    model = Net(3)
    model.predict(np.ones((2, 4), np.float32))
    return model


FUZZED = nested()

MODELS = [
    branches,
    images,
    nested,
    plain_ops,
    custom,
    modules,
    ids,
    sequential,
    subclass,
]


def outputs(model: Model) -> dict[str, np.ndarray]:
    """What the model computes of random numbers, by NumPy references."""
    rng = np.random.default_rng(1)
    inputs, feeds = {}, {}
    for name, type_ in model.signature.inputs.items():
        shape = (5, *type_.shape[1:])
        inputs[name] = Input(type_.shape[1:], dtype=type_.dtype)
        numbers = (
            rng.integers(7, size=shape) if type_.dtype.is_integer else rng.normal(size=shape)
        )
        feeds[inputs[name]] = numbers.astype(type_.dtype.numpy)
    graph = inference(Graph(tuple(inputs.values()), model.record_on(inputs)))
    return {name: evaluate(value, feeds) for name, value in graph.outputs.items()}


@pytest.mark.parametrize("make", MODELS)
def test_what_is_loaded_is_what_was_saved(make: Callable[[], Model], tmp_path: Path) -> None:
    model = make()
    for variable in model.weights:
        variable.assign(RNG.normal(size=variable.shape))
    path = tmp_path / "m.safetensors"
    model.save(path)
    again = io.load(path, custom_objects=CUSTOM)
    assert type(again) is type(model)
    assert again.name == model.name
    expected, found = outputs(model), outputs(again)
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
    assert again.input_shape == model.input_shape
    assert again.output_shape == model.output_shape
    assert [(p, type(m), m.name) for p, m in walk(again)] == [
        (p, type(m), m.name) for p, m in walk(model)
    ]
    assert list(again.trainable_variables()) == list(model.trainable_variables())
    others = safetensors.numpy.load_file(path)
    for name, variable in model.variables().items():
        np.testing.assert_array_equal(others[name], variable.numpy())
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_shared_layers_are_shared_again(tmp_path: Path) -> None:
    nested().save(tmp_path / "m")
    again = io.load(tmp_path / "m")
    assert again["encoder"] is again["around/encoder"]
    custom().save(tmp_path / "c")
    loaded = io.load(tmp_path / "c", CUSTOM)
    assert loaded["wrapped/inner"] is loaded["dense"]


def test_frozen_layers_come_back_frozen(tmp_path: Path) -> None:
    model = images()
    model["conv2d"].trainable = False
    model.save(tmp_path / "m")
    again = io.load(tmp_path / "m")
    assert not again["conv2d"].trainable
    assert again["conv2d_1"].trainable


def test_registered_classes_need_not_be_given(tmp_path: Path) -> None:
    @register(name="tests/Twice")
    class Twice(Module):
        def forward(self, x: Value) -> Value:
            return 2 * x

    x = Input((4,))
    Model(x, Twice()(x)).save(tmp_path / "m")
    assert isinstance(io.load(tmp_path / "m").layers[0], Twice)


def test_custom_classes_must_be_given(tmp_path: Path) -> None:
    custom().save(tmp_path / "m")
    with pytest.raises(FormatError, match="unknown class 'shift'"):
        io.load(tmp_path / "m")
    with pytest.raises(FormatError, match="unknown class 'Wrapped'"):
        io.load(tmp_path / "m", {"shift": shift, "Scale": Scale})


def test_a_class_of_the_name_of_one_of_ours_is_not_mistaken_for_it(tmp_path: Path) -> None:
    class Dense(Module):
        def forward(self, x: Value) -> Value:
            return -x

    x = Input((4,))
    Model(x, Dense()(x)).save(tmp_path / "m")
    with pytest.raises(FormatError, match="unknown class 'Dense'"):
        io.load(tmp_path / "m")
    assert isinstance(io.load(tmp_path / "m", {"Dense": Dense}).layers[0], Dense)


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    x = Input((4,))
    path = tmp_path / "m"
    path.write_text("precious")
    with pytest.raises(ArgumentError, match="lambda"):
        Model(x, Dense(2, activation=lambda v: v)(x)).save(path)
    block = nn.Sequential(nn.Linear(4, 3))
    block.append(nn.Linear(3, 2))
    with pytest.raises(ArgumentError, match="changed after"):
        Model(x, block(x)).save(path)
    assert path.read_text() == "precious"


class Styled(Dense):
    """A layer that says by itself what it is made of, on top of what it inherits."""

    def __init__(self, units: int, scale: float = 1.0, **options: Any) -> None:
        super().__init__(units, **options)
        self.scale = scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}

    def forward(self, x: Value) -> Value:
        return super().forward(x) * self.scale


def test_a_configuration_of_ones_own_may_extend_the_inherited_one(tmp_path: Path) -> None:
    x = Input((4,))
    layer = Styled(3, kernel_initializer=HeNormal(seed=2), activation=ops.relu)
    layer.scale = 4.0
    model = Model(x, layer(x))
    model.save(tmp_path / "m")
    again = io.load(tmp_path / "m", {"Styled": Styled})
    np.testing.assert_array_equal(outputs(again)["styled"], outputs(model)["styled"])
    assert again.layers[0].get_config() == layer.get_config()


def test_a_model_without_weights_or_shapes(tmp_path: Path) -> None:
    Sequential([Dense(3), ReLU()]).save(tmp_path / "m")
    again = io.load(tmp_path / "m")
    assert not again.layers[0].is_built
    assert again(Input((4,))).shape == (None, 3)


# Files of weights.


def test_weights_by_path(tmp_path: Path) -> None:
    one, two = branches(), branches()
    one.save_weights(tmp_path / "w")
    report = two.load_weights(tmp_path / "w")
    assert [each.target for each in report.taken] == list(two.variables())
    assert report.is_complete
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(FormatError, match="weights, and no model"):
        io.load(tmp_path / "w")


def test_weights_of_whole_models_are_weights_too(tmp_path: Path) -> None:
    model = branches()
    model.compile("adam", "mse")
    model.save(tmp_path / "m")
    assert branches().load_weights(tmp_path / "m").is_complete


def test_weights_that_do_not_fit_change_nothing(tmp_path: Path) -> None:
    small = Sequential([Input((4,)), Dense(3, name="a"), Dense(2, name="b")])
    large = Sequential(
        [Input((4,)), Dense(3, name="a"), Dense(5, name="b"), Dense(1, name="c")]
    )
    small.save_weights(tmp_path / "w")
    before = large.get_weights()
    with pytest.raises(FormatError, match=r"b/kernel: \(3, 2\).*c/kernel is missing"):
        large.load_weights(tmp_path / "w")
    with pytest.raises(FormatError, match="b/kernel"):
        large.load_weights(tmp_path / "w", strict=False)
    for a, b in zip(before, large.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    report = large.load_weights(tmp_path / "w", strict=False, skip_mismatch=True)
    assert [each.target for each in report.taken] == ["a/kernel", "a/bias"]
    assert report.missing == ["c/kernel", "c/bias"]
    assert [text.partition(":")[0] for text in report.mismatched] == ["b/kernel", "b/bias"]
    assert "a/kernel  <- a/kernel (4, 3)" in str(report)
    np.testing.assert_array_equal(large.get_weights()[0], small.get_weights()[0])


# Bad files.


def tampered(tmp_path: Path, model: Model, change: Callable[[Any], Any]) -> Path:
    """A file of ``model`` with another architecture."""
    path = tmp_path / "m"
    model.save(path)
    contents = read(path)
    document = json.loads(contents.metadata["numbanet"])
    changed = change(document)
    text = changed if isinstance(changed, str) else json.dumps(document)
    io.save_tensors(contents.tensors, path, {"numbanet": text})
    return path


def put(*keys: Any) -> Callable[[Any], None]:
    """Replace what is at ``keys[:-1]`` by ``keys[-1]``."""

    def change(document: Any) -> None:
        *way, last, value = keys
        for key in way:
            document = document[key]
        document[last] = value

    return change


MLP = ["modules", -1]
FIRST = ["modules", 0]
CHANGES = {
    "no JSON": lambda _: "{",
    "a number": lambda _: "3",
    "deep": lambda _: "[" * 100_000,
    "huge number": lambda _: '{"version": ' + "9" * 10_000 + "}",
    "version": put("version", 99),
    "no modules": put("modules", None),
    "root": put("root", 7),
    "root is a layer": put("root", 0),
    "cycle": put(*MLP, "layers", [["a", 2]]),
    "itself": put(*MLP, "layers", [["a", 3]]),
    "negative": put(*MLP, "layers", [["a", -1]]),
    "kind": put(*FIRST, "kind", "model"),
    "private kind": put(*FIRST, "kind", "_init__"),
    "unknown class": put(*FIRST, "class", "Dance"),
    "module": put(*FIRST, "class", "os.system"),
    "function": put(*FIRST, "class", "ops.relu"),
    "no layer": put(*FIRST, "class", "initializers.HeNormal"),
    "abstract": put(*FIRST, "class", "custom>Dense"),
    "no class": put(*FIRST, "class", ["Dense"]),
    "argument": put(*FIRST, "config", {"dict": [["units", 3], ["unit", 3]]}),
    "missing argument": put(*FIRST, "config", {"dict": []}),
    "config": put(*FIRST, "config", [1]),
    "tag": put(*FIRST, "config", {"eval": "1 + 1"}),
    "tag with method": put(*FIRST, "config", {"_init__": "1"}),
    "unhashable": put(*FIRST, "config", {"dict": [[[1], 2]]}),
    "absurd units": put(*FIRST, "config", {"dict": [["units", 10**12]]}),
    "negative units": put(*FIRST, "config", {"dict": [["units", -1]]}),
    "other units": put(*FIRST, "config", {"dict": [["units", 2]]}),
    "absurd input": put(*MLP, "start", {"type": ["float32", [None, 2**60]]}),
    "large input": put(*MLP, "start", {"type": ["float32", [None, 10**11]]}),
    "input type": put(*MLP, "start", {"type": ["float7", [None, 4]]}),
    "name": put(*MLP, "given", "a/b"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_bad_architectures(kind: str, tmp_path: Path) -> None:
    path = tampered(tmp_path, sequential(), CHANGES[kind])
    with pytest.raises(FormatError):
        io.load(path)


GRAPHS = {
    "op": ("op", "frobnicate"),
    "attrs": ("attrs", {"attrs": "NoAttrs", "fields": {"dict": []}}),
    "other attrs": ("attrs", {"attrs": "InputAttrs", "fields": {"dict": []}}),
    "no attrs": ("attrs", None),
    "later value": ("args", [10_000]),
    "no value": ("args", ["x"]),
    "outputs": ("outputs", [5]),
    "constant": ("constant", "@constant/99"),
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_bad_graphs(kind: str, tmp_path: Path) -> None:
    def change(document: Any) -> None:
        steps = [step for step in document["modules"][-1]["steps"] if "op" in step]
        steps[0].update([GRAPHS[kind]])

    with pytest.raises(FormatError):
        io.load(tampered(tmp_path, plain_ops(), change))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)


def places(document: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something in a document can be replaced."""
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in pairs:
        yield (*way, key)
        if isinstance(value, dict | list):
            yield from places(value, (*way, key))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_an_architecture_with_anything_in_it_is_built_or_refused(data: st.DataObject) -> None:
    table = Architecture()
    document = {"root": table.add(FUZZED), "modules": table.modules}
    document = json.loads(json.dumps(document))
    way = data.draw(st.sampled_from(sorted(places(document), key=repr)))
    value = data.draw(JSON | st.sampled_from(["nn.Linear", "Dense", {"module": 0}]))
    put(*way, value)(document)
    try:
        model = rebuild(document, table.encode.arrays, FUZZED.count_params())
    except (FormatError, NotImplementedError):
        return
    assert isinstance(model, Model)
    assert model.count_params() <= FUZZED.count_params()


def test_weights_that_the_architecture_has_not_and_that_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "m"
    sequential().save(path)
    contents = read(path)
    for change in (
        {"dense/kernel": None},
        {"more": np.ones(2)},
        {"dense/bias": np.ones(2, "f")},
    ):
        tensors = {**contents.tensors, **change}
        kept = {name: array for name, array in tensors.items() if array is not None}
        io.save_tensors(kept, path, contents.metadata)
        with pytest.raises(FormatError):
            io.load(path)


@pytest.mark.parametrize("make", [sequential, modules])
def test_saving_and_loading_leave_the_random_numbers_alone(
    make: Callable[[], Model], tmp_path: Path
) -> None:
    model = make()
    before = shared_generator().bit_generator.state
    model.save(tmp_path / "m")
    io.load(tmp_path / "m")
    assert shared_generator().bit_generator.state == before


@pytest.mark.parametrize("kind", ["nn.Linear", "nn.BatchNorm1d", "nn.LSTM", "nn.Embedding"])
def test_absurd_modules(kind: str, tmp_path: Path) -> None:
    def change(document: Any) -> None:
        module = {"kind": "object", "class": kind, "name": "a", "frozen": []}
        first = {"nn.BatchNorm1d": [10**13], "nn.LSTM": [10**7, 10**6]}.get(kind, [10**7] * 2)
        names = list(inspect.signature(getattr(nn, kind[3:]).__init__).parameters)[1:]
        if kind == "nn.LSTM":
            names = ["input_size", "hidden_size"]
        pairs = [[name, size] for name, size in zip(names, first, strict=False)]
        document["modules"][0] = {**module, "config": {"dict": pairs}}

    with pytest.raises(FormatError, match="more parameters"):
        io.load(tampered(tmp_path, sequential(), change))


def test_a_model_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m"
    model = sequential()
    model.save(path)
    before = path.read_bytes()
    model.set_weights([array + 1 for array in model.get_weights()])

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    for save in (model.save, model.save_weights):
        with pytest.raises(OSError, match="No space left"):
            save(path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]
