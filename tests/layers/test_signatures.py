"""Constructors take what Keras's take, by position too, with the same defaults."""

from __future__ import annotations

import inspect
from inspect import Parameter
from typing import Any

import pytest

from numbanet import layers
from tests.keras_peer import import_keras

keras = import_keras()

NAMES = [
    name
    for name in dir(keras.layers)
    if isinstance(getattr(layers, name, None), type) and name not in ("Layer", "Wrapper")
]
CELLS = ("SimpleRNN", "LSTM", "GRU")
"""By position they take their cells' first arguments; all others by name."""

NOT_OURS = {"lora_rank", "lora_alpha", "quantization_config", "gptq_unpacked_column_size"}
BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def parameters(kind: type) -> dict[str, Parameter]:
    found = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]
    return {p.name: p for p in list(found)[1:] if p.name not in NOT_OURS}


def by_position(kind: type) -> list[str]:
    return [name for name, p in parameters(kind).items() if p.kind in BY_POSITION]


@pytest.mark.parametrize("name", NAMES)
def test_arguments_by_position_are_kerass(name: str) -> None:
    ours, theirs = by_position(getattr(layers, name)), by_position(getattr(keras.layers, name))
    if name.startswith(CELLS):
        theirs = theirs[: len(ours)]
    assert ours == theirs


def plain(default: Any) -> Any:
    """Names in lower case, and one number for pairs and pairs of pairs of it."""
    if isinstance(default, list | tuple):
        parts = {plain(each) for each in default}
        return parts.pop() if len(parts) == 1 else tuple(default)
    return default.lower() if isinstance(default, str) else default


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_kerass(name: str) -> None:
    ours, theirs = parameters(getattr(layers, name)), parameters(getattr(keras.layers, name))
    for key in ours.keys() & theirs.keys():
        peer = theirs[key].default
        if peer is not Parameter.empty:
            assert plain(ours[key].default) == plain(peer), key


def test_late_arguments_arrive() -> None:
    conv = layers.Conv2D(4, 3, 1, "same", None, 1, 1, "relu", False, "zeros")
    by_name = layers.Conv2D(
        4, 3, padding="same", activation="relu", use_bias=False, kernel_initializer="zeros"
    )
    assert conv.get_config() == by_name.get_config()
    conv(layers.Input((5, 5, 2)))
    assert not conv.kernel.numpy().any()
    assert layers.SpatialDropout1D(0.5, None, "drop").name == "drop"


def test_too_many_or_twice_is_pythons_error() -> None:
    with pytest.raises(TypeError, match="multiple values"):
        layers.Conv2D(4, 3, 1, "same", None, 1, 1, "relu", activation="tanh")
    with pytest.raises(TypeError, match="too many"):
        layers.MaxPooling2D(2, 2, "same", None, "pool", 7)
