"""The functional model: what lies between inputs and outputs, found by walking back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from numbanet.errors import ArgumentError, GraphError
from numbanet.ir import Node, Value
from numbanet.layers.calls import Call, origin_of
from numbanet.layers.module import Module
from numbanet.layers.structure import flatten, map_leaves
from numbanet.models.names import leaf_paths, name_leaves, unique_names
from numbanet.ops.leaf import INPUT, VARIABLE, InputAttrs


@dataclass(frozen=True, eq=False)
class Step:
    """A layer's call, or an op recorded outside of any layer.

    Attributes
    ----------
    source : Call or Node
    name : str
        The layer's name in this model; for an op, the op's.
    inputs, outputs : tuple of Value
        Of those that were recorded first.
    """

    source: Call | Node
    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[tuple[int, Value], ...]

    def record(
        self, known: dict[Value, Value], layers: Mapping[str, Module] = MappingProxyType({})
    ) -> None:
        """Record the step again; ``known`` maps first values to new ones, and learns."""
        if isinstance(self.source, Call):
            args = map_leaves(lambda leaf: known.get(leaf, leaf), self.source.args)
            kwargs = map_leaves(lambda leaf: known.get(leaf, leaf), self.source.kwargs)
            layer = layers.get(self.name, self.source.module)
            results = flatten(layer.call_as(self.name, *args, **kwargs))
        else:
            node = self.source
            inputs = [known[value] for value in node.inputs]
            results = list(node.op.node(*inputs, attrs=node.attrs, path=node.path).outputs)
        for position, value in self.outputs:
            known[value] = results[position]


@dataclass(frozen=True, eq=False)
class Topology:
    """A model as recorded: its inputs and outputs by name, and the steps between, in order."""

    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    steps: tuple[Step, ...]

    @property
    def layers(self) -> dict[str, Module]:
        """The layers by their names in this model, in order of their first call."""
        return {
            step.name: step.source.module
            for step in self.steps
            if isinstance(step.source, Call)
        }

    def record(
        self, inputs: Iterable[Value], layers: Mapping[str, Module] = MappingProxyType({})
    ) -> list[Value]:
        """Record all steps again on other inputs; the new outputs.

        ``layers`` are called in the place of those that have their names.
        """
        known = dict(zip(self.inputs.values(), inputs, strict=True))
        for step in self.steps:
            step.record(known, layers)
        return [known[value] for value in self.outputs.values()]


def trace(inputs: Any, outputs: Any, known: Mapping[str, Module] | None = None) -> Topology:
    """Find the steps from ``inputs`` to ``outputs``; ``known`` names layers.

    Raises
    ------
    GraphError
        If the outputs depend on an input that is not among ``inputs``.
    ArgumentError
        If something that is not a value is given, or names are not unique.

    Notes
    -----
    Steps, and with them layers and their weights, are in Keras's order: by how many steps lie
    between them and the outputs, then as a walk from the outputs meets them; those of a dict
    by their keys.
    """
    for leaf in flatten([inputs, outputs]):
        if not isinstance(leaf, Value):
            raise ArgumentError(
                "a Model takes values as inputs and outputs",
                got=repr(leaf),
                mend="Start from x = Input(shape) and call layers on it",
            )
    starts, ends = flatten(inputs), flatten(outputs)
    if len(set(starts)) != len(starts):
        raise ArgumentError("a Model's inputs are different values", got=repr(starts))
    sources = _by_depth(*_walk_back(starts, _in_walking_order(outputs)))
    layers = dict.fromkeys(s.module for s in sources if isinstance(s, Call))
    names = unique_names(layers, known or {})
    steps = _steps(sources, names, starts, ends)
    return Topology(
        inputs=_input_names(inputs),
        outputs=_output_names(outputs, steps),
        steps=steps,
    )


Source = Call | Node


def _source(value: Value) -> Source:
    origin = origin_of(value)
    return value.node if origin is None else origin.call


def _walk_back(
    starts: list[Value], ends: list[Value]
) -> tuple[list[Source], dict[object, int]]:
    """The calls and nodes behind ``ends``, producers first, and when each layer was met.

    An iterative depth-first walk.
    """
    given = set(starts)
    done: set[Source] = set()
    order: list[Source] = []
    met: dict[object, int] = {}
    for end in ends:
        # A frame is a value, who reads it, and whether its producers are done.
        stack: list[tuple[Value, str, bool]] = [(end, "the model's outputs", False)]
        while stack:
            value, reader, is_expanded = stack.pop()
            source = _source(value)
            if value in given or source in done:
                continue
            if is_expanded:
                done.add(source)
                order.append(source)
                continue
            _refuse_missing_input(source, reader)
            met.setdefault(subject(source), len(met))
            stack.append((value, reader, True))
            label = _label(source)
            stack.extend((each, label, False) for each in reversed(source.inputs))
    return order, met


def _in_walking_order(outputs: Any) -> list[Value]:
    """The outputs as Keras walks back from them: those of a dict by their sorted keys."""
    if isinstance(outputs, Mapping):
        outputs = [outputs[key] for key in sorted(outputs)]
    if isinstance(outputs, list | tuple):
        return [value for part in outputs for value in _in_walking_order(part)]
    return [outputs]


def _by_depth(order: list[Source], met: dict[object, int]) -> list[Source]:
    """``order`` by decreasing distance from the outputs; a layer's calls pull each other up."""
    depths = dict.fromkeys(order, 0)
    of_subject: dict[object, int] = {}
    for source in reversed(order):
        depth = max(depths[source], of_subject.get(subject(source), 0))
        depths[source] = of_subject[subject(source)] = depth
        for producer in map(_source, source.inputs):
            if producer in depths:
                depths[producer] = max(depth + 1, depths[producer])
    return sorted(order, key=lambda source: (-depths[source], met[subject(source)]))


