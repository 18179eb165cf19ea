"""The architecture of a model as JSON: a table of modules, each made of those before it.

A module that is used in several places stands in the table once, and so it is shared again in
the model that is rebuilt; nothing can contain itself.
"""

from __future__ import annotations

from typing import Any

from numbanet import nn
from numbanet.errors import ArgumentError, FormatError
from numbanet.io.encoding import Encoder
from numbanet.ir import Value
from numbanet.layers.calls import Call
from numbanet.layers.module import Module
from numbanet.models.functional import Step, Topology, input_name
from numbanet.models.model import Model
from numbanet.models.sequential import Sequential
from numbanet.models.structure import Structured
from numbanet.ops.leaf import ConstantAttrs

VERSION = 1


def describe(model: Model) -> tuple[dict[str, Any], Architecture]:
    """The architecture of ``model`` as JSON, and what was met on the way."""
    table = Architecture()
    document: dict[str, Any] = {"version": VERSION, "root": table.add(model)}
    document["modules"] = table.modules
    return document, table


def check_version(document: Any) -> None:
    """Raise FormatError unless ``document`` may be one of `describe`."""
    version = document.get("version") if isinstance(document, dict) else None
    if version != VERSION:
        raise FormatError(
            "the file is of another version", got=repr(version), expected=str(VERSION)
        )


class Architecture:
    """Writes modules into a table.

    Attributes
    ----------
    modules : list of dict
    encode : Encoder
    """

    def __init__(self) -> None:
        self.modules: list[dict[str, Any]] = []
        self.encode = Encoder(self.add, self._number)
        self._places: dict[Module, int | None] = {}
        self._numbers: dict[Value, int] = {}

    def add(self, module: Module) -> int:
        """The place of ``module`` in the table."""
        if module not in self._places:
            self._places[module] = None
            entry = {"name": module._found_name, **self._entry(module)}
            entry["frozen"] = _frozen(module)
            self.modules.append(entry)
            self._places[module] = len(self.modules) - 1
        place = self._places[module]
        if place is None:
            raise ArgumentError(f"{type(module).__name__} {module.name!r} contains itself")
        return place

    def _entry(self, module: Module) -> dict[str, Any]:
        if type(module) is Model and module.topology is not None:
            return self._functional(module, module.topology)
        if type(module) is Sequential:
            return self._sequential(module)
        entry = {"kind": "object", **self.encode.object(module)}
        if isinstance(module, Structured) and module.topology is None:
            entry["inputs"] = self._inputs(module)
        return entry

    def _inputs(self, module: Structured) -> Any:
        """What a model is called with that is built by its first call."""
        signature = module._signature
        if signature is None:
            return None
        return self.encode([dict(signature.inputs), signature.input_structure])

    def _sequential(self, module: Sequential) -> dict[str, Any]:
        layers = [[name, self.add(layer)] for name, layer in module.submodules().items()]
        return {
            "kind": "sequential",
            "given": module._given_name,
            "layers": layers,
            "start": self.encode(module.input_type),
            "inputs": self._inputs(module),
        }

    def _functional(self, module: Model, topology: Topology) -> dict[str, Any]:
        # Values of another model are other values: the numbers begin anew in each.
        outer, self._numbers = self._numbers, {}
        for value in topology.inputs.values():
            self._numbers[value] = len(self._numbers)
        inputs = [
            [input_name(value), self.encode(value.type)] for value in topology.inputs.values()
        ]
        steps = [self._step(step) for step in topology.steps]
        outputs = [self._numbers[value] for value in topology.outputs.values()]
        self._numbers = outer
        signature = module.signature
        return {
            "kind": "functional",
            "given": module._given_name,
            "inputs": inputs,
            "steps": steps,
            "outputs": outputs,
            "nesting": [
                self.encode(signature.input_structure),
                self.encode(signature.structure),
            ],
        }

    def _step(self, step: Step) -> dict[str, Any]:
        source = step.source
        if isinstance(source, Call):
            entry: dict[str, Any] = {
                "layer": self._from_outside(source.module),
                "name": step.name,
                "args": self.encode(list(source.args)),
                "kwargs": self.encode(source.kwargs),
            }
        elif isinstance(source.attrs, ConstantAttrs):
            entry = {"constant": self.encode(source.attrs.numbers.array)["array"]}
        else:
            entry = {
                "op": source.op.name,
                "attrs": self.encode(source.attrs),
                "args": [self._number(value) for value in source.inputs],
                "path": source.path,
            }
        entry["outputs"] = [position for position, _ in step.outputs]
        for _, value in step.outputs:
            self._numbers[value] = len(self._numbers)
        return entry

    def _from_outside(self, module: Module) -> int:
        """The place of a layer, encoded with the values of no model at hand."""
        numbers, self._numbers = self._numbers, {}
        try:
            return self.add(module)
        finally:
            self._numbers = numbers

    def _number(self, value: Value) -> int:
        if value not in self._numbers:
            raise ArgumentError("an argument that is no part of the model", got=repr(value))
        return self._numbers[value]


def _frozen(module: Module) -> bool | list[str]:
    """Whether a layer is; of PyTorch's modules, which of its parameters are."""
    if isinstance(module, nn.Module):
        own = module.named_parameters(recurse=False)
        return [name for name, parameter in own if not parameter.requires_grad]
    return not module.trainable
