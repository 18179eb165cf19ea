"""Layout: transposes sink towards the results, meet their inverses and vanish.

The image ops are channels-last. A model written channels-first records transposes around each
of them, with elementwise ops in between. Sinking a transpose below an elementwise op, a
reduction, a pad or a slice brings it to the next image op's, which undoes it; so at most the
edges of the graph move data. The same walk mends the backward pass, which is in the same graph.
"""

from __future__ import annotations

from numbanet.ir import Graph, Node, Value, at_path, attrs_of, rebuild, rewrite
from numbanet.ops import reductions, shapes, slices
from numbanet.ops.expression import is_positional
from numbanet.ops.leaf import CONSTANT
from numbanet.ops.shapes import inverse
from numbanet.passes.algebra import simplified
from numbanet.passes.fold import MAX_ELEMENTS

Perm = tuple[int, ...]


def layout(graph: Graph) -> Graph:
    """``graph`` with transposes below the ops that do not care about the order of axes."""

    def replace(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op.is_leaf or len(node.outputs) != 1 or not node.output.type.is_known:
            return None
        node = rebuild(node, inputs)
        with at_path(node.path):
            sunk = _sink(node)
            return (node.output if sunk is None else simplified(sunk),)

    return rewrite(graph, replace)


def _sink(node: Node) -> Value | None:
    if node.op is shapes.TRANSPOSE:
        return simplified(node.output)
    if node.op.is_elementwise:
        return _sink_elementwise(node)
    if node.op is slices.CONCATENATE:
        return _sink_concatenate(node)
    perm = _perm(node.inputs[0]) if node.inputs else None
    if perm is None:
        return None
    source = node.inputs[0].node.inputs[0]
    if node.op in (reductions.SUM, reductions.MEAN, reductions.MAX, reductions.MIN):
        return _sink_reduction(node, source, perm)
    if node.op is slices.PAD:
        return _sink_pad(node, source, perm)
    if node.op is slices.SLICE:
        return _sink_slice(node, source, perm)
    return None


def _perm(value: Value) -> Perm | None:
    """The permutation, if ``value`` is a transpose."""
    if value.node.op is not shapes.TRANSPOSE:
        return None
    return attrs_of(value.node, shapes.TransposeAttrs).perm


def _sink_elementwise(node: Node) -> Value | None:
    """``op(T(x), T(y), small) = T(op(x, y, small'))``"""
    rank = node.output.rank
    perms = {perm for value in node.inputs if (perm := _perm(value)) and len(perm) == rank}
    # An op that counts elements, such as dropout, would give each another number.
    if len(perms) != 1 or is_positional(node):
        return None
    (perm,) = perms
    sources = [_untransposed(value, perm) for value in node.inputs]
    known = tuple(source for source in sources if source is not None)
    if len(known) != len(sources):
        return None
    below = node.op.node(*known, attrs=node.attrs, path=node.path).output
    return shapes.transpose(below, perm)


def _untransposed(value: Value, perm: Perm) -> Value | None:
    """What ``value`` is a transpose by ``perm`` of, if that can be had without moving data."""
    if _perm(value) == perm:
        return value.node.inputs[0]
    sizes = (1,) * (len(perm) - value.rank) + value.type.sizes
    back = inverse(perm)
    if value.node.op is CONSTANT and value.type.size <= MAX_ELEMENTS:
        return simplified(shapes.transpose(simplified(shapes.reshape(value, sizes)), back))
    moved = [axis for axis in back if sizes[axis] != 1]
    if moved != sorted(moved):
        return None
    return shapes.reshape(value, [sizes[axis] for axis in back]) if moved else value


def _sink_reduction(node: Node, source: Value, perm: Perm) -> Value:
    attrs = attrs_of(node, reductions.ReduceAttrs)
    axes = tuple(sorted(perm[axis] for axis in attrs.axes))
    below = node.op(source, attrs=reductions.ReduceAttrs(axes, attrs.keepdims))
    if attrs.keepdims:
        return shapes.transpose(below, perm)
    left = [perm[axis] for axis in range(len(perm)) if axis not in attrs.axes]
    return shapes.transpose(below, [sorted(left).index(axis) for axis in left])


def _sink_pad(node: Node, source: Value, perm: Perm) -> Value:
    attrs = attrs_of(node, slices.PadAttrs)
    padding = [attrs.padding[axis] for axis in inverse(perm)]
    return shapes.transpose(slices.pad(source, padding, attrs.number), perm)


def _sink_slice(node: Node, source: Value, perm: Perm) -> Value:
    attrs = attrs_of(node, slices.SliceAttrs)
    keys = [attrs.keys[axis] for axis in inverse(perm)]
    return shapes.transpose(slices.slice(source, keys), perm)


def _sink_concatenate(node: Node) -> Value | None:
    perms = {_perm(value) for value in node.inputs}
    perm = perms.pop()
    if perms or perm is None:
        return None
    axis = perm[attrs_of(node, slices.ConcatenateAttrs).axis]
    sources = [value.node.inputs[0] for value in node.inputs]
    return shapes.transpose(slices.concatenate(sources, axis), perm)
