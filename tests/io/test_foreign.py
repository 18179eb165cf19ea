"""Weights from PyTorch and Keras: the same outputs, and a report of what was done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numbanet import Input, Model, Sequential, io, layers, nn
from numbanet.errors import ArgumentError, FormatError
from numbanet.io import from_keras, from_torch
from numbanet.ir import Graph
from numbanet.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Embedding,
    GroupNormalization,
    LayerNormalization,
    MultiHeadAttention,
    ReLU,
    SimpleRNN,
)
from numbanet.passes.inference import inference
from numbanet.testing import evaluate
from tests.keras_peer import import_keras
from tests.reference_device import ReferenceDevice

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
RNG = np.random.default_rng(0)


def run(model: Model, array: np.ndarray) -> np.ndarray:
    x = Input(array.shape[1:], dtype=array.dtype.name)
    graph = inference(Graph((x,), {"y": model(x)}))
    return evaluate(graph.outputs["y"], {x: array})


def randomized(module: Any) -> Any:
    """``module`` with other numbers than zeros and ones in it."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            low, high = (0.5, 2.0) if "var" in name else (-1.0, 1.0)
            tensor.uniform_(low, high)
    return module.eval()


def image_last(array: Any) -> np.ndarray:
    return np.moveaxis(array, 1, -1)


IMAGE = RNG.normal(size=(2, 4, 5, 6)).astype(np.float32)
ROWS = RNG.normal(size=(2, 3, 4)).astype(np.float32)
IDS = RNG.integers(7, size=(2, 3))


T = torch.nn
LAYERS: list[tuple[str, Any, Any, np.ndarray]] = [
    ("Dense", T.Linear(4, 3), Dense(3), ROWS),
    ("Dense without a bias", T.Linear(4, 3, bias=False), Dense(3, use_bias=False), ROWS),
    ("Conv2D", T.Conv2d(4, 6, (2, 3), groups=2), Conv2D(6, (2, 3), groups=2), IMAGE),
    ("Conv2DTranspose", T.ConvTranspose2d(4, 3, (2, 3)), Conv2DTranspose(3, (2, 3)), IMAGE),
    (
        "DepthwiseConv2D",
        T.Conv2d(4, 8, (3, 2), groups=4),
        DepthwiseConv2D((3, 2), depth_multiplier=2),
        IMAGE,
    ),
    ("BatchNormalization", T.BatchNorm2d(4), BatchNormalization(), IMAGE),
    ("LayerNormalization", T.LayerNorm(4), LayerNormalization(), ROWS),
    ("GroupNormalization", T.GroupNorm(2, 4), GroupNormalization(2), IMAGE),
    ("Embedding", T.Embedding(7, 2), Embedding(7, 2), IDS),
    ("SimpleRNN", T.RNN(4, 3, batch_first=True), SimpleRNN(3, return_sequences=True), ROWS),
    ("LSTM", T.LSTM(4, 3, batch_first=True), LSTM(3, return_sequences=True), ROWS),
    ("GRU", T.GRU(4, 3, batch_first=True), GRU(3, return_sequences=True), ROWS),
]


@pytest.mark.parametrize(
    ("theirs", "ours", "array"), [e[1:] for e in LAYERS], ids=[e[0] for e in LAYERS]
)
def test_a_layer_with_the_weights_of_pytorchs_computes_the_same(
    theirs: Any, ours: Any, array: np.ndarray
) -> None:
    with torch.no_grad():
        randomized(theirs)
        expected = theirs(torch.from_numpy(array))
    expected = expected[0] if isinstance(expected, tuple) else expected
    is_image = array.ndim == 4
    x = Input((image_last(array) if is_image else array).shape[1:], dtype=array.dtype.name)
    model = Model(x, ours(x))
    report = from_torch(model, torch.nn.ModuleDict({ours.name: theirs}))
    assert report.is_complete
    assert len(report.taken) == len(model.weights)
    found = run(model, image_last(array) if is_image else array)
    wanted = expected.numpy()
    np.testing.assert_allclose(
        found, image_last(wanted) if is_image else wanted, rtol=1e-5, atol=1e-5
    )


