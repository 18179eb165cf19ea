"""Keras's names of functions and of short forms, beside those of classes."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import numbanet as nb
from numbanet.configuration import from_config, to_config
from numbanet.testing import evaluate
from tests.keras_peer import import_keras

keras = import_keras()

NOT_THERE = {"serialize", "deserialize"}
ABSENT = {"stft", "threshold"}
ROOMS = ("activations", "regularizers", "constraints", "initializers")
X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(2, 6)
ACTIVATIONS = [name for name in nb.activations.__all__ if name not in ("get", "sparsemax")]
"""All but the one that differs: see docs/layers.md."""


@pytest.mark.parametrize("room", ROOMS)
def test_kerass_lower_case_names_are_there(room: str) -> None:
    peers = getattr(keras, room)
    theirs = {name for name in dir(peers) if name.islower() and callable(getattr(peers, name))}
    missing = theirs - set(dir(getattr(nb, room))) - NOT_THERE - ABSENT
    assert not {name for name in missing if name[0] != "_"}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_functions_of_values(name: str) -> None:
    function = getattr(nb.activations, name)
    x = nb.ops.input_value("x", X.shape)
    expected = np.asarray(getattr(keras.activations, name)(X))
    np.testing.assert_allclose(evaluate(function(x), {x: X}), expected, rtol=1e-4, atol=1e-5)
    layer = nb.layers.Dense(4, activation=function)
    again = from_config(to_config(layer))
    assert again.activation is layer.activation


@pytest.mark.parametrize(
    ("room", "name", "arguments"),
    [
        ("regularizers", "l1", {"l1": 0.3}),
        ("regularizers", "l2", {"l2": 0.3}),
        ("regularizers", "l1_l2", {"l1": 0.3, "l2": 0.2}),
        ("constraints", "max_norm", {"max_value": 0.7}),
        ("constraints", "unit_norm", {"axis": 1}),
    ],
)
def test_short_names_are_kerass(room: str, name: str, arguments: dict[str, Any]) -> None:
    ours = getattr(getattr(nb, room), name)
    theirs = getattr(getattr(keras, room), name)
    own = list(inspect.signature(theirs).parameters)
    assert list(inspect.signature(ours).parameters) == own
    x = nb.ops.input_value("x", X.shape)
    found = evaluate(ours(**arguments)(x), {x: X})
    np.testing.assert_allclose(found, np.asarray(theirs(**arguments)(X)), rtol=1e-5)
