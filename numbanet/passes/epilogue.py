"""Epilogues: what follows a product or a convolution moves into it, element by element.

Bias, activation, the gradient mask of an activation, a residual added: as long as the result is
read only by the next elementwise op, that op is applied while the result is still in registers
or cache, and the intermediate value is never stored.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numbanet.ir import Graph, Node, Value, at_path, rewrite
from numbanet.ops.expression import Expression, Step, identity, number_step
from numbanet.ops.shapes import reshape

MAX_STEPS = 16
"""Longer epilogues gain nothing: by then the arithmetic outweighs the traffic saved."""


def epilogue(graph: Graph) -> Graph:
    """``graph`` with elementwise ops absorbed by the products and convolutions they follow."""
    absorbed = _absorbed(graph)

    def absorb(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        position = absorbed.get(node)
        return None if position is None else (_extend(node, inputs, position),)

    return rewrite(graph, absorb)


def _absorbed(graph: Graph) -> dict[Node, int]:
    """Each node that is absorbed, and which of its inputs is the running result."""
    kept = set(graph.results)
    length: dict[Value, int] = {}
    absorbed: dict[Node, int] = {}
    for node in graph.nodes:
        if hasattr(node.attrs, "epilogue") and len(node.outputs) == 1:
            length[node.outputs[0]] = 0
        elif node.op.is_elementwise and not node.op.is_leaf:
            for position in reversed(range(len(node.inputs))):
                value = node.inputs[position]
                is_private = value not in kept and len(graph.consumers[value]) == 1
                if is_private and length.get(value, MAX_STEPS) < MAX_STEPS and _fits(node, value):
                    absorbed[node] = position
                    length[node.outputs[0]] = length[value] + 1
                    break
    return absorbed


def _fits(node: Node, value: Value) -> bool:
    """Whether ``node`` does one thing to each element of ``value``, from what is at hand."""
    if node.outputs[0].type != value.type or _uses_index(node):
        return False
    return all(
        other is value or _kind(other, value) is not None for other in node.inputs
    )


def _uses_index(node: Node) -> bool:
    dtypes = tuple(value.dtype for value in node.inputs)
    step = Step(node.op, node.attrs, tuple(range(len(dtypes))), node.outputs[0].dtype)
    return Expression(dtypes, (step,), (len(dtypes),)).uses_index


def _kind(extra: Value, value: Value) -> str | None:
    """How an epilogue may read ``extra`` beside ``value``: None if not at all."""
    if extra.type.shape == value.type.shape:
        return "full"
    if extra.type.size == 1:
        return "number"
    is_vector = extra.type.shape[-1:] == value.type.shape[-1:]
    return "vector" if is_vector and extra.type.size == extra.type.sizes[-1] else None


def _extend(node: Node, inputs: tuple[Value, ...], position: int) -> Value:
    """The product behind ``inputs[position]`` with one more step in its epilogue."""
    product = inputs[position].node
    attrs: Any = product.attrs
    known: Expression = attrs.epilogue or identity(product.outputs[0].dtype)
    first = len(product.inputs) - len(known.inputs) + 1
    extras = list(product.inputs[first:])
    steps: list[Step] = []
    arguments: list[tuple[str, int]] = []
    for each, value in enumerate(inputs):
        if each == position:
            arguments.append(("running", 0))
        elif (number := number_step(value)) is not None:
            arguments.append(("step", len(steps)))
            steps.append(number)
        else:
            extra = _as_extra(value, product.outputs[0], node.path)
            if extra not in extras:
                extras.append(extra)
            arguments.append(("extra", extras.index(extra)))
    dtypes = (known.inputs[0], *(extra.dtype for extra in extras))
    # New extras push all steps' slots back.
    shift = len(dtypes) - len(known.inputs)
    moved = [_shifted(step, len(known.inputs), shift) for step in known.steps]
    running = known.outputs[0]
    running += shift if running >= len(known.inputs) else 0
    base = len(dtypes) + len(moved)
    slots = {"running": running, "extra": 1, "step": base}
    slot = tuple(slots[kind] + (0 if kind == "running" else n) for kind, n in arguments)
    applied = Step(node.op, node.attrs, slot, node.outputs[0].dtype)
    expression = Expression(dtypes, (*moved, *steps, applied), (base + len(steps),))
    inputs = (*product.inputs[:first], *extras)
    path = node.path or product.path
    made = product.op.node(*inputs, attrs=replace(attrs, epilogue=expression), path=path)
    return made.outputs[0]


def _shifted(step: Step, first: int, shift: int) -> Step:
    args = tuple(slot + shift if slot >= first else slot for slot in step.args)
    return Step(step.op, step.attrs, args, step.dtype)


def _as_extra(extra: Value, value: Value, path: str) -> Value:
    kind = _kind(extra, value)
    with at_path(path):
        if kind == "number":
            return reshape(extra, ())
        if kind == "vector":
            return reshape(extra, value.type.sizes[-1:])
    return extra
