"""Reads: attention reads its operands out of what they are parts of.

Queries, keys and values are often slices of one product, or have their axes exchanged. Its
kernels take any distance between rows and between heads, so that nothing has to be copied as
long as the numbers of a row lie together.
"""

from __future__ import annotations

from dataclasses import replace

from numbanet.ir import Graph, Node, Value, attrs_of, rewrite
from numbanet.ops.attention import ATTENTION
from numbanet.ops.attention_grad import ATTENTION_GRAD
from numbanet.ops.attention_scores import AttentionAttrs, Read
from numbanet.ops.fused import Access, contiguous, fused_form
from numbanet.ops.shapes import EXPAND, RESHAPE, TRANSPOSE
from numbanet.ops.slices import SLICE
from numbanet.passes.access import compose

_OPERANDS = 3
_VIEWS = frozenset({TRANSPOSE, SLICE, EXPAND})


def reads(graph: Graph) -> Graph:
    """``graph`` with attention on the tensors that its operands are parts of."""

    def look_through(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op not in (ATTENTION, ATTENTION_GRAD):
            return None
        attrs = attrs_of(node, AttentionAttrs)
        if attrs.reads:
            return None
        operands = inputs[:_OPERANDS]
        found = [_source(value) for value in operands]
        sources = [source for source, _ in found]
        if all(a is b for a, b in zip(sources, operands, strict=True)):
            return None
        shapes = [value.type.sizes for value in operands]
        places = tuple(
            Read(shape, access) for shape, (_, access) in zip(shapes, found, strict=True)
        )
        made = node.op.node(
            *sources,
            *inputs[_OPERANDS:],
            attrs=replace(attrs, reads=places),
            path=node.path,
        )
        return made.outputs

    return rewrite(graph, look_through)


def _source(operand: Value) -> tuple[Value, Access]:
    """The tensor furthest back whose memory holds ``operand``, row by row, and where."""
    shape = operand.type.sizes
    value, access = operand, contiguous(shape)
    best = value, access
    while True:
        node = value.node
        if node.op in _VIEWS:
            form = fused_form(node)
            composed = form and compose(access, shape, value.type.sizes, form[0].accesses[0])
            if composed is None:
                return best
            access = composed
        elif node.op is not RESHAPE:
            return best
        value = node.inputs[0]
        if access.strides[-1] == 1 or shape[-1] == 1:
            best = value, access