def subject(source: Source) -> object:
    """What a step is a call of: a layer, or the op's node itself."""
    return source.module if isinstance(source, Call) else source


def _refuse_missing_input(source: Source, reader: str) -> None:
    if isinstance(source, Node) and source.op is INPUT:
        name = input_name(source.output)
        needed = f"Input {name!r}" if name else "an Input"
        raise GraphError(
            f"the graph is disconnected: {reader} needs {needed} of shape "
            f"{source.output.shape}, which is not among the model's inputs",
            mend="Add it to Model(inputs=[...])",
        )
    if isinstance(source, Node) and source.op is VARIABLE:
        raise GraphError(
            f"{reader} reads variable {source.attrs} outside of any layer",
            mend="Put it into a Module, so that the model owns it",
        )


def _label(source: Source) -> str:
    if isinstance(source, Call):
        return f"{type(source.module).__name__} {source.module.name!r}"
    return f"{source.op.name}()"


def _steps(
    sources: list[Source], names: dict[Module, str], starts: list[Value], ends: list[Value]
) -> tuple[Step, ...]:
    """Steps with those of their outputs that somebody reads."""
    read = dict.fromkeys(
        value for source in sources for value in source.inputs if value not in starts
    )
    read.update(dict.fromkeys(ends))
    produced: dict[Source, list[tuple[int, Value]]] = {source: [] for source in sources}
    for value in read:
        source = _source(value)
        if source in produced and value not in starts:
            origin = origin_of(value)
            position = value.index if origin is None else origin.position
            produced[source].append((position, value))
    return tuple(
        Step(
            source,
            names[source.module] if isinstance(source, Call) else source.op.name,
            tuple(source.inputs),
            tuple(produced[source]),
        )
        for source in sources
    )


def _input_names(inputs: Any) -> dict[str, Value]:
    """Inputs by their place in a dict, else by their own names, else ``input``, ``input_1``"""
    own = [input_name(value) for value in flatten(inputs)]
    paths = leaf_paths(inputs)
    given = [name for name, path in zip(own, paths, strict=True) if name and not path]
    if len(set(given)) < len(given):
        raise ArgumentError("two inputs have one name", got=", ".join(given))
    chosen = [path or name for path, name in zip(paths, own, strict=True)]
    return dict(zip(name_leaves(chosen, "input"), flatten(inputs), strict=True))


def input_name(value: Value) -> str:
    """The name that an input was given, or ``""``."""
    attrs = value.node.attrs
    return attrs.name if isinstance(attrs, InputAttrs) else ""


def _output_names(outputs: Any, steps: tuple[Step, ...]) -> dict[str, Value]:
    """Outputs by their place in a dict, else by the names of the layers they come from."""
    makers = {value: step.name for step in steps for _, value in step.outputs}
    own = [makers.get(value, "output") for value in flatten(outputs)]
    chosen = [path or name for path, name in zip(leaf_paths(outputs), own, strict=True)]
    return dict(zip(name_leaves(chosen, "output"), flatten(outputs), strict=True))
