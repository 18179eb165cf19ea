"""Algebra: rules that make nodes simpler, one function an identity.

Every rule keeps every bit of the result, except that the sign of a zero may change (``x + 0``).
So ``x * 0`` stays: it is not zero where ``x`` is infinite or NaN. Reassociation is left out for
the same reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from numbanet.ir import Graph, Node, Value, at_path, attrs_of, rebuild, rewrite
from numbanet.ops import arithmetic, shapes, slices
from numbanet.ops.casts import CAST
from numbanet.ops.expression import is_positional
from numbanet.ops.leaf import constant_number
from numbanet.ops.reductions import ReduceAttrs
from numbanet.passes.fold import folded, is_foldable

MAX_STEPS = 32
"""Rules applied to one node, one after the other; each makes the node smaller or drops it."""


def algebra(graph: Graph) -> Graph:
    """``graph`` with the rules of this module applied to every node until none fits.

    Gradients must have been taken: ``stop_gradient`` has done its work, and goes.
    """

    def replace(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op.is_leaf or len(node.outputs) != 1:
            return None
        with at_path(node.path):
            return (simplified(rebuild(node, inputs).output),)

    return rewrite(graph, replace)


def simplified(value: Value) -> Value:
    """``value`` after as many rules as fit."""
    for _ in range(MAX_STEPS):
        node = value.node
        if node.op.is_leaf or len(node.outputs) != 1:
            return value
        if is_foldable(node, node.inputs):
            return folded(node)[0]
        simpler = _apply_first(node)
        if simpler is None:
            return value
        value = simpler
    return value


def _apply_first(node: Node) -> Value | None:
    rules = RULES.get(node.op.name, ())
    if node.op.is_elementwise:
        rules = (*rules, drop_expand)
    for rule in rules:
        simpler = rule(node)
        if simpler is not None and simpler.type == node.output.type:
            return simpler
    return None


Rule = Callable[[Node], Value | None]


def _has_number(position: int, number: float) -> Rule:
    """``x op number = x``, with the number at ``position`` and no broadcast by it."""

    def drop_neutral(node: Node) -> Value | None:
        is_neutral = constant_number(node.inputs[position]) == number
        return node.inputs[1 - position] if is_neutral else None

    return drop_neutral


def double_negation(node: Node) -> Value | None:
    """``--x = x``"""
    inner = node.inputs[0].node
    return inner.inputs[0] if inner.op is arithmetic.NEGATIVE else None


def add_negative(node: Node) -> Value | None:
    """``x + -y = x - y`` and ``-x + y = y - x``"""
    a, b = node.inputs
    if b.node.op is arithmetic.NEGATIVE:
        return arithmetic.subtract(a, b.node.inputs[0])
    if a.node.op is arithmetic.NEGATIVE:
        return arithmetic.subtract(b, a.node.inputs[0])
    return None


def subtract_negative(node: Node) -> Value | None:
    """``x - -y = x + y``"""
    a, b = node.inputs
    return arithmetic.add(a, b.node.inputs[0]) if b.node.op is arithmetic.NEGATIVE else None


def divide_by_power_of_two(node: Node) -> Value | None:
    """``x / 2**k = x * 2**-k``, which is exact as long as the factor is a normal number."""
    number = constant_number(node.inputs[1])
    if number is None or not math.isfinite(number) or number == 0:
        return None
    mantissa, exponent = math.frexp(number)
    if abs(mantissa) != 0.5 or abs(exponent) > 100:
        return None
    return node.inputs[0] * (1.0 / number)


def simple_power(node: Node) -> Value | None:
    """``x ** 1 = x`` and ``x ** 2 = x * x``"""
    base, exponent = node.inputs
    match constant_number(exponent):
        case 1:
            return base
        case 2:
            return arithmetic.square(base)
    return None


def cast_of_lossless_cast(node: Node) -> Value | None:
    """A cast there and back again, through a dtype that holds every number."""
    inner = node.inputs[0].node
    if inner.op is not CAST:
        return None
    source = inner.inputs[0]
    is_lossless = np.can_cast(source.dtype.numpy, inner.output.dtype.numpy, "safe")
    return source if is_lossless and node.output.dtype is source.dtype else None


def cast_to_same(node: Node) -> Value | None:
    value = node.inputs[0]
    return value if value.dtype is node.output.dtype else None


def same_branches(node: Node) -> Value | None:
    """``where(c, x, x) = x``"""
    _, a, b = node.inputs
    return a if a is b else None


def drop_stop_gradient(node: Node) -> Value | None:
    return node.inputs[0]


def same_shape(node: Node) -> Value | None:
    """A reshape, expand, slice or pad that changes nothing."""
    value = node.inputs[0]
    return value if value.type == node.output.type and value.type.is_known else None


def reshape_of_reshape(node: Node) -> Value | None:
    inner = node.inputs[0].node
    if inner.op is not shapes.RESHAPE or not inner.inputs[0].type.is_known:
        return None
    return shapes.reshape(inner.inputs[0], node.output.type.sizes)


def transpose_of_transpose(node: Node) -> Value | None:
    inner = node.inputs[0].node
    if inner.op is not shapes.TRANSPOSE:
        return None
    first = attrs_of(inner, shapes.TransposeAttrs).perm
    second = attrs_of(node, shapes.TransposeAttrs).perm
    return shapes.transpose(inner.inputs[0], [first[axis] for axis in second])


def idle_transpose(node: Node) -> Value | None:
    """A transpose that moves axes of size one only is a reshape."""
    value = node.inputs[0]
    if not value.type.is_known or shapes.TRANSPOSE.view is None:
        return None
    is_idle = shapes.TRANSPOSE.view(node) == 0
    return shapes.reshape(value, node.output.type.sizes) if is_idle else None


def expand_of_expand(node: Node) -> Value | None:
    inner = node.inputs[0].node
    if inner.op is not shapes.EXPAND or not node.output.type.is_known:
        return None
    return shapes.expand(inner.inputs[0], node.output.type.sizes)


def view_of_one_number(node: Node) -> Value | None:
    """One number, expanded, looks the same in any order, shape or part."""
    inner = node.inputs[0].node
    if inner.op is not shapes.EXPAND or not node.output.type.is_known:
        return None
    source = inner.inputs[0]
    if source.type.size != 1:
        return None
    return shapes.expand(simplified(shapes.reshape(source, ())), node.output.type.sizes)


def drop_expand(node: Node) -> Value | None:
    """Elementwise ops broadcast by themselves, so they read what an operand was expanded from.

    Where no operand is left that has the full shape, the result is what is expanded.
    """
    if all(value.node.op is not shapes.EXPAND for value in node.inputs):
        return None
    if not node.output.type.is_known or is_positional(node):
        return None
    sources = tuple(
        value.node.inputs[0] if value.node.op is shapes.EXPAND else value
        for value in node.inputs
    )
    made = node.op.node(*sources, attrs=node.attrs, path=node.path).output
    return shapes.expand(simplified(made), node.output.type.sizes)


def reduce_of_nothing(node: Node) -> Value | None:
    """A reduction over axes of size one is a reshape."""
    value = node.inputs[0]
    if any(value.shape[axis] != 1 for axis in attrs_of(node, ReduceAttrs).axes):
        return None
    return shapes.reshape(value, node.output.type.shape)


def add_neighbours(node: Node) -> Value | None:
    """Two parts of a tensor among zeros are one part: a gradient that several slices have left
    is their gradients side by side."""
    ends = [_padded_axis(value.node) for value in node.inputs]
    if None in ends or ends[0] != ends[1] or not node.output.type.is_known:
        return None
    axis = ends[0] or 0
    parts = [value.node for value in node.inputs]
    paddings = [attrs_of(part, slices.PadAttrs).padding for part in parts]
    if paddings[0][axis] > paddings[1][axis]:
        parts, paddings = parts[::-1], paddings[::-1]
    before, after = paddings[0][axis][0], paddings[1][axis][1]
    sources = [part.inputs[0] for part in parts]
    if (
        before + sum(source.type.sizes[axis] for source in sources) + after
        != node.output.shape[axis]
    ):
        return None
    pieces = [piece for source in sources for piece in _pieces(source, axis)]
    padding = [(before, after) if each == axis else (0, 0) for each in range(node.output.rank)]
    return slices.pad(slices.concatenate(pieces, axis), padding)


def _padded_axis(node: Node) -> int | None:
    """The axis along which ``node`` puts something among zeros, if it is one."""
    if node.op is not slices.PAD:
        return None
    attrs = attrs_of(node, slices.PadAttrs)
    axes = [axis for axis, ends in enumerate(attrs.padding) if ends != (0, 0)]
    return axes[0] if len(axes) == 1 and attrs.number == 0 else None


def _pieces(value: Value, axis: int) -> tuple[Value, ...]:
    """What ``value`` is put together from along ``axis``."""
    node = value.node
    if node.op is not slices.CONCATENATE:
        return (value,)
    return node.inputs if attrs_of(node, slices.ConcatenateAttrs).axis == axis else (value,)


RULES: dict[str, tuple[Rule, ...]] = {
    "add": (_has_number(1, 0), _has_number(0, 0), add_negative, add_neighbours),
    "subtract": (_has_number(1, 0), subtract_negative),
    "multiply": (_has_number(1, 1), _has_number(0, 1)),
    "divide": (_has_number(1, 1), divide_by_power_of_two),
    "power": (simple_power,),
    "negative": (double_negation,),
    "cast": (cast_to_same, cast_of_lossless_cast),
    "where": (same_branches,),
    "stop_gradient": (drop_stop_gradient,),
    "reshape": (same_shape, reshape_of_reshape, view_of_one_number),
    "expand": (same_shape, expand_of_expand),
    "slice": (view_of_one_number,),
    "transpose": (transpose_of_transpose, view_of_one_number, idle_transpose),
    "sum": (reduce_of_nothing,),
    "mean": (reduce_of_nothing,),
    "max": (reduce_of_nothing,),
    "min": (reduce_of_nothing,),
}
"""Rules by op name, tried in order. A result of another type than the node's is not taken."""
