"""Keras as an oracle: imported on a backend that is there, or the test is skipped."""

from __future__ import annotations

import importlib.util
import os
import warnings
from typing import Any

import pytest


def import_keras() -> Any:
    """The module ``keras`` on JAX, else on PyTorch; skips the test file if there is neither."""
    backends = [name for name in ("jax", "torch") if importlib.util.find_spec(name)]
    if importlib.util.find_spec("keras") is None or not backends:
        pytest.skip("needs Keras and JAX or PyTorch", allow_module_level=True)
    os.environ.setdefault("KERAS_BACKEND", backends[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras

    return keras
