"""Elementwise kernels: one generated function for each program and kind of memory access.

A kernel walks the collapsed iteration space in tiles of ``height`` rows by ``width`` columns;
columns are the last dimension, rows all others. Sizes and strides are arguments, so only the
rank, the program, and which operands step alike make another kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numbanet.ops  # noqa: F401, it fills the registry
from numbanet.ir import REGISTRY, Node
from numbanet.kernels.cpu.fused_source import TURNED_TILE, Layout, write_elementwise
from numbanet.kernels.cpu.generated import kernel_name, make_generated
from numbanet.kernels.cpu.reduce import lower_reduction
from numbanet.kernels.cpu.registry import lowering
from numbanet.kernels.iteration import Dims, Step, collapse
from numbanet.kernels.kernel import Call, Kernel
from numbanet.kernels.operand import Operand, fused_operands, offsets
from numbanet.ops.expression import Expression
from numbanet.ops.fused import FUSED, contiguous, is_fusable

TILE_ELEMENTS = 8192
"""Enough work to outweigh a tile's start; few enough to stay in the second-level cache."""


@lowering(FUSED.name, *(op.name for op in REGISTRY.values() if is_fusable(op)))
def lower_fused(node: Node) -> tuple[Call, ...]:
    """The calls of a fused node, or of any node that has a fused form."""
    attrs, reads, writes = fused_operands(node)
    if attrs.reduction is not None:
        return lower_reduction(node, attrs, reads)
    return elementwise_calls(
        attrs.expression, attrs.shape, reads, writes, flops=node.op.flops(node)
    )


def elementwise_calls(
    expression: Expression,
    shape: tuple[int, ...],
    reads: Sequence[Operand],
    writes: Sequence[Operand],
    flops: int = 0,
) -> tuple[Call, ...]:
    """The call that computes ``expression`` for every element of ``shape``; none if empty."""
    operands = [*reads, *writes]
    dims = collapse(shape, [operand.access for operand in operands])
    if dims.size == 0:
        return ()
    layout = Layout.of(dims)
    height, width = _tile(dims)
    text = write_elementwise(expression, layout)
    rows, columns = dims.size // dims.sizes[-1], dims.sizes[-1]
    sizes = (height, width, *dims.sizes, *layout.numbers(dims))
    signature = (*(operand.pointer for operand in operands), *["int64"] * len(sizes))
    return (
        Call(
            Kernel(kernel_name(expression), make_generated, (text, "fused"), signature),
            (*(operand.argument for operand in operands), *sizes),
            tiles=-(-rows // height) * -(-columns // width),
            writes=tuple(range(len(reads), len(operands))),
            in_place=_in_place(expression, shape, reads, writes),
            nbytes=sum(operand.nbytes(shape) for operand in operands),
            flops=flops,
            offsets=offsets(operands),
        ),
    )


def _tile(dims: Dims) -> tuple[int, int]:
    """Height and width of the tiles."""
    columns = dims.sizes[-1]
    if dims.rank > 1 and Step.ANY in dims.inner:
        return TURNED_TILE, min(columns, TURNED_TILE)
    width = min(columns, TILE_ELEMENTS)
    return max(1, TILE_ELEMENTS // width), width


def _in_place(
    expression: Expression,
    shape: tuple[int, ...],
    reads: Sequence[Operand],
    writes: Sequence[Operand],
) -> tuple[tuple[int, int], ...]:
    """Pairs of operands that walk memory alike, where what is written depends on what is read.

    That dependence puts the load before the store, see `numbanet.kernels.cpu.memory`.
    """
    used = expression.dependences()
    whole = contiguous(shape)
    arguments = [operand.argument for operand in reads]
    return tuple(
        (position, len(reads) + number)
        for position, read in enumerate(reads)
        for number, write in enumerate(writes)
        if read.access == write.access == whole
        and read.dtype.itemsize == write.dtype.itemsize
        and arguments.count(read.argument) == 1
        and position in used[number]
    )
