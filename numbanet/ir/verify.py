"""The verifier: what must hold of every graph, whoever made it. A failure is numbanet's bug."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from numbanet.errors import NumbanetError, VerificationError
from numbanet.ir.graph import Graph, Update
from numbanet.ir.types import TensorType
from numbanet.ir.value import Node, Value
from numbanet.ir.variable import Variable


def verify(graph: Graph) -> None:
    """Check the invariants of ``graph``.

    - Every value is an output of its node, and the node's types are what its op infers.
    - Leaves read nothing; other nodes are not leaves.
    - Attributes can be hashed.
    - The inputs are the leaves of op ``input`` that can be reached, with different names.
    - Updates replace variables, each once, by values of the same type.

    Raises
    ------
    VerificationError
        Names the first failure and the layer that recorded it.
    """
    for node in graph.nodes:
        _verify_node(node)
    for value in (*graph.inputs, *graph.results):
        _verify_value(value)
    _verify_inputs(graph)
    _verify_updates(graph.updates)


def _verify_node(node: Node) -> None:
    for value in node.inputs:
        _verify_value(value)
    if node.op.is_leaf and node.inputs:
        raise _broken(node, "a leaf reads nothing", f"{len(node.inputs)} inputs")
    try:
        hash(node.attrs)
    except TypeError:
        raise _broken(node, "attributes can be hashed", repr(node.attrs)) from None
    types = tuple(value.type for value in node.outputs)
    inferred = _inferred(node)
    if types != inferred:
        raise _broken(node, f"the types {_show(inferred)}", _show(types))


def _verify_value(value: Value) -> None:
    outputs = value.node.outputs
    if not (value.index < len(outputs) and outputs[value.index] is value):
        raise _broken(value.node, "outputs that know their node", repr(value))


def _inferred(node: Node) -> tuple[TensorType, ...]:
    try:
        inferred = node.op.infer(node.attrs, *(value.type for value in node.inputs))
    except NumbanetError as error:
        raise _broken(node, "inputs that its op accepts", str(error)) from error
    return (inferred,) if isinstance(inferred, TensorType) else tuple(inferred)


def _verify_inputs(graph: Graph) -> None:
    listed = set(graph.inputs)
    for value in graph.inputs:
        if value.node.op.name != "input":
            raise _broken(value.node, "leaves of op input among the inputs", repr(value))
    for node in graph.nodes:
        if node.op.name == "input" and node.outputs[0] not in listed:
            raise _broken(node, "every input leaf among the graph's inputs", str(node.attrs))
    repeated = _repeated(str(value.node.attrs) for value in graph.inputs)
    if repeated:
        raise VerificationError("two inputs share a name", got=", ".join(map(str, repeated)))


def _verify_updates(updates: tuple[Update, ...]) -> None:
    for update in updates:
        if _variable(update.old) is None:
            raise _broken(update.old.node, "updates of variables", repr(update.old))
        if update.old.type != update.new.type:
            raise _broken(
                update.new.node, f"an update of type {update.old.type}", str(update.new.type)
            )
    repeated = _repeated(_variable(update.old) for update in updates)
    if repeated:
        raise VerificationError(
            "a variable is updated twice", got=", ".join(map(repr, repeated))
        )


def _variable(value: Value) -> Variable | None:
    variable = getattr(value.node.attrs, "variable", None)
    return variable if value.node.op.is_leaf and isinstance(variable, Variable) else None


def _repeated(things: Iterable[object]) -> list[object]:
    return [thing for thing, count in Counter(things).items() if count > 1]


def _show(types: tuple[TensorType, ...]) -> str:
    return ", ".join(map(str, types))


def _broken(node: Node, expected: str, got: str) -> VerificationError:
    return VerificationError(
        f"{node.op.name}() breaks an invariant",
        got=got,
        expected=expected,
        layer=node.path or None,
    )
