"""What a generated kernel reads or writes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from numbanet.ir import DType, Node
from numbanet.kernels.kernel import Argument
from numbanet.ops.fused import Access, FusedAttrs, contiguous, fused_form


@dataclass(frozen=True)
class Operand:
    """An argument, and where an iteration finds its element."""

    argument: Argument
    dtype: DType
    access: Access

    def nbytes(self, shape: Sequence[int]) -> int:
        """Memory that an iteration over ``shape`` touches, each element counted once."""
        sizes = zip(shape, self.access.strides, strict=True)
        return math.prod(size for size, stride in sizes if stride) * self.dtype.itemsize

    @property
    def pointer(self) -> str:
        """Its entry in a kernel's signature."""
        return f"{self.dtype}*"


def offsets(operands: Iterable[Operand]) -> tuple[tuple[int, int], ...]:
    """`Call.offsets` for operands that are a call's first arguments."""
    return tuple(
        (position, operand.access.offset * operand.dtype.itemsize)
        for position, operand in enumerate(operands)
        if operand.access.offset
    )


def fused_operands(node: Node) -> tuple[FusedAttrs, list[Operand], list[Operand]]:
    """What a fused node, or a node with a fused form, computes, reads and writes.

    The operands written are those of a node without a reduction: whole, in order.
    """
    form = fused_form(node)
    if form is None:
        raise TypeError(f"{node.op.name} has no fused form")
    attrs, inputs = form
    pairs = zip(inputs, attrs.accesses, strict=True)
    reads = [Operand(value, value.dtype, access) for value, access in pairs]
    whole = contiguous(attrs.shape)
    return attrs, reads, [Operand(value, value.dtype, whole) for value in node.outputs]