def test_attention_is_one_module_there_and_four_layers_here() -> None:
    theirs = randomized(T.MultiheadAttention(6, 2, batch_first=True))
    array = RNG.normal(size=(2, 3, 6)).astype(np.float32)
    x = Input((3, 6))
    model = Model(x, Dense(2)(MultiHeadAttention(2, 3)(x, x)))
    state = T.Sequential(theirs, randomized(T.Linear(6, 2))).state_dict()
    report = from_torch(model, state, {"0": "multi_head_attention", "1": "dense"})
    assert report.is_complete
    assert from_torch(model, state, "order").is_complete
    given = torch.from_numpy(array)
    with torch.no_grad():
        expected = theirs(given, given, given)[0] @ state["1.weight"].T + state["1.bias"]
    np.testing.assert_allclose(run(model, array), expected.numpy(), rtol=1e-4, atol=1e-5)


class TorchNet(T.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = T.Conv2d(4, 3, 2)
        self.bn = T.BatchNorm2d(3, eps=1e-2, momentum=0.2)
        self.head = T.Conv2d(3, 2, 1)

    def forward(self, x: Any) -> Any:
        return self.head(torch.relu(self.bn(self.conv(x))))


def net() -> Sequential:
    shape = image_last(IMAGE).shape[1:]
    layers = {
        "conv": Conv2D(3, 2),
        "bn": BatchNormalization(),
        "relu": ReLU(),
        "head": Conv2D(2, 1),
    }
    model = Sequential(layers)
    model.start(Input(shape).type)
    return model


def test_modules_say_their_epsilon_and_momentum(tmp_path: Path) -> None:
    theirs, ours = randomized(TorchNet()), net()
    report = from_torch(ours, theirs)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(IMAGE)).numpy()
    np.testing.assert_allclose(
        run(ours, image_last(IMAGE)), image_last(expected), rtol=1e-5, atol=1e-5
    )
    assert report.settings == ["bn: epsilon 0.001 -> 0.01", "bn: momentum 0.99 -> 0.8"]
    assert report.ignored == ["bn.num_batches_tracked"]
    lines = str(report).splitlines()
    assert "conv/kernel         <- conv.weight (2, 2, 4, 3) OI... -> ...IO" in lines
    ours.save(tmp_path / "m")
    assert io.load(tmp_path / "m")["bn"].epsilon == 0.01


def test_predictions_use_the_new_epsilon() -> None:
    model = Sequential([Input((4,)), BatchNormalization(name="bn")])
    model.compile("sgd", "mse", device=ReferenceDevice())
    data = np.ones((2, 4), np.float32)
    model.predict(data)
    from_torch(model, T.ModuleDict({"bn": T.BatchNorm1d(4, eps=3.0)}))
    np.testing.assert_allclose(model.predict(data), 0.5, rtol=1e-6)


def test_state_dicts_and_files_do_not_say_epsilons(tmp_path: Path) -> None:
    theirs = randomized(TorchNet())
    io.save_tensors(theirs.state_dict(), tmp_path / "t")
    for source in (theirs.state_dict(), tmp_path / "t"):
        report = from_torch(net(), source)
        assert "epsilon 0.001 is not in a state dict" in report.settings[0]


def test_mappings_and_order() -> None:
    theirs = T.Sequential(T.Linear(4, 3), T.ReLU(), T.Linear(3, 2))
    ours = Sequential([Input((4,)), Dense(3), ReLU(), Dense(2)])
    with pytest.raises(FormatError, match=r"dense/kernel is missing.*0\.weight has no place"):
        from_torch(ours, theirs)
    for mapping in ({"0": "dense", "2": "dense_1"}, "order"):
        fresh = Sequential([Input((4,)), Dense(3), ReLU(), Dense(2)])
        from_torch(fresh, theirs.state_dict(), mapping)
        expected = theirs(torch.from_numpy(ROWS[:, 0])).detach().numpy()
        np.testing.assert_allclose(run(fresh, ROWS[:, 0]), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ArgumentError, match="no layer with weights"):
        from_torch(ours, theirs, {"0": "denses"})
    with pytest.raises(ArgumentError, match="'order'"):
        from_torch(ours, theirs, "shape")
    with pytest.raises(FormatError, match="as many modules"):
        from_torch(ours, {"0.weight": np.ones((3, 4))}, "order")


