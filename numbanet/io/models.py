"""Whole models in files: architecture, weights, and how training stood."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from numbanet.configuration import Objects
from numbanet.errors import ArgumentError, FormatError
from numbanet.io import training
from numbanet.io.architecture import Architecture, check_version, describe
from numbanet.io.atomic import PathLike
from numbanet.io.encoding import CONSTANT, Decoder
from numbanet.io.rebuild import rebuild
from numbanet.io.tensors import count, read, save_tensors
from numbanet.io.weights import RESERVED, take, weights_of
from numbanet.layers.ownership import walk
from numbanet.models.model import Model

KEY = "numbanet"
"""The entry of a file's metadata that holds the architecture."""


def save(
    model: Model, path: PathLike, *, overwrite: bool = True, include_optimizer: bool = True
) -> None:
    """Write a model into a file; see `Model.save`."""
    document, table = describe(model)
    weights = weights_of(model)
    state: dict[str, np.ndarray] = {}
    if include_optimizer and model._compiled is not None:
        document["compile"] = training.compile_arguments(model, table.encode)
        state = training.optimizer_state(model)
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    _check_rebuilt(model, json.loads(text), table)
    tensors = {**weights, **table.encode.arrays, **state}
    save_tensors(tensors, path, {KEY: text}, overwrite=overwrite)


def _check_rebuilt(model: Model, document: Any, table: Architecture) -> None:
    """Raise unless the file will give the same model: now there is still one to mend."""
    mend = "Give the layer a get_config() and a from_config() that rebuild it"
    try:
        again = rebuild(
            document, table.encode.arrays, model.count_params(), table.encode.custom
        )
    except FormatError as error:
        raise ArgumentError("the model cannot be rebuilt", got=str(error), mend=mend) from error
    if _outline(again) != _outline(model):
        odd = sorted(set(_outline(again)) ^ set(_outline(model)))
        raise ArgumentError(
            "the model was changed after its layers were made", got=", ".join(odd), mend=mend
        )


def _outline(model: Model) -> list[str]:
    """Layers and weights, as far as a rebuilt model must have the same."""
    modules = [f"{path} {type(module).__name__}" for path, module in walk(model) if path]
    weights = [f"{path} {each.shape}" for path, each in model.variables().items()]
    return modules + weights


def load(path: PathLike, custom_objects: Objects | None = None, compile: bool = True) -> Model:
    """The model of a file from `Model.save`: layers shared as they were, names, weights.

    Nothing in the file is run or imported: it holds numbers, and names of layers.

    Parameters
    ----------
    path : path
    custom_objects : dict of str to class or function, optional
        Yours, by the names that they have in the file; see also `register`.
    compile : bool
        Compile the model as it was, with the optimizer where it stopped, if the file says so.

    Returns
    -------
    Model

    Raises
    ------
    FormatError
        If the file is broken, or names a class that is not known.
    FileNotFoundError
        If there is none.
    """
    contents = read(path)
    document = _document(contents.metadata)
    reserved = {k: a for k, a in contents.tensors.items() if k[:1] == RESERVED}
    weights = {k: a for k, a in contents.tensors.items() if k not in reserved}
    constants = {k: a for k, a in reserved.items() if k.startswith(CONSTANT)}
    model = rebuild(document, constants, count(weights), custom_objects)
    take(model.variables(), weights, strict=True)
    if compile and "compile" in document:
        _compile(model, document["compile"], reserved, custom_objects)
    return model


def _document(metadata: Mapping[str, str]) -> dict[str, Any]:
    if KEY not in metadata:
        raise FormatError(
            "the file holds weights, and no model",
            mend="Build the model and call its load_weights()",
        )
    try:
        document = json.loads(metadata[KEY])
    except (ValueError, RecursionError) as error:
        raise FormatError("the architecture is no JSON", got=str(error)) from error
    check_version(document)
    return document


def _compile(
    model: Model,
    arguments: Any,
    tensors: Mapping[str, np.ndarray],
    objects: Objects | None,
) -> None:
    def none(number: Any) -> Any:
        raise FormatError("compile() takes no layers and no values", got=repr(number))

    try:
        decode = Decoder(none, none, dict(tensors), objects)
        model.compile(**{name: decode(value) for name, value in arguments.items()})
        training.restore(model, tensors)
    except (FormatError, NotImplementedError, Warning):
        raise
    except Exception as error:
        raise FormatError(
            "what the file says about training does not fit",
            got=f"{type(error).__name__}: {error}",
            mend="Load it with compile=False",
        ) from error
