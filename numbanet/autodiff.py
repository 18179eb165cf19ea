"""Gradients as graphs: one walk backwards that every gradient rule hangs on.

The driver adds up the contributions of every consumer of a value (shared layers, skip
connections) and undoes broadcasting, so that rules need not. (Reverse mode: Griewank and
Walther, "Evaluating Derivatives", 2008.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numbanet import ops
from numbanet.errors import GraphError, VerificationError
from numbanet.ir import Node, Value, at_path, topological


def differentiate(
    outputs: Sequence[Value],
    wrt: Sequence[Value],
    seeds: Sequence[Value] | None = None,
    given: Mapping[Value, Value] | None = None,
) -> tuple[Value, ...]:
    """Gradients of ``sum(output * seed)`` with respect to each value in ``wrt``.

    Parameters
    ----------
    outputs : sequence of Value
        Floating-point values, with known shapes.
    wrt : sequence of Value
    seeds : sequence of Value, optional
        Gradients of the outputs; ones by default, so that a scalar loss needs none.
    given : mapping of Value to Value, optional
        Gradients that flow on in the place of what reaches these values.

    Returns
    -------
    tuple of Value
        One per element of ``wrt``, of the same type; zeros where nothing depends on it.

    Raises
    ------
    GraphError
        If an op on the way has no gradient.
    """
    nodes = topological(outputs)
    active = _depends_on(nodes, wrt)
    gradients: dict[Value, Value] = {}
    for i, output in enumerate(outputs):
        seed = ops.ones_like(output) if seeds is None else seeds[i]
        _add(gradients, output, seed)
    for node in reversed(nodes):
        if given is not None:
            gradients.update((value, given[value]) for value in node.outputs if value in given)
        if node.op.is_leaf or not any(value in active for value in node.inputs):
            continue
        if any(value in gradients for value in node.outputs):
            _propagate(node, gradients, active)
    return tuple(
        gradients[value] if value in gradients else ops.zeros_like(value) for value in wrt
    )


def _depends_on(nodes: tuple[Node, ...], wrt: Sequence[Value]) -> set[Value]:
    active = set(wrt)
    for node in nodes:
        if any(value in active for value in node.inputs):
            active.update(value for value in node.outputs if value.dtype.is_floating)
    return active


def _propagate(node: Node, gradients: dict[Value, Value], active: set[Value]) -> None:
    """Send the gradients of ``node``'s outputs on to its inputs."""
    if node.op.gradient is None:
        raise GraphError(
            f"{node.op.name}() has no gradient",
            layer=node.path or None,
            mend="Keep it off the path from parameters to the loss, or use stop_gradient()",
        )
    with at_path(node.path):
        incoming = tuple(gradients.get(value) for value in node.outputs)
        outgoing = node.op.gradient(node, *incoming)
        if len(outgoing) != len(node.inputs):
            raise VerificationError(
                f"the gradient of {node.op.name}() has {len(outgoing)} parts for "
                f"{len(node.inputs)} inputs"
            )
        for value, gradient in zip(node.inputs, outgoing, strict=True):
            if gradient is not None and value in active:
                _add(gradients, value, ops.sum_to(gradient, value.shape))


def _add(gradients: dict[Value, Value], value: Value, gradient: Value) -> None:
    if gradient.type != value.type:
        raise VerificationError(
            f"a gradient of type {gradient.type} for a value of type {value.type}",
            layer=value.path or None,
        )
    known = gradients.get(value)
    gradients[value] = gradient if known is None else known + gradient