def test_what_does_not_fit_changes_nothing() -> None:
    ours = Sequential([Input((4,)), Dense(3, name="a"), Dense(2, name="b")])
    before = ours.get_weights()
    state = {"a.weight": np.ones((3, 4)), "a.bias": np.ones(3), "b.weight": np.ones((3, 2))}
    with pytest.raises(FormatError, match=r"b/kernel from b\.weight: .*b/bias is missing"):
        from_torch(ours, state)
    for old, new in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    del state["b.weight"]
    report = from_torch(ours, {**state, "c.weight": np.ones(1)}, strict=False)
    assert report.missing == ["b/kernel", "b/bias"]
    assert report.unexpected == ["c.weight"]
    np.testing.assert_array_equal(ours.get_weights()[0], np.ones((4, 3)))


def test_our_modules_in_a_model_take_pytorchs_weights() -> None:
    theirs = randomized(T.Conv2d(4, 3, 2))
    x = Input((4, 5, 6))
    model = Model(x, nn.Conv2d(4, 3, 2)(x))
    from_torch(model, {"conv2d." + k: v for k, v in theirs.state_dict().items()})
    expected = theirs(torch.from_numpy(IMAGE)).detach().numpy()
    np.testing.assert_allclose(run(model, IMAGE), expected, rtol=1e-5, atol=1e-5)


# Keras.


def keras_and_ours() -> tuple[Any, Model]:
    """A graph with branches of several lengths, a shared layer and a nested model."""
    keras = import_keras()

    def build(kit: Any, start: Callable[[], Any], model: Any, nested: Any) -> Any:
        x = start()
        stem = kit.Dense(5)(x)
        shared = kit.Dense(5)
        long = kit.LayerNormalization(epsilon=0.1)(shared(kit.Dense(5)(stem)))
        inner = nested([kit.Dense(5), kit.BatchNormalization(momentum=0.5)])
        short = shared(stem)
        joined = kit.Add()([short, inner(long), long])
        return model(x, [kit.Dense(2)(joined), kit.Dense(1)(short)])

    theirs = build(keras.layers, lambda: keras.Input((4,)), keras.Model, keras.Sequential)
    ours = build(layers, lambda: Input((4,)), Model, Sequential)
    for weight in theirs.weights:
        weight.assign(RNG.uniform(0.5, 1.5, size=weight.shape))
    return theirs, ours


def test_weights_of_keras_models_are_in_the_same_order() -> None:
    theirs, ours = keras_and_ours()
    assert [w.shape for w in theirs.get_weights()] == [w.shape for w in ours.get_weights()]
    ours["layer_normalization"].epsilon = 0.2
    report = from_keras(ours, theirs)
    assert report.settings == ["layer_normalization: epsilon 0.2 -> 0.1"]
    assert report.taken[0].source == theirs.weights[0].path
    x = Input((4,))
    graph = inference(Graph((x,), dict(zip("ab", ours(x), strict=True))))
    array = ROWS[:, 0]
    for ours_, theirs_ in zip(
        graph.outputs.values(), theirs.predict(array, verbose=0), strict=True
    ):
        np.testing.assert_allclose(evaluate(ours_, {x: array}), theirs_, rtol=1e-4, atol=1e-5)


def test_weights_of_keras_in_a_list_and_in_a_file(tmp_path: Path) -> None:
    theirs, ours = keras_and_ours()
    from_keras(ours, theirs.get_weights())
    for a, b in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(FormatError, match="missing"):
        from_keras(ours, theirs.get_weights()[:-1])
    with pytest.raises(FormatError, match=r"\[0\]"):
        from_keras(ours, theirs.get_weights()[::-1])
    io.save_weights(ours, tmp_path / "w")
    assert from_keras(ours, tmp_path / "w").is_complete


def test_another_kind_of_weight_is_refused() -> None:
    keras = import_keras()
    norm = keras.layers.BatchNormalization(scale=False)
    theirs = keras.Sequential([keras.Input((4,)), norm])
    ours = Sequential([Input((4,)), BatchNormalization(center=False)])
    with pytest.raises(FormatError, match="another kind of weight"):
        from_keras(ours, theirs)
