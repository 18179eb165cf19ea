"""Architectures without weights: configurations of models, and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from numbanet.configuration import Objects
from numbanet.errors import FormatError
from numbanet.io.architecture import check_version, describe
from numbanet.io.rebuild import rebuild
from numbanet.models.model import Model


def to_config(model: Model) -> dict[str, Any]:
    """The architecture of a model as JSON holds it, constants included."""
    document, table = describe(model)
    arrays = {
        name: {
            "dtype": array.dtype.name,
            "shape": list(array.shape),
            "hex": array.tobytes().hex(),
        }
        for name, array in table.encode.arrays.items()
    }
    return {**document, "arrays": arrays}


def from_config(config: Any, objects: Objects | None = None) -> Model:
    """A new model with the architecture that `to_config` wrote, and first weights.

    Raises
    ------
    FormatError
        If it is none, or names something unknown.
    """
    check_version(config)
    arrays = {name: _array(each) for name, each in config.get("arrays", {}).items()}
    return rebuild(config, arrays, None, objects)


def _array(written: Mapping[str, Any]) -> np.ndarray:
    try:
        flat = np.frombuffer(bytes.fromhex(written["hex"]), dtype=np.dtype(written["dtype"]))
        return flat.reshape(written["shape"])
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError("not a constant", got=str(error)) from error


def from_json(text: str, objects: Objects | None = None) -> Model:
    """A new model of what `Model.to_json` wrote; raises FormatError."""
    try:
        config = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError("the architecture is no JSON", got=str(error)) from error
    return from_config(config, objects)
