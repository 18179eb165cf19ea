"""Fold: what depends on constants only is computed once, while compiling."""

from __future__ import annotations

import numpy as np

from numbanet.ir import Graph, Node, Value, at_path, rebuild, rewrite
from numbanet.ops.leaf import CONSTANT, ConstantAttrs, constant

MAX_ELEMENTS = 4096
"""Larger results are cheaper to compute in a fused kernel than to keep and read each step."""


def fold(graph: Graph) -> Graph:
    """``graph`` with constants in the place of small nodes that read nothing else.

    A constant that is merely expanded stays as it is: readers broadcast it for nothing.
    """

    def replace(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        return folded(rebuild(node, inputs)) if is_foldable(node, inputs) else None

    return rewrite(graph, replace)


def is_foldable(node: Node, inputs: tuple[Value, ...]) -> bool:
    """Whether ``node`` on these inputs can and should be computed now."""
    if node.op.is_leaf or node.op.name == "expand":
        return False
    if not all(value.node.op is CONSTANT for value in inputs):
        return False
    return all(
        value.type.is_known and value.type.size <= MAX_ELEMENTS for value in node.outputs
    )


def folded(node: Node) -> tuple[Value, ...]:
    """The outputs of ``node``, all of whose inputs are constants, by its op's reference."""
    arrays = []
    for value in node.inputs:
        attrs = value.node.attrs
        if not isinstance(attrs, ConstantAttrs):
            raise TypeError(f"not a constant: {value!r}")
        arrays.append(attrs.numbers.array)
    with np.errstate(all="ignore"):
        result = node.op.reference(node.attrs, *arrays)
    results = result if isinstance(result, tuple) else (result,)
    with at_path(node.path):
        return tuple(
            constant(each, value.dtype)
            for each, value in zip(results, node.outputs, strict=True)
        )
