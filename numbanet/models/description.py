"""What a summary shows of a model: its steps, their shapes, costs and connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numbanet.ir import Node, Value
from numbanet.layers.module import Module
from numbanet.models.functional import Step, Topology, subject
from numbanet.ops.leaf import input_value
from numbanet.viz.summary import Description, Row

if TYPE_CHECKING:
    from numbanet.models.model import Model


def describe(model: Model, plan: str | None = None) -> Description:
    """A description of a model whose inputs are known; ``plan`` is a line to add."""
    topology = model.traced()
    costs = _costs(topology)
    variables = model.variables().values()
    trainable = sum(v.type.size for v in model.trainable_variables().values())
    total = sum(v.type.size for v in variables)
    shown = [step for step in topology.steps if not _is_leaf(step)]
    return Description(
        name=model.name,
        rows=tuple(_input_rows(topology) + _rows(topology, shown, costs)),
        trainable=trainable,
        frozen=total - trainable,
        parameter_bytes=sum(v.type.nbytes for v in variables),
        activation_bytes=sum(_output_bytes(step) for step in shown),
        plan=plan,
    )


def _is_leaf(step: Step) -> bool:
    return isinstance(step.source, Node) and step.source.op.is_leaf


def _input_rows(topology: Topology) -> list[Row]:
    return [
        Row(name, "Input", (str(value.shape),), 0, 0, ())
        for name, value in topology.inputs.items()
    ]


def _rows(topology: Topology, steps: list[Step], costs: dict[Step, int]) -> list[Row]:
    """One row for each layer and for each op outside of any; shared layers have one row."""
    names = _producer_names(topology, steps)
    groups: dict[object, list[Step]] = {}
    for step in steps:
        groups.setdefault(subject(step.source), []).append(step)
    rows = []
    for called, calls in groups.items():
        first = calls[0]
        shapes = [", ".join(str(value.shape) for _, value in call.outputs) for call in calls]
        is_module = isinstance(called, Module)
        rows.append(
            Row(
                name=first.name,
                kind=type(called).__name__ if is_module else "op",
                shapes=tuple(shapes if len(set(shapes)) > 1 else shapes[:1]),
                parameters=called.count_params() if is_module else 0,
                flops=sum(costs[call] for call in calls),
                connected_to=tuple(
                    names[value] for call in calls for value in call.inputs if value in names
                ),
            )
        )
    return rows


def _producer_names(topology: Topology, steps: list[Step]) -> dict[Value, str]:
    """``conv``; ``conv[1]`` for a layer's second call; ``split:1`` for a second output."""
    calls: dict[object, int] = {}
    names = {value: name for name, value in topology.inputs.items()}
    count = [subject(step.source) for step in steps]
    for step in steps:
        called = subject(step.source)
        number = calls.get(called, 0)
        calls[called] = number + 1
        label = f"{step.name}[{number}]" if count.count(called) > 1 else step.name
        for position, value in step.outputs:
            names[value] = label if position == 0 else f"{label}:{position}"
    return names


def _costs(topology: Topology) -> dict[Step, int]:
    """FLOPs of each step for a batch of one."""
    known = {
        value: input_value(name, (1, *value.shape[1:]), value.dtype)
        for name, value in topology.inputs.items()
    }
    costs = {}
    for step in topology.steps:
        step.record(known)
        inputs = {known[value] for value in step.inputs}
        nodes = _between(inputs, [known[value] for _, value in step.outputs])
        costs[step] = sum(node.op.flops(node) for node in nodes)
    return costs


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


def _output_bytes(step: Step) -> int:
    return sum(value.dtype.itemsize * _sample_size(value) for _, value in step.outputs)


def _sample_size(value: Value) -> int:
    elements = 1
    for each in value.shape[1:]:
        elements *= each or 1
    return elements
