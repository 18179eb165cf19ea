"""Functions that join values, beside Keras's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numbanet import Input, Model, layers
from tests.keras_peer import import_keras

keras = import_keras()

A, B = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("add", {}),
        ("subtract", {}),
        ("multiply", {}),
        ("average", {}),
        ("maximum", {}),
        ("minimum", {}),
        ("concatenate", {}),
        ("concatenate", {"axis": 1, "name": "both"}),
        ("dot", {"axes": 1}),
        ("dot", {"axes": 1, "normalize": True}),
    ],
)
def test_functions_join_as_kerass(name: str, options: dict[str, Any]) -> None:
    inputs = [Input((4,)), Input((4,))]
    found = Model(inputs, getattr(layers, name)(inputs, **options)).predict([A, B])
    expected = np.asarray(getattr(keras.layers, name)([A, B], **options))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
