"""Copies of models: the same architecture with new layers, and so new weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbanet.configuration import arguments, construct, is_plain
from numbanet.errors import ArgumentError
from numbanet.ir import Value
from numbanet.layers.module import Module
from numbanet.layers.ownership import walk
from numbanet.layers.structure import flatten, map_leaves
from numbanet.models.functional import Topology, input_name
from numbanet.models.model import Model
from numbanet.models.sequential import Sequential
from numbanet.ops.leaf import input_value

Clone = Callable[[Module], Module]


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Clone | None = None,
    call_function: None = None,
    recursive: bool = False,
    **options: Any,
) -> Model:
    """A model of the same architecture, with new layers that have first weights.

    Parameters
    ----------
    model : Model
        A layer that it calls twice is called twice in the copy, too.
    input_tensors : Value, or values nested as the model's inputs, optional
        What the copy starts from.
    clone_function : callable, optional
        Of a layer: the layer in its place, perhaps itself. By default one that is made as the
        layer was.
    call_function : None
        Not supported.
    recursive : bool
        Whether ``clone_function`` is asked for layers of nested models, too.

    Raises
    ------
    ArgumentError
        If a layer cannot be made again, or ``clone_function`` returns none.

    Examples
    --------
    >>> copy = clone_model(model)
    >>> copy.set_weights(model.get_weights())
    """
    for name, value in {"call_function": call_function, **options}.items():
        if value is not None:
            raise NotImplementedError(f"clone_model does not support {name}={value!r}")
    if not isinstance(model, Model):
        raise ArgumentError("clone_model() takes a model", got=repr(model))
    return _Cloner(clone_function, recursive).model(model, input_tensors)


class _Cloner:
    """Copies models; a layer that several of them share is copied once."""

    def __init__(self, clone: Clone | None, is_recursive: bool) -> None:
        self._clone = clone
        self._is_recursive = is_recursive
        self._copies: dict[Module, Module] = {}

    def model(self, model: Model, inputs: Any = None) -> Model:
        if model.topology is not None and type(model) is Model:
            return self._functional(model, model.topology, inputs)
        if type(model) is Sequential:
            return self._sequential(model, inputs)
        if inputs is not None:
            raise ArgumentError("input_tensors are for models of layers", got=repr(model))
        return self._made_again(model)

    def _functional(self, model: Model, topology: Topology, given: Any) -> Model:
        inputs = list(map(_like, topology.inputs.values())) if given is None else flatten(given)
        copies = {name: self._layer(layer) for name, layer in topology.layers.items()}
        outputs = dict(zip(topology.outputs, topology.record(inputs, copies), strict=True))
        named = dict(zip(topology.inputs, inputs, strict=True))
        signature = model.signature
        return Model.with_known(
            copies,
            map_leaves(lambda name: named[name], signature.input_structure),
            map_leaves(lambda name: outputs[name], signature.structure),
            _own_name(model),
        )

    def _sequential(self, model: Sequential, given: Any) -> Sequential:
        layers = {name: self._layer(layer) for name, layer in model.submodules().items()}
        copy = Sequential(layers, name=_own_name(model))
        type_ = model.input_type if given is None else given.type
        if type_ is not None:
            copy.start(type_)
        return copy

    def _layer(self, layer: Module) -> Module:
        if layer not in self._copies:
            self._copies[layer] = self._copied(layer)
        return self._copies[layer]

    def _copied(self, layer: Module) -> Module:
        if isinstance(layer, Model) and (self._clone is None or self._is_recursive):
            return self.model(layer)
        copy = self._made_again(layer) if self._clone is None else self._clone(layer)
        if not isinstance(copy, Module):
            raise ArgumentError("clone_function returns a layer", got=repr(copy))
        copy.find_name(layer.name)
        return copy

    def _made_again(self, layer: Any) -> Any:
        """A layer of the same class, made as ``layer`` was, frozen where that is."""
        if is_plain(layer):
            given = {name: self._argument(each) for name, each in arguments(layer).items()}
            copy = construct(type(layer), given)
        else:
            copy = type(layer).from_config(layer.get_config())
        frozen = {path for path, module in walk(layer) if not module.trainable}
        for path, module in walk(copy):
            if path in frozen:
                module.trainable = False
        return copy

    def _argument(self, given: Any) -> Any:
        return map_leaves(
            lambda leaf: self._layer(leaf) if isinstance(leaf, Module) else leaf, given
        )


def _like(value: Value) -> Value:
    return input_value(input_name(value), value.shape, value.dtype)


def _own_name(module: Module) -> str | None:
    return module.name if module.has_own_name else None
