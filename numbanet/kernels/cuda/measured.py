"""Measured convolutions: the moments of their results' channels are taken of the numbers that a
tile stores, while they are at hand, and one more launch puts those of all tiles together.

Where a convolution is better split, its moments are taken once its sums have been added up.
"""

from __future__ import annotations

from dataclasses import replace

from numbanet.ir import Node, Value
from numbanet.ir.op import attrs_of
from numbanet.kernels.cuda.batch_norm import merge_moments, moments_calls
from numbanet.kernels.cuda.convolution import Convolution
from numbanet.kernels.cuda.partial import measured_call, product_calls
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.tiling import choose
from numbanet.kernels.kernel import Call, Scratch
from numbanet.ops.composite import MEASURED, CompositeAttrs, members


@lowering(MEASURED.name)
def lower_measured(node: Node) -> tuple[Call, ...]:
    convolution, moments = members(node)
    memory = _memory(node, (convolution, moments))
    y = memory[convolution.output]
    if not isinstance(y, Value):
        raise TypeError(f"nobody reads what {node!r} measures")
    values = (y, *moments.inputs[1:], *(memory[value] for value in moments.outputs))
    product = Convolution(convolution, y)
    plan = choose(*product.sizes, y.dtype, is_measured=True)
    if plan.splits > 1:
        return (
            *product_calls("conv2d", *product.parts(plan)),
            *moments_calls(moments, values),
        )
    call, partials = measured_call("conv2d_measured", *product.parts(plan))
    rows = plan.tiling.rows
    parts = -(-product.sizes[0] // rows)
    return (
        replace(call, flops=call.flops + moments.op.flops(moments)),
        merge_moments(moments, partials, values, parts, rows),
    )


def _memory(node: Node, steps: tuple[Node, ...]) -> dict[Value, Value | Scratch]:
    """What stands for the results of ``steps``: outputs of ``node``, or what nobody reads."""
    results = [*node.inputs, *(value for step in steps for value in step.outputs)]
    memory: dict[Value, Value | Scratch] = {
        value: Scratch(value.type.nbytes) for step in steps for value in step.outputs
    }
    slots = attrs_of(node, CompositeAttrs).outputs
    return memory | {results[slot]: out for slot, out in zip(slots, node.outputs, strict=True)}
