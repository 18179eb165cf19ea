"""Modules out of a table that `numbanet.io.architecture` wrote, trusting nothing in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from numbanet import nn
from numbanet.configuration import Objects
from numbanet.errors import FormatError
from numbanet.initializers import shared_generator
from numbanet.io.encoding import Decoder
from numbanet.ir import REGISTRY, TensorType, Value
from numbanet.ir.op import Attrs, Op
from numbanet.layers.budget import budget
from numbanet.layers.module import Module
from numbanet.layers.structure import flatten, map_leaves
from numbanet.models.model import Model
from numbanet.models.sequential import Sequential
from numbanet.models.structure import Structured
from numbanet.ops.leaf import constant, input_value
from numbanet.ops.random import RANDOM_STATE

_OPS = {**REGISTRY, RANDOM_STATE.name: RANDOM_STATE}


def rebuild(
    table: Any,
    arrays: Mapping[str, np.ndarray],
    elements: int | None,
    objects: Objects | None = None,
) -> Model:
    """The model of a table.

    Parameters
    ----------
    table : dict
        From `architecture.describe`, perhaps; anything else is refused.
    arrays : dict of str to ndarray
        With the constants.
    elements : int, optional
        How many the parameters may have in all; they have no numbers yet. Without a limit,
        initializers draw the first numbers.
    objects : dict of str to class or function, optional
        The caller's own, by name.

    Raises
    ------
    FormatError
        If the table is none, names something unknown, or describes no model.
    """
    try:
        if elements is None:
            return _Builder(arrays, objects).model(table)
        with budget(elements), undisturbed():
            return _Builder(arrays, objects).model(table)
    except (FormatError, NotImplementedError):
        raise
    except Exception as error:
        # Nothing in a file is checked where it is used: layers and ops refuse bad arguments
        # by errors of many kinds, which all mean this here.
        raise FormatError(
            "the architecture in the file cannot be built",
            got=f"{type(error).__name__}: {error}",
        ) from error


@contextmanager
def undisturbed() -> Iterator[None]:
    """Whoever draws within the block leaves the shared generator as it was."""
    bits = shared_generator().bit_generator
    state = bits.state
    try:
        yield
    finally:
        bits.state = state


class _Builder:
    def __init__(self, arrays: Mapping[str, np.ndarray], objects: Objects | None) -> None:
        self.modules: list[Module] = []
        self.values: list[Value] = []
        self.arrays = dict(arrays)
        self.decode = Decoder(self._module, self._value, self.arrays, objects)

    def model(self, table: Any) -> Model:
        for entry in table["modules"]:
            module = getattr(self, f"_{_kind(entry)}")(entry)
            if entry["name"] is not None:
                module.find_name(entry["name"])
            self.modules.append(module)
        model = self._module(table["root"])
        if not isinstance(model, Model):
            raise FormatError("the file describes a layer, and no model", got=repr(model))
        for module, entry in zip(self.modules, table["modules"], strict=True):
            _freeze(module, entry["frozen"])
        return model

    def _module(self, place: Any) -> Module:
        # Only what stands before: a table has no cycles.
        return _at(self.modules, place, "module")

    def _value(self, number: Any) -> Value:
        return _at(self.values, number, "value")

    def _object(self, entry: Any) -> Module:
        module = self.decode({"class": entry["class"], "config": entry["config"]})
        if not isinstance(module, Module):
            raise FormatError("not the class of a layer", got=repr(entry["class"]))
        if isinstance(module, Structured) and entry.get("inputs") is not None:
            module.settle(*self.decode(entry["inputs"]))
        return module

    def _sequential(self, entry: Any) -> Sequential:
        layers = {name: self._module(place) for name, place in entry["layers"]}
        model = Sequential(layers, name=entry["given"])
        if entry["start"] is not None:
            model.start(self.decode(entry["start"]))
        elif entry["inputs"] is not None:
            model.settle(*self.decode(entry["inputs"]))
        return model

    def _functional(self, entry: Any) -> Model:
        self.values = []
        inputs = [self._input(*each) for each in entry["inputs"]]
        self.values += inputs
        names: dict[str, Module] = {}
        for step in entry["steps"]:
            self._step(step, names)
        outputs = [self._value(number) for number in entry["outputs"]]
        nested = [
            _nested(self.decode(nesting), values)
            for nesting, values in zip(entry["nesting"], (inputs, outputs), strict=True)
        ]
        return Model.with_known(names, *nested, entry["given"])

    def _input(self, name: Any, type_: Any) -> Value:
        found = self.decode(type_)
        if not isinstance(name, str) or not isinstance(found, TensorType):
            raise FormatError("not an input", got=repr(name))
        return input_value(name, found.shape, found.dtype)

    def _step(self, step: Any, names: dict[str, Module]) -> None:
        if "layer" in step:
            layer = self._module(step["layer"])
            if names.setdefault(step["name"], layer) is not layer:
                raise FormatError("two layers of one name", got=repr(step["name"]))
            args, kwargs = self.decode(step["args"]), self.decode(step["kwargs"])
            results = flatten(layer.call_as(step["name"], *args, **kwargs))
        elif "constant" in step:
            results = [constant(self.decode({"array": step["constant"]}))]
        else:
            results = self._record(step)
        self.values += [_at(results, position, "output") for position in step["outputs"]]

    def _record(self, step: Any) -> list[Value]:
        op = _OPS.get(step["op"])
        attrs = self.decode(step["attrs"])
        if op is None or not isinstance(attrs, _kinds_of_attrs(op)):
            raise FormatError("unknown op, or not its attributes", got=repr(step["op"]))
        inputs = [self._value(number) for number in step["args"]]
        return list(op.node(*inputs, attrs=attrs, path=str(step["path"])).outputs)


def _freeze(module: Module, frozen: Any) -> None:
    if isinstance(module, nn.Module):
        for name in frozen:
            module.get_parameter(name).requires_grad_(False)
    elif frozen:
        # Not the setter: what is below says so itself.
        module._is_trainable = False


def _kind(entry: Any) -> str:
    kind = entry["kind"]
    if kind not in ("object", "sequential", "functional"):
        raise FormatError("unknown kind of module", got=repr(kind))
    return kind


def _kinds_of_attrs(op: Op) -> tuple[type[Attrs], ...]:
    """What the attributes of an op are: those of its test cases, if it has any."""
    return tuple({type(case.attrs) for case in op.cases}) or (Attrs,)


def _at(things: list[Any], place: Any, what: str) -> Any:
    if not isinstance(place, int) or not 0 <= place < len(things):
        raise FormatError(
            f"the file refers to a {what} that does not come before", got=repr(place)
        )
    return things[place]


def _nested(structure: Any, values: list[Value]) -> Any:
    remaining = iter(values)
    return map_leaves(lambda _: next(remaining), structure)
