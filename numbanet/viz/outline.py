"""What is to be seen of a model: its layers, what they cost, and what they are connected to.

Summaries and pictures are drawn from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numbanet.errors import GraphError, NumbanetError
from numbanet.ir import Node, Value, scope
from numbanet.layers.calls import Call
from numbanet.layers.layer import Layer
from numbanet.layers.module import Module
from numbanet.layers.structure import flatten, map_leaves
from numbanet.models.functional import Step, Topology, subject, trace
from numbanet.ops.leaf import input_value

if TYPE_CHECKING:
    from numbanet.models.model import Model


@dataclass(frozen=True, eq=False)
class Source:
    """Where a value comes from: an input by name, or an output of a part's call."""

    part: Part | str
    call: int = 0
    position: int = 0

    @property
    def label(self) -> str:
        """``conv``; ``conv[1]`` for a layer's second call; ``split:1`` for a second output."""
        if isinstance(self.part, str):
            return self.part
        call = f"[{self.call}]" if len(self.part.calls) > 1 else ""
        return f"{self.part.name}{call}" + (f":{self.position}" if self.position else "")


@dataclass(frozen=True, eq=False)
class Part:
    """A layer with all its calls, or an op recorded outside of any layer.

    Attributes
    ----------
    name, path : str
        In the model that holds it, and from the outermost model.
    kind : str
        The class of the layer; ``"op"``.
    module : Module or None
    calls : tuple of Step
    flops : int or None
        Of the forward pass for one sample, all calls together; None if sizes are not known.
    inner : Outline or None
        Of a model, or of a module made of others.
    """

    name: str
    path: str
    kind: str
    module: Module | None
    calls: tuple[Step, ...]
    flops: int | None
    inner: Outline | None

    @property
    def parameters(self) -> int:
        return 0 if self.module is None else self.module.count_params()

    @property
    def activation_bytes(self) -> int:
        """Of all calls' outputs, for one sample."""
        outputs = [value for call in self.calls for _, value in call.outputs]
        return sum(value.dtype.itemsize * _sample_size(value) for value in outputs)

    @property
    def shapes(self) -> tuple[str, ...]:
        """Of the outputs: one text, or one for each call where they differ."""
        texts = [
            ", ".join(str(value.shape) for _, value in call.outputs) for call in self.calls
        ]
        return tuple(texts if len(set(texts)) > 1 else texts[:1])


@dataclass(frozen=True, eq=False)
class Outline:
    """A model's inputs and parts, in order.

    Attributes
    ----------
    inputs, outputs : dict of str to Value
    parts : tuple of Part
    sources : dict of Value to Source
    """

    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    parts: tuple[Part, ...]
    sources: Mapping[Value, Source]


def outline(model: Model) -> Outline:
    """The outline of a model; raises ArgumentError if its inputs are not known yet."""
    return _outline(model.traced(), "")


def _outline(topology: Topology, prefix: str) -> Outline:
    costs = _costs(topology)
    groups: dict[object, list[Step]] = {}
    for step in topology.steps:
        if not (isinstance(step.source, Node) and step.source.op.is_leaf):
            groups.setdefault(subject(step.source), []).append(step)
    parts = tuple(_part(each, calls, costs, prefix) for each, calls in groups.items())
    sources: dict[Value, Source] = {
        value: Source(name) for name, value in topology.inputs.items()
    }
    for part in parts:
        for number, call in enumerate(part.calls):
            for position, value in call.outputs:
                sources[value] = Source(part, number, position)
    return Outline(topology.inputs, topology.outputs, parts, sources)


def _part(of: object, calls: list[Step], costs: Mapping[Step, int | None], prefix: str) -> Part:
    module = of if isinstance(of, Module) else None
    name = calls[0].name
    known = [costs[call] for call in calls]
    path = prefix + name
    return Part(
        name=name,
        path=path,
        kind="op" if module is None else type(module).__name__,
        module=module,
        calls=tuple(calls),
        flops=None if None in known else sum(cost or 0 for cost in known),
        inner=_inner(calls[0], path),
    )


def _inner(step: Step, path: str) -> Outline | None:
    """What a call of a model, or of a module made of others, does; None for a layer."""
    call = step.source
    if not isinstance(call, Call) or isinstance(call.module, Layer):
        return None
    if not call.module.submodules():
        return None
    known = getattr(call.module, "topology", None)
    leaves = list(dict.fromkeys(call.inputs))
    names = list(known.inputs) if known is not None else []
    if len(names) != len(leaves):
        names = ["input", *(f"input_{i}" for i in range(1, len(leaves)))]
    fresh = {
        leaf: input_value(name, leaf.shape, leaf.dtype)
        for leaf, name in zip(leaves, names, strict=True)
    }
    args, kwargs = map_leaves(lambda leaf: _swap(fresh, leaf), [call.args, call.kwargs])
    with scope(path):
        outputs = flatten(call.module.record(*args, **kwargs))
    try:
        topology = trace(list(fresh.values()), outputs, call.module.submodules())
    except GraphError:
        return None  # It has parameters of its own, so it is more than what it holds.
    return _outline(topology, f"{path}/")


def _swap(fresh: Mapping[Value, Value], leaf: Any) -> Any:
    return fresh.get(leaf, leaf) if isinstance(leaf, Value) else leaf


def _costs(topology: Topology) -> dict[Step, int | None]:
    """FLOPs of each step for a batch of one."""
    known = {
        value: input_value(name, (1, *value.shape[1:])[: value.rank], value.dtype)
        for name, value in topology.inputs.items()
    }
    try:
        return {step: _cost(step, known) for step in topology.steps}
    except (NumbanetError, TypeError):
        # Something needs a size that is unknown until data come.
        return dict.fromkeys(topology.steps)


def _cost(step: Step, known: dict[Value, Value]) -> int:
    step.record(known)
    inputs = {known[value] for value in step.inputs}
    nodes = _between(inputs, [known[value] for _, value in step.outputs])
    return sum(node.op.flops(node) for node in nodes)


def _between(inputs: set[Value], outputs: list[Value]) -> set[Node]:
    """The nodes behind ``outputs`` and not behind ``inputs``."""
    found: set[Node] = set()
    stack = list(outputs)
    while stack:
        value = stack.pop()
        if value not in inputs and value.node not in found:
            found.add(value.node)
            stack.extend(value.node.inputs)
    return found


def _sample_size(value: Value) -> int:
    elements = 1
    for each in value.shape[1:]:
        elements *= each or 1
    return elements
