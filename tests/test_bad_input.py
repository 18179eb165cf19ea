"""What users get wrong, through the public API: a typed error that names what to mend.

After each error the model must be what it was: the same weights, the same number of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import numbanet as nb
from numbanet.errors import (
    ArgumentError,
    DataError,
    DeviceError,
    DTypeError,
    GraphError,
    NumbanetError,
    ShapeError,
    SymbolicValueError,
)
from numbanet.layers import (
    Activation,
    Add,
    Concatenate,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    Reshape,
)
from numbanet.runtime.cuda import is_available

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4)).astype(np.float32)
Y = np.arange(12) % 3


def classifier() -> nb.Sequential:
    model = nb.Sequential(
        [
            nb.Input((4,)),
            Dense(5, activation="relu", name="hidden"),
            Dense(3, activation="softmax", name="out"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], device="cpu")
    return model


def regressor() -> nb.Sequential:
    model = nb.Sequential([nb.Input((4,)), Dense(2, name="out")])
    model.compile("sgd", "mse", device="cpu")
    return model


@contextmanager
def refused(model: nb.Model, error: type[NumbanetError], *parts: str) -> Iterator[None]:
    """The block raises ``error``, whose text has all ``parts``, and ``model`` is unchanged."""
    weights = model.get_weights()
    steps = model.optimizer.iterations.numpy()
    with pytest.raises(error) as caught:
        yield
    for part in parts:
        assert part in str(caught.value)
    assert model.optimizer.iterations.numpy() == steps
    after = model.get_weights()
    assert len(after) == len(weights)
    for new, old in zip(after, weights, strict=True):
        np.testing.assert_array_equal(new, old)


# Graphs.


def test_shapes_that_do_not_meet() -> None:
    layer = Dense(10, name="fc1")
    layer(nb.Input((784,)))
    with pytest.raises(ShapeError) as caught:
        layer(nb.Input((1, 28, 28)))
    for part in ("Dense 'fc1'", "784 features", "got (None, 1, 28, 28)", "add Flatten()"):
        assert part in str(caught.value)


def test_shapes_that_do_not_meet_deep_in_a_model_name_the_path() -> None:
    inner = nb.Sequential([Dense(3, name="fc1")], name="head")
    with pytest.raises(ShapeError, match=r"Dense 'head/fc1'.*\(None,\)"):
        inner(nb.Input(()))


@pytest.mark.parametrize("merge", [Add, Concatenate])
def test_merged_shapes_that_do_not_meet_name_the_layer(merge: type) -> None:
    with pytest.raises(ShapeError) as caught:
        merge(name="skip")([nb.Input((2, 3)), nb.Input((3, 4))])
    assert caught.value.layer == "skip"
    assert "f32[None, 2, 3]" in str(caught.value)
    assert "f32[None, 3, 4]" in str(caught.value)


def test_disconnected_graph_names_the_input_and_its_reader() -> None:
    a, b = nb.Input((4,), name="left"), nb.Input((4,), name="right")
    with pytest.raises(GraphError) as caught:
        nb.Model(a, Dense(2)(Add(name="sum")([a, b])))
    for part in ("disconnected", "Add 'sum' needs Input 'right'", "(None, 4)", "inputs=["):
        assert part in str(caught.value)


def test_sequential_that_contains_itself() -> None:
    model = classifier()
    with refused(model, GraphError, "cannot contain itself", "cycle"):
        model.add(model)
    with refused(model, GraphError, "cannot contain itself", "cycle"):
        model.add(nb.Sequential([model]))
    assert [layer.name for layer in model] == ["hidden", "out"]


def test_layer_that_does_not_fit_is_not_added() -> None:
    model = classifier()
    with refused(model, ShapeError, "Conv2D 'conv'", "(None, 3)"):
        model.add(Conv2D(2, 3, name="conv"))
    assert len(model) == 2
    assert model.predict(X[:2]).shape == (2, 3)


def test_truth_of_a_symbolic_value() -> None:
    with pytest.raises(SymbolicValueError, match=r"bool\(\) of a symbolic value.*ops\.where"):
        bool(nb.Input((3,)) > 0)


@pytest.mark.parametrize("convert", [float, int, len, list, np.asarray])
def test_numbers_of_a_symbolic_value(convert: Callable[[object], object]) -> None:
    with pytest.raises(SymbolicValueError, match="of a symbolic value"):
        convert(nb.Input((3,)))


# Labels and targets.


@pytest.mark.parametrize(("labels", "got"), [(Y + 1, "1 .. 3"), (Y - 1, "-1 .. 1")])
def test_labels_out_of_range(labels: np.ndarray, got: str) -> None:
    model = classifier()
    with refused(model, DataError, "labels out of range", f"got {got}", "0 .. 2", "3 classes"):
        model.fit(X, labels, verbose=0)
    with refused(model, DataError, "labels out of range"):
        model.evaluate(X, labels)
    with refused(model, DataError, "labels out of range"):
        model.fit(X, Y, validation_data=(X, labels), verbose=0)


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        (Y + 0.5, ("class labels are integers", "got 0.5", "categorical_crossentropy")),
        (np.where(Y, Y, np.nan), ("class labels are integers", "got nan")),
        (np.eye(3)[Y], ("targets do not fit", "categorical_crossentropy")),
        (np.array(["cat", "dog", "cow"] * 4), ("not an array of numbers", "got dtype <U3")),
        ([None] * 12, ("not an array of numbers", "got dtype object")),
        (None, ("not an array of numbers",)),
        (np.stack([Y, Y], axis=1), ("do not fit the output", "(12, 2)", "(None,)")),
    ],
    ids=["halves", "nan", "one-hot", "strings", "objects", "none", "two columns"],
)
def test_labels_that_are_no_labels(labels: object, parts: tuple[str, ...]) -> None:
    model = classifier()
    with refused(model, DataError, "targets", *parts):
        model.fit(X, labels, verbose=0)


def test_targets_of_another_shape() -> None:
    model = regressor()
    with refused(model, DataError, "targets do not fit the output", "(12, 3)", "(None, 2)"):
        model.fit(X, np.zeros((12, 3)), verbose=0)


def test_probabilities_out_of_range() -> None:
    model = nb.Sequential([nb.Input((4,)), Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", device="cpu")
    with refused(model, DataError, "targets out of range", "-1 .. 1", "0 .. 1"):
        model.fit(X, np.where(Y > 0, 1, -1), verbose=0)
    with refused(model, DataError, "targets out of range"):
        model.fit(X, np.full(12, np.nan), verbose=0)


# Inputs.


@pytest.mark.parametrize(
    ("x", "parts"),
    [
        (X.astype(str), ("not an array of numbers", "got dtype <U32")),
        (X.astype(complex), ("not an array of numbers", "got dtype complex128")),
        ([[1, 2], [1]], ("not an array", "Give all samples one shape")),
        (None, ("not an array of numbers",)),
        (X[:, :3], ("wrong shape", "got (12, 3)", "expected (None, 4)")),
        (X[0], ("wrong shape", "got (4,)", "x[None]")),
        ({"image": X}, ("names do not match", "'image'", "'input'")),
        (np.full((12, 4), 1e300), ("too large for float32", "1e+300", "Scale the data")),
    ],
    ids=["strings", "complex", "ragged", "none", "features", "sample", "name", "overflow"],
)
def test_inputs_that_do_not_fit(x: object, parts: tuple[str, ...]) -> None:
    model = classifier()
    with refused(model, DataError, "input", *parts):
        model.fit(x, Y, verbose=0)
    with refused(model, DataError, "input", *parts):
        model.predict(x)


def test_ids_outside_of_the_table() -> None:
    model = nb.Sequential([nb.Input((2,), dtype="int64"), Embedding(3, 2), Flatten(), Dense(2)])
    model.compile("sgd", "mse", device="cpu")
    ids = np.array([[0, 3]])
    with refused(model, DataError, "ids out of range", "3 .. 3", "0 .. 2"):
        model.fit(ids, np.zeros((1, 2)), verbose=0)
    with refused(model, DataError, "ids are integers", "float64"):
        model.predict(ids.astype(float))


def test_nan_and_infinity_in_inputs_are_passed_on() -> None:
    model = regressor()
    x = X.copy()
    x[3, 1], x[5, 2] = np.nan, np.inf
    finite = np.isfinite(model.predict(x.astype(np.float64))).all(axis=1)
    np.testing.assert_array_equal(finite, np.isfinite(x).all(axis=1))


def test_loss_that_is_nan_is_shown() -> None:
    model = regressor()
    x = X.copy()
    x[0, 0] = np.nan
    history = model.fit(x, np.zeros((12, 2)), verbose=0, validation_data=(X, np.zeros((12, 2))))
    assert np.isnan(history.history["loss"][0])
    assert np.isnan(history.history["val_loss"][0])
    assert np.isnan(model.evaluate(X, np.zeros((12, 2))))


def test_arrays_of_different_lengths() -> None:
    model = classifier()
    with refused(model, DataError, "different length", "input 'input': 12", "'output': 5"):
        model.fit(X, Y[:5], verbose=0)
    with refused(model, DataError, "different length"):
        model.fit(X, Y, validation_data=(X[:2], Y[:3]), verbose=0)


def test_empty_data_set() -> None:
    model = classifier()
    for use in (
        lambda: model.fit(X[:0], Y[:0], verbose=0),
        lambda: model.evaluate(X[:0], Y[:0]),
        lambda: model.predict(X[:0]),
    ):
        with refused(model, DataError, "empty data set", "0 samples"):
            use()


def test_model_that_learns_its_shapes_from_data_forgets_data_that_were_refused() -> None:
    model = nb.Sequential([Dense(5), Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", device="cpu")
    with refused(model, DataError, "labels out of range"):
        model.fit(np.zeros((12, 7)), Y + 1, verbose=0)
    assert model.predict(X).shape == (12, 3)


def test_model_whose_layers_do_not_fit_the_first_data_stays_unbuilt() -> None:
    model = nb.Sequential([Dense(5), Conv2D(3, 3)])
    model.compile("sgd", "mse", device="cpu")
    with refused(model, ShapeError, "Conv2D 'conv2d'"):
        model.predict(X)
    assert not model[0].is_built


# Arguments.


def test_floats_that_are_integers_are_labels_as_in_keras() -> None:
    model = classifier()
    expected = model.evaluate(X, Y)
    assert model.evaluate(X, Y.astype(np.float32)) == expected
    assert model.evaluate(X, Y.astype(np.float64)[:, None]) == expected
    assert np.isfinite(model.evaluate(X, Y > 0)).all()


NAMES: list[tuple[Callable[[str], object], str, tuple[str, ...]]] = [
    (lambda name: regressor().compile(name, "mse"), "optimizer", ("sgd", "adam", "adamw")),
    (lambda name: regressor().compile("sgd", name), "loss", ("mse", "huber")),
    (
        lambda name: regressor().compile("sgd", "mse", metrics=[name]),
        "metric",
        ("accuracy", "mae"),
    ),
    (lambda name: Dense(3, activation=name), "activation", ("relu", "softmax")),
    (lambda name: Activation(name), "activation", ("relu", "tanh")),
    (lambda name: Dense(3, kernel_initializer=name), "initializer", ("zeros", "he_normal")),
    (lambda name: regressor().compile("sgd", "mse", device=name), "device", ("cpu", "cuda")),
]


@pytest.mark.parametrize(("use", "what", "known"), NAMES)
def test_unknown_name_lists_the_known_ones(
    use: Callable[[str], object], what: str, known: tuple[str, ...]
) -> None:
    with pytest.raises(ArgumentError, match=f"unknown {what}, got 'nope', expected") as caught:
        use("nope")
    for name in known:
        assert name in str(caught.value)


@pytest.mark.parametrize("optimizer", [None, 0.1, nb.optimizers.SGD])
def test_optimizer_that_is_none(optimizer: object) -> None:
    with pytest.raises(ArgumentError, match="unknown optimizer"):
        regressor().compile(optimizer, "mse")  # type: ignore[arg-type]


def test_failed_compile_keeps_what_was_compiled() -> None:
    model = regressor()
    optimizer = model.optimizer
    for wrong in ({"optimizer": "sgdd"}, {"loss": "msee"}, {"metrics": ["acuracy"]}):
        with refused(model, ArgumentError, "unknown"):
            model.compile(**({"optimizer": "sgd", "loss": "mse"} | wrong))
    assert model.optimizer is optimizer


def test_unknown_names_are_refused_before_shapes_are_known() -> None:
    model = nb.Sequential([Dense(2)])
    with pytest.raises(ArgumentError, match="unknown loss, got 'msee'"):
        model.compile("sgd", "msee", device="cpu")
    with pytest.raises(ArgumentError, match="unknown metric, got 'acuracy'"):
        model.compile("sgd", "mse", metrics=["acuracy"], device="cpu")


def test_metrics_in_the_place_of_loss_weights_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"loss_weights: .* got 'mae'\. .*metrics=\["):
        regressor().compile("sgd", "mse", ["mae"])  # type: ignore[list-item]


@pytest.mark.skipif(is_available(), reason="needs a machine without CUDA")
def test_cuda_where_there_is_none_says_what_to_install() -> None:
    model = regressor()
    with refused(model, DeviceError, "nstall"):
        model.compile("sgd", "mse", device="cuda")


def test_fit_before_compile() -> None:
    model = nb.Sequential([nb.Input((4,)), Dense(2)], name="net")
    for use in (model.fit, model.evaluate):
        with pytest.raises(ArgumentError, match=r"Sequential 'net' is not compiled.*compile\("):
            use(X, Y)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True, "32"])
def test_batch_size_that_is_no_size(batch_size: int) -> None:
    model = classifier()
    for use in (
        lambda: model.fit(X, Y, batch_size=batch_size, verbose=0),
        lambda: model.evaluate(X, Y, batch_size=batch_size),
        lambda: model.predict(X, batch_size=batch_size),
    ):
        with refused(model, ArgumentError, "batch_size is a positive integer", str(batch_size)):
            use()


def test_no_epochs() -> None:
    model = classifier()
    with refused(model, ArgumentError, "epochs is a positive integer", "0"):
        model.fit(X, Y, epochs=0, verbose=0)


@pytest.mark.parametrize("fraction", [-0.1, 0.01, 1.0, 1.5, float("nan"), "0.5"])
def test_validation_split_out_of_range(fraction: float) -> None:
    model = classifier()
    with refused(model, ArgumentError, "validation_split", f"{fraction} of 12"):
        model.fit(X, Y, validation_split=fraction, verbose=0)


def test_two_kinds_of_validation() -> None:
    model = classifier()
    with refused(model, ArgumentError, "validation_split or validation_data"):
        model.fit(X, Y, validation_split=0.5, validation_data=(X, Y), verbose=0)


@pytest.mark.parametrize("data", [X, (X,), (X, Y, Y, Y)])
def test_validation_data_that_is_no_pair(data: object) -> None:
    model = classifier()
    with refused(model, ArgumentError, "validation_data is a pair (x, y)"):
        model.fit(X, Y, validation_data=data, verbose=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 1.5, "a"])
def test_seed_that_is_no_seed(seed: int) -> None:
    model = classifier()
    with refused(model, ArgumentError, "seed is a whole number", repr(seed)):
        model.fit(X, Y, seed=seed, verbose=0)


def test_weights_of_other_shapes() -> None:
    model = classifier()
    with refused(model, ArgumentError, "hidden/kernel (4, 5)", "(2, 2)"):
        model.set_weights([np.zeros((2, 2))])
    last_is_wrong = [*model.get_weights()[:-1], np.zeros(4)]
    with refused(model, ArgumentError, "out/bias (3,)"):
        model.set_weights([w + 1 for w in last_is_wrong])


WRONG_LAYERS: list[Callable[[], object]] = [
    lambda: Dense(0),
    lambda: Dense(1.5),  # type: ignore[arg-type]
    lambda: Embedding(3.5, 2),  # type: ignore[arg-type]
    lambda: Conv2D(1.5, 3),  # type: ignore[arg-type]
    lambda: Conv2D(2, 3, strides=0),
    lambda: Conv2D(2, 3, padding="nope"),
    lambda: Reshape((1.5,)),  # type: ignore[arg-type]
    lambda: nb.Input((None, 3)),  # type: ignore[arg-type]
    lambda: nb.optimizers.SGD(float("nan")),
    lambda: nb.optimizers.Adam(-1.0),
    lambda: nb.Sequential([Dense]),  # type: ignore[list-item]
    lambda: nb.Sequential([Dense(1, name="a"), Dense(2, name="a")]),
    lambda: nb.Model(nb.Input((3,))),
]


@pytest.mark.parametrize("make", WRONG_LAYERS, ids=range(len(WRONG_LAYERS)))
def test_wrong_arguments_are_refused_where_they_are_given(make: Callable[[], object]) -> None:
    with pytest.raises(ArgumentError):
        make()


def test_unknown_element_type_lists_the_known_ones() -> None:
    with pytest.raises(
        DTypeError, match="unknown element type, got 'float16', expected float32"
    ):
        nb.Input((3,), dtype="float16")
