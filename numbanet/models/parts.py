"""Parts of models that share their layers: one layer, what lies between two, a tap."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numbanet.arrays.naming import nearest
from numbanet.errors import ArgumentError
from numbanet.ir import scope
from numbanet.layers.calls import Call
from numbanet.layers.module import Module
from numbanet.layers.ownership import walk
from numbanet.layers.structure import map_leaves
from numbanet.models.functional import Step, Topology, trace

if TYPE_CHECKING:
    from numbanet.models.structure import Structured

_CALL = re.compile(r"(?P<name>.*?)(\[(?P<number>\d+)\])?$", re.DOTALL)


def find_layer(model: Module, path: str) -> Module:
    """The layer at a path such as ``"encoder/conv1"``; raises ArgumentError if none is."""
    found = model
    for name in str(path).split("/"):
        below = found.submodules()
        if name not in below:
            raise ArgumentError(
                f"no layer {name!r}",
                expected=", ".join(below) or "no layers",
                mend=nearest(name, below),
            )
        found = below[name]
    return found


def between(model: Structured, names: slice) -> Any:
    """The part of ``model`` from one layer to another, both in it."""
    if names.step is not None:
        raise ArgumentError("a part of a model has no step", got=repr(names.step))
    topology = model.traced()
    inputs, outputs = ends(model)
    if names.start is not None:
        first = list(dict.fromkeys(_calls(model, topology, names.start)[0].inputs))
        inputs = first if len(first) > 1 else first[0]
    if names.stop is not None:
        outputs = _outputs(_calls(model, topology, names.stop)[-1])
    return _part(inputs, outputs, topology.layers)


def tap(model: Structured, names: tuple[str, ...]) -> Any:
    """A model of the inputs of ``model`` and of what its layers ``names`` return."""
    if not names or not all(isinstance(name, str) for name in names):
        raise ArgumentError("tap() takes names of layers", got=repr(names))
    topology = model.traced()
    found = {name: _tapped(model, topology, name) for name in names}
    outputs = found if len(names) > 1 else next(iter(found.values()))
    inputs, _ = ends(model)
    known = {path: layer for path, layer in walk(model) if path}
    return _part(inputs, outputs, known)


def ends(model: Structured) -> tuple[Any, Any]:
    """Inputs and outputs as values, nested as the model has them."""
    signature, topology = model.signature, model.traced()
    return (
        map_leaves(lambda name: topology.inputs[name], signature.input_structure),
        map_leaves(lambda name: topology.outputs[name], signature.structure),
    )


def _part(inputs: Any, outputs: Any, known: Mapping[str, Module]) -> Any:
    from numbanet.models.model import Model  # Models are made of this module.

    return Model.with_known(known, inputs, outputs)


def _tapped(model: Structured, topology: Topology, path: str) -> Any:
    """What the layer at ``path`` returns, recorded inside of nested models."""
    name, _, below = path.partition("/")
    step = _call(model, topology, name)
    if not below:
        return _outputs(step)
    inner = _inside(step)
    if inner is None:
        raise ArgumentError(f"layer {name!r} is no model with layers of its own", got=path)
    return _tapped(step.source.module, inner, below)  # type: ignore[union-attr]


def _inside(step: Step) -> Topology | None:
    """The steps within a call, recorded again from the values that it was called with."""
    if not isinstance(step.source, Call) or not step.source.module.submodules():
        return None
    call = step.source
    with scope(step.name):
        outputs = call.module.record(*call.args, **call.kwargs)
    return trace(list(dict.fromkeys(call.inputs)), outputs, call.module.submodules())


def _call(model: Structured, topology: Topology, name: str) -> Step:
    match = _CALL.match(name)
    assert match is not None
    calls = _calls(model, topology, match["name"])
    number = int(match["number"] or 0)
    if number >= len(calls):
        raise ArgumentError(
            f"layer {match['name']!r} is called {len(calls)} time(s)", got=f"call {number}"
        )
    return calls[number]


def _calls(model: Module, topology: Topology, name: str) -> list[Step]:
    calls = [
        step for step in topology.steps if isinstance(step.source, Call) and step.name == name
    ]
    if not calls:
        find_layer(model, name)
        raise ArgumentError(f"layer {name!r} is not between the inputs and the outputs")
    return calls


def _outputs(step: Step) -> Any:
    """What a call returned: a value, or several in a list."""
    values = [value for _, value in step.outputs]
    return values if len(values) > 1 else values[0]
