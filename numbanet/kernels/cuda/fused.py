"""Fused nodes, and those that have a fused form: one generated kernel each."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numbanet.ops  # noqa: F401, it fills the registry
from numbanet.ir import REGISTRY, Node
from numbanet.kernels.cuda import sums, tuning
from numbanet.kernels.cuda.elementwise import LANES, Layout, Writer, different, in_place
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.reduce import lower_reduction
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.sizes import check_elements
from numbanet.kernels.cuda.walks import offsets
from numbanet.kernels.iteration import collapse
from numbanet.kernels.kernel import Call, Kernel
from numbanet.kernels.operand import Operand, fused_operands
from numbanet.ops.expression import Expression
from numbanet.ops.fused import FUSED, is_fusable


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
    check_elements(dims.size)
    layout = Layout.of(dims, [operand.dtype for operand in operands])
    threads = tuning.TUNING.threads
    text = Writer(expression, layout, len(reads), threads).write()
    numbers = (dims.size, *layout.walks.numbers(different(dims)))
    signature = (*(operand.pointer for operand in operands), *["int32"] * len(numbers))
    each = LANES if layout.is_vector else 1
    name = name_of(expression)
    return (
        Call(
            Kernel(name, make_generated, (text,), signature, threads),
            (*(operand.argument for operand in operands), *numbers),
            tiles=-(-dims.size // (threads * each)),
            writes=tuple(range(len(reads), len(operands))),
            in_place=in_place(shape, reads, writes),
            nbytes=sum(operand.nbytes(shape) for operand in operands),
            flops=flops,
            offsets=offsets(operands, shape),
            adding=functools.partial(sums.adding, name, expression, shape, reads, writes),
        ),
    )


def name_of(expression: Expression) -> str:
    """Its ops, each once."""
    return "_".join(dict.fromkeys(step.op.name for step in expression.steps)) or "copy"
