"""Copies into parts of a tensor: concatenation and padding."""

from __future__ import annotations

from collections.abc import Sequence

from numbanet.ir import Node, Value, attrs_of
from numbanet.kernels.cuda.fused import elementwise_calls
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.kernel import Call
from numbanet.kernels.operand import Operand
from numbanet.ops.expression import NUMBER, Expression, NumberAttrs, Step, identity
from numbanet.ops.fused import Access, contiguous
from numbanet.ops.slices import ConcatenateAttrs, PadAttrs


@lowering("concatenate")
def lower_concatenate(node: Node) -> tuple[Call, ...]:
    """A copy for each input, into its part of the output."""
    axis = attrs_of(node, ConcatenateAttrs).axis
    calls: list[Call] = []
    end = 0
    for value in node.inputs:
        starts = [0] * value.rank
        starts[axis] = end
        end += value.type.sizes[axis]
        calls += _copy_into(node.output, value, starts)
    return tuple(calls)


@lowering("pad")
def lower_pad(node: Node) -> tuple[Call, ...]:
    """The number everywhere, then the input over it."""
    attrs = attrs_of(node, PadAttrs)
    (value,), out = node.inputs, node.output
    step = Step(NUMBER, NumberAttrs(attrs.number, out.dtype), (), out.dtype)
    whole = Operand(out, out.dtype, contiguous(out.type.sizes))
    fill = elementwise_calls(Expression((), (step,), (0,)), out.type.sizes, (), (whole,))
    return (*fill, *_copy_into(out, value, [before for before, _ in attrs.padding]))


def _copy_into(out: Value, value: Value, starts: Sequence[int]) -> tuple[Call, ...]:
    """All of ``value`` into the part of ``out`` that starts there."""
    strides = contiguous(out.type.sizes).strides
    offset = sum(start * stride for start, stride in zip(starts, strides, strict=True))
    source = Operand(value, value.dtype, contiguous(value.type.sizes))
    target = Operand(out, out.dtype, Access(offset, strides))
    return elementwise_calls(identity(value.dtype), value.type.sizes, (source,), (target,))
