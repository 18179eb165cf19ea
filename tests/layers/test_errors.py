"""Wrong calls: typed errors that name the layer and the mend, and change nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from numbanet import layers
from numbanet.errors import ArgumentError, DTypeError, ShapeError, SymbolicValueError
from numbanet.layers import Conv2D, Dense, Input


def test_dense_without_features_names_the_layer_and_the_shape() -> None:
    layer = Dense(10, name="fc1")
    with pytest.raises(ShapeError) as caught:
        layer(Input(()))
    text = str(caught.value)
    assert "Dense 'fc1' takes (batch, features)" in text
    assert "got (None,)" in text
    assert not layer.is_built
    assert layer(Input((784,))).shape == (None, 10)


def test_second_call_with_another_width_is_refused() -> None:
    layer = Dense(3, name="shared")
    layer(Input((4,)))
    with pytest.raises(ShapeError, match=r"Dense 'shared' has weights for 4 features, got \(N"):
        layer(Input((5,)))


def test_conv2d_on_images_without_channels_says_how_to_add_them() -> None:
    with pytest.raises(ShapeError, match=r"Conv2D 'conv2d' .*Reshape"):
        Conv2D(4, 3)(Input((28, 28)))


def test_conv2d_with_groups_that_do_not_divide_the_channels() -> None:
    with pytest.raises(ShapeError, match="3 groups"):
        Conv2D(6, 3, groups=3)(Input((8, 8, 4)))


def test_conv2d_larger_than_its_image_names_the_layer() -> None:
    with pytest.raises(ShapeError, match="stem"):
        Conv2D(4, 5, name="stem")(Input((3, 3, 1)))


def test_integers_into_dense_say_how_to_convert() -> None:
    with pytest.raises(DTypeError, match="floating-point"):
        Dense(3)(Input((4,), dtype="int64"))


def test_floats_into_embedding() -> None:
    with pytest.raises(DTypeError, match=r"Embedding 'words' takes integer ids, got float32"):
        layers.Embedding(5, 2, name="words")(Input((4,)))


def test_layer_on_an_array_points_to_predict() -> None:
    with pytest.raises(SymbolicValueError, match=r"predict\(array\)"):
        Dense(3)(np.zeros((2, 4)))


def test_merge_of_bare_values() -> None:
    with pytest.raises(ArgumentError, match=r"Add\(\)\(\[a, b\]\)"):
        layers.Add()(Input((4,)))


def test_merge_of_shapes_that_do_not_meet_names_the_layer() -> None:
    with pytest.raises(ShapeError, match="skip"):
        layers.Add(name="skip")([Input((4,)), Input((5,))])


WRONG_ARGUMENTS: list[Callable[[], object]] = [
    lambda: Dense(0),
    lambda: Dense(3, activation="rleu"),
    lambda: Dense(3, kernel_initializer="glorot"),
    lambda: Dense(3, name="a/b"),
    lambda: Conv2D(4, 0),
    lambda: Conv2D(4, (3, 3, 3)),
    lambda: Conv2D(4, 2.5),
    lambda: Conv2D(4, 3, padding="full"),
    lambda: Conv2D(4, 3, groups=3),
    lambda: layers.Dropout(1.0),
    lambda: layers.BatchNormalization(momentum=2),
    lambda: layers.LayerNormalization(epsilon=0),
    lambda: layers.Concatenate(axis=0),
    lambda: layers.Embedding(0, 3),
    lambda: Input((None, 3)),  # type: ignore[list-item]
]


@pytest.mark.parametrize("make", WRONG_ARGUMENTS)
def test_wrong_arguments_are_refused_at_once(make: Callable[[], object]) -> None:
    with pytest.raises(ArgumentError):
        make()
