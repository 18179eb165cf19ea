"""What layers are told besides their work: regularizers, constraints, dtypes; and `adapt`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet import initializers, layers, ops
from numbanet.errors import ArgumentError, DataError, ShapeError
from numbanet.ir import Graph, Value, Variable
from numbanet.layers import Conv2D, Dense, Input, Normalization
from numbanet.state.linking import link
from numbanet.testing import evaluate, run

RNG = np.random.default_rng(0)


def model_of(layer: layers.Layer, shape: tuple[int, ...], rate: float = 0.0) -> nb.Model:
    x = Input(shape)
    model = nb.Model(x, layer(x))
    model.compile(nb.optimizers.SGD(rate), "mse", device="cpu")
    return model


def squares(x: Value) -> Value:
    return ops.sum(ops.square(x))


def test_regularizers_add_to_the_loss() -> None:
    layer = Dense(
        3,
        kernel_regularizer=squares,
        bias_regularizer=lambda b: ops.sum(abs(b)) * 2.0,
        activity_regularizer=squares,
        bias_initializer="ones",
    )
    model = model_of(layer, (4,))
    x, y = RNG.normal(size=(6, 4)).astype(np.float32), np.zeros((6, 3), np.float32)
    kernel, bias = layer.get_weights()
    outputs = x @ kernel + bias
    # What outputs cost is shared by the batch.
    expected = (outputs**2).mean() + (kernel**2).sum() + 2 * 3 + (outputs**2).sum() / 6
    assert model.evaluate(x, y, batch_size=6, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_a_shared_layer_costs_for_each_call() -> None:
    layer, x = Dense(2, activity_regularizer=squares), Input((2,))
    model = nb.Model(x, layer(layer(x)))
    model.compile("sgd", "mse", device="cpu")
    array, target = np.ones((3, 2), np.float32), np.zeros((3, 2), np.float32)
    once = array @ layer.get_weights()[0]
    twice = once @ layer.get_weights()[0]
    expected = (twice**2).mean() + ((once**2).sum() + (twice**2).sum()) / 3
    found = model.evaluate(array, target, batch_size=3, verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_layer_adds_to_the_loss_what_it_likes() -> None:
    class Costly(layers.Layer):
        def forward(self, x: Value) -> Value:
            self.add_loss([ops.mean(x) * 2.0, ops.sum(x * x)])
            return x

    class Wrong(layers.Layer):
        def forward(self, x: Value) -> Value:
            self.add_loss(x)
            return x

    model = model_of(Costly(), (3,))
    x = RNG.normal(size=(4, 3)).astype(np.float32)
    found = model.evaluate(x, x, batch_size=4, verbose=0)
    assert found == pytest.approx(x.mean() * 2 + (x**2).sum(), rel=1e-5)
    with pytest.raises(ShapeError, match="adds numbers to the loss"):
        Wrong()(Input((3,)))


def test_a_layer_that_is_written_for_keras() -> None:
    class Linear(layers.Layer):
        def __init__(self, units: int = 3, **options: Any) -> None:
            super().__init__(**options)
            self.units = units

        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight(
                shape=(input_shape[-1], self.units),
                initializer="random_normal",
                regularizer="l2",
                name="w",
            )
            self.b = self.add_weight(shape=(self.units,), initializer="ones")
            self.count = self.add_weight(initializer="zeros", trainable=False, name="count")

        def call(self, inputs: Any) -> Any:
            return inputs @ self.w + self.b

    layer, x = Linear(), Input((4,))
    array = RNG.normal(size=(5, 4)).astype(np.float32)
    found = evaluate(layer(x), {x: array})
    w, b, _ = layer.get_weights()
    np.testing.assert_allclose(found, array @ w + b, rtol=1e-5, atol=1e-6)
    assert [v.shape for v in layer.trainable_weights] == [(4, 3), (3,)]
    assert [v.shape for v in layer.non_trainable_weights] == [()]
    assert list(layer.regularizers()) == [layer.w]
    model = model_of(Linear(), (4,), rate=0.1)
    before = model.get_weights()
    model.fit(array, np.zeros((5, 3), np.float32), epochs=1, verbose=0)
    moved = [(a != b).any() for a, b in zip(before, model.get_weights(), strict=True)]
    assert moved == [True, True, False]


def test_activity_regularization_is_a_layer() -> None:
    model = model_of(layers.ActivityRegularization(l1=0.1, l2=0.2), (3,))
    x = RNG.normal(size=(4, 3)).astype(np.float32)
    expected = (0.1 * abs(x).sum() + 0.2 * (x**2).sum()) / 4
    found = model.evaluate(x, x, batch_size=4, verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)


def test_constraints_see_kernels_as_they_are_shown() -> None:
    def first_tap_only(kernel: Value) -> Value:
        assert kernel.shape == (2, 1, 3, 4)
        mask = np.zeros((2, 1, 1, 1), np.float32)
        mask[0] = 1
        return kernel * ops.constant(mask)

    layer = Conv2D(4, (2, 1), kernel_constraint=first_tap_only)
    model = model_of(layer, (2, 2, 3), rate=0.1)
    x, y = np.ones((2, 2, 2, 3), np.float32), np.ones((2, 1, 2, 4), np.float32)
    model.fit(x, y, epochs=1, verbose=0)
    kernel = layer.get_weights()[0]
    assert not kernel[1].any()
    assert kernel[0].all()


def test_names_of_regularizers_and_constraints() -> None:
    layer = Dense(3, kernel_regularizer="l2", kernel_constraint="non_neg")
    layer(Input((2,)))
    assert list(layer.regularizers()) == [layer.kernel]
    assert list(layer.constraints()) == [layer.kernel]
    with pytest.raises(ArgumentError):
        Dense(3, kernel_regularizer="l3")


def test_initializers_see_kernels_as_they_are_shown() -> None:
    seen = []

    def note(shape: tuple[int, ...], fans: tuple[int, int]) -> np.ndarray:
        seen.append((shape, fans))
        return np.arange(np.prod(shape)).reshape(shape)

    layer = Conv2D(4, (2, 3), kernel_initializer=note)
    layer(Input((5, 5, 3)))
    assert seen == [((2, 3, 3, 4), (18, 24))]
    np.testing.assert_array_equal(layer.kernel.numpy().ravel(), np.arange(72))


def test_sparsemax_is_the_nearest_point_of_the_simplex() -> None:
    x = Input((5,), dtype="float64")
    rows = RNG.normal(size=(20, 5)) * 2
    found = evaluate(layers.Activation("sparsemax")(x), {x: rows})
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)
    assert (found >= 0).all()
    assert (found == 0).any()
    # What is left of positive elements was lowered by one number, that of others by no more.
    lowered = rows - found
    threshold = np.max(np.where(found > 0, lowered, -np.inf), 1, keepdims=True)
    np.testing.assert_allclose(np.where(found > 0, lowered, threshold), threshold + 0 * rows)
    assert (rows[found == 0] <= (threshold + 0 * rows)[found == 0]).all()


@pytest.mark.parametrize(
    ("axis", "shape", "axes"),
    [(-1, (7, 3, 4), (0, 1)), ((1, 2), (7, 3, 4), (0,)), (None, (7, 3), (0, 1))],
)
def test_adapt_takes_mean_and_variance(axis: Any, shape: tuple[int, ...], axes: Any) -> None:
    data = RNG.normal(3, 2, size=shape)
    for given in (data, [data[:2], data[2:]], iter([(data[:5], None), (data[5:], None)])):
        layer = Normalization(axis, dtype="float64")
        layer.adapt(given)
        np.testing.assert_allclose(layer.mean.numpy(), data.mean(axes))
        np.testing.assert_allclose(layer.variance.numpy(), data.var(axes))
        x = Input(shape[1:], dtype="float64")
        normal = evaluate(layer(x), {x: data})
        np.testing.assert_allclose(normal.mean(axes), 0, atol=1e-12)
        np.testing.assert_allclose(normal.var(axes), 1)


def test_adapt_reaches_a_model_that_exists() -> None:
    layer = Normalization()
    model = model_of(layer, (2,))
    data = RNG.normal(5, 3, size=(50, 2)).astype(np.float32)
    np.testing.assert_allclose(model.predict(data), data, rtol=1e-6)
    layer.adapt(data)
    np.testing.assert_allclose(model.predict(data).mean(0), 0, atol=1e-5)


def test_adapt_refuses_what_it_cannot_use() -> None:
    with pytest.raises(ArgumentError, match="given"):
        Normalization(mean=0.0, variance=1.0).adapt(np.ones((2, 3)))
    with pytest.raises(DataError, match="no data"):
        Normalization().adapt([])
    layer = Normalization()
    layer.adapt(np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        layer.adapt(np.ones((2, 4)))
    with pytest.raises(ArgumentError, match="one shape"):
        Normalization(mean=0.0)


def test_a_seed_of_its_own_is_not_the_models() -> None:
    x = Input((50,))
    array = np.ones((2, 50), np.float32)

    def drawn(own: int | None, models: int) -> np.ndarray:
        graph = Graph((x,), {"y": layers.Dropout(0.5, seed=own)(x)})
        seed, step = Variable(np.int64(models), "seed"), Variable(np.int64(0), "step")
        return run(link(graph, seed=seed, step=step)[0], {x: array})["y"]

    np.testing.assert_array_equal(drawn(1, 5), drawn(1, 6))
    assert (drawn(1, 5) != drawn(2, 5)).any()
    assert (drawn(None, 5) != drawn(None, 6)).any()


@pytest.mark.parametrize(
    "identifier",
    ["orthogonal", "Orthogonal", initializers.Orthogonal, initializers.Orthogonal()],
)
def test_initializers_by_name_class_and_object(identifier: Any) -> None:
    layer = Dense(3, kernel_initializer=identifier)
    layer(Input((5,)))
    kernel = layer.kernel.numpy()
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(3), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("LSTM", {"use_cudnn": True}),
        ("GRU", {"use_cudnn": False, "unroll": True}),
        ("SimpleRNN", {"unroll": True}),
        ("BatchNormalization", {"synchronized": True}),
        ("MultiHeadAttention", {"flash_attention": True}),
        ("Dense", {"autocast": True, "lora_rank": None}),
    ],
)
def test_arguments_that_change_no_value_are_taken(name: str, arguments: dict[str, Any]) -> None:
    sizes = {"BatchNormalization": (), "MultiHeadAttention": (2, 3)}.get(name, (3,))
    getattr(layers, name)(*sizes, **arguments)


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("Dense", "autocast", False),
        ("Dense", "lora_rank", 4),
        ("BatchNormalization", "renorm", True),
        ("Embedding", "quantization_config", "int8"),
    ],
)
def test_others_that_are_not_there_are_refused_by_name(
    name: str, argument: str, value: Any
) -> None:
    sizes = {"BatchNormalization": (), "Embedding": (5, 3)}.get(name, (3,))
    with pytest.raises(NotImplementedError, match=f"{name} does not support {argument}="):
        getattr(layers, name)(*sizes, **{argument: value})


def test_the_first_layer_may_know_the_shape_of_its_input() -> None:
    for shape in ({"input_shape": (4,)}, {"input_dim": 4}):
        model = nb.Sequential([Dense(3, **shape), Dense(2)])
        assert (model.input_shape, model.output_shape) == ((None, 4), (None, 2))
        added = nb.Sequential()
        added.add(Dense(3, **shape))
        assert added.output_shape == (None, 3)
