"""Ops that put tensors together, as elementwise writes into parts of their output."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from numbanet.ir import Node, Value, attrs_of
from numbanet.kernels.operand import Operand
from numbanet.ops.expression import NUMBER, Expression, NumberAttrs, Step, identity
from numbanet.ops.fused import Access, contiguous
from numbanet.ops.slices import ConcatenateAttrs, PadAttrs
from numbanet.ops.state import PackAttrs, SegmentAttrs

_TOGETHER = 8
"""How many values a concatenation copies in one launch."""


@dataclass(frozen=True)
class Piece:
    """An elementwise program over ``shape``, which is a part of the output."""

    expression: Expression
    shape: tuple[int, ...]
    reads: tuple[Operand, ...]
    writes: tuple[Operand, ...]


def pieces(node: Node) -> list[Piece]:
    """Pieces that write each element of the node's output once, the empty ones left out."""
    return [piece for piece in _RULES[node.op.name](node) if 0 not in piece.shape]


def _copy_all(node: Node) -> Iterator[Piece]:
    """A reshape or a segment that could not stay where its input is."""
    start = attrs_of(node, SegmentAttrs).offset if node.op.name == "segment" else 0
    (value,), out = node.inputs, node.output
    size = (out.type.size,)
    yield _copy(value, Access(start, (1,)), out, Access(0, (1,)), size)


def _concatenate(node: Node) -> Iterator[Piece]:
    """Neighbours of one shape are copied together: a launch costs more than a small copy."""
    axis = attrs_of(node, ConcatenateAttrs).axis
    end = 0
    for sizes, alike in itertools.groupby(node.inputs, lambda value: value.type.sizes):
        values = list(alike)
        for first in range(0, len(values), _TOGETHER):
            part = values[first : first + _TOGETHER]
            targets = [end + i * sizes[axis] for i in range(len(part))]
            end += len(part) * sizes[axis]
            yield _copies(part, node.output, axis, targets)


def _pad(node: Node) -> Iterator[Piece]:
    """The input; then, axis by axis, what lies before and after it. Axes that are done are cut
    to the input's part, so that no element is written twice."""
    attrs = attrs_of(node, PadAttrs)
    (value,), out = node.inputs, node.output
    starts = [before for before, _ in attrs.padding]
    inner = value.type.sizes
    yield _copy(value, contiguous(inner), out, _part(out, starts), inner)
    for axis, (before, after) in enumerate(attrs.padding):
        rest = out.type.sizes[axis + 1 :]
        for start, size in ((0, before), (before + inner[axis], after)):
            corner = [*starts[:axis], start, *([0] * len(rest))]
            yield _fill(attrs.number, out, _part(out, corner), (*inner[:axis], size, *rest))


def _pack(node: Node) -> Iterator[Piece]:
    attrs = attrs_of(node, PackAttrs)
    out = node.output
    ends = [0]
    for value, offset in zip(node.inputs, attrs.offsets, strict=True):
        size = value.type.size
        yield _copy(value, Access(0, (1,)), out, Access(offset, (1,)), (size,))
        ends.append(offset + size)
    for end, start in itertools.zip_longest(ends, attrs.offsets, fillvalue=attrs.size):
        yield _fill(0, out, Access(end, (1,)), (start - end,))


_RULES: dict[str, Callable[[Node], Iterator[Piece]]] = {
    "reshape": _copy_all,
    "segment": _copy_all,
    "concatenate": _concatenate,
    "pad": _pad,
    "pack": _pack,
}
MOVEMENTS = tuple(_RULES)
"""Names of the ops that `pieces` takes."""


def _part(out: Value, starts: Sequence[int]) -> Access:
    """Access to the part of ``out`` whose first element is at ``starts``."""
    strides = contiguous(out.type.sizes).strides
    offset = sum(start * stride for start, stride in zip(starts, strides, strict=True))
    return Access(offset, strides)


def _copy(
    value: Value, source: Access, out: Value, target: Access, shape: tuple[int, ...]
) -> Piece:
    reads = (Operand(value, value.dtype, source),)
    return Piece(identity(value.dtype), shape, reads, (Operand(out, out.dtype, target),))


def _copies(values: Sequence[Value], out: Value, axis: int, targets: Sequence[int]) -> Piece:
    """Copy values of one type to places along an axis of ``out``."""
    sizes = values[0].type.sizes
    starts = [[0] * axis + [target] + [0] * (out.rank - axis - 1) for target in targets]
    return Piece(
        Expression((out.dtype,) * len(values), (), tuple(range(len(values)))),
        sizes,
        tuple(Operand(value, out.dtype, contiguous(sizes)) for value in values),
        tuple(Operand(out, out.dtype, _part(out, start)) for start in starts),
    )


def _fill(number: float, out: Value, target: Access, shape: tuple[int, ...]) -> Piece:
    step = Step(NUMBER, NumberAttrs(number, out.dtype), (), out.dtype)
    writes = (Operand(out, out.dtype, target),)
    return Piece(Expression((), (step,), (0,)), shape, (), writes)
