"""Measured convolutions and data gradients: what batch normalisation sums up of their results
is taken of the numbers that a tile stores, while they are at hand, and one more launch puts
together what all tiles found.

Where a product is better split, or falls into parts, its result is measured afterwards.
"""

from __future__ import annotations

from dataclasses import replace

from numbanet.ir import Node, Value
from numbanet.ir.op import attrs_of
from numbanet.kernels.cuda.batch_norm import (
    merge_moments,
    merge_sums,
    moments_calls,
    sums_calls,
)
from numbanet.kernels.cuda.convolution import (
    conv2d_calls,
    conv2d_product,
    epilogue_in,
    transpose_calls,
    transpose_products,
)
from numbanet.kernels.cuda.moments import GradientSums, Moments
from numbanet.kernels.cuda.partial import measured_call
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.tiling import choose
from numbanet.kernels.kernel import Call, Scratch
from numbanet.ops.composite import MEASURED, CompositeAttrs, members
from numbanet.ops.convolution import CONV2D

Memory = Value | Scratch


@lowering(MEASURED.name)
def lower_measured(node: Node) -> tuple[Call, ...]:
    product, sums = members(node)
    results = _results(node, (product, sums))
    y = results[product.output]
    if not isinstance(y, Value):
        raise TypeError(f"nobody reads what {node!r} measures")
    inputs = [y if value is product.output else value for value in sums.inputs]
    found = [results[value] for value in sums.outputs]
    lower = _convolution if product.op is CONV2D else _data_gradient
    return lower(product, sums, y, inputs, found)


def _convolution(
    product: Node, sums: Node, y: Value, inputs: list[Value], found: list[Memory]
) -> tuple[Call, ...]:
    text, work = conv2d_product(product, y)
    plan = choose(*work.shape, y.dtype, is_measured=True)
    if plan.splits > 1:
        return *conv2d_calls(product, y), *moments_calls(sums, (*inputs, *found))
    epilogue, measure = epilogue_in(product, y), Moments(y.type.sizes[-1])
    call, tiles = measured_call("conv2d_measured", text, work, plan, epilogue, measure)
    rows = plan.tiling.rows
    values = (*inputs, *found)
    merge = merge_moments(sums, tiles, values, -(-work.rows // rows), rows)
    return replace(call, flops=call.flops + sums.op.flops(sums)), merge


def _data_gradient(
    product: Node, sums: Node, y: Value, inputs: list[Value], found: list[Memory]
) -> tuple[Call, ...]:
    (text, work), *others = transpose_products(product, y)
    plan = choose(*work.shape, y.dtype, is_measured=True)
    if others or plan.splits > 1:
        return *transpose_calls(product, y), *sums_calls(sums, (*inputs, *found))
    epilogue, measure = epilogue_in(product, y), GradientSums(y.type.sizes[-1])
    name, reads = "conv2d_transpose_measured", tuple(inputs[:3])
    call, tiles = measured_call(name, text, work, plan, epilogue, measure, reads)
    rows = plan.tiling.rows
    merge = merge_sums(sums, tiles, found, -(-work.rows // rows), rows)
    flops = min(call.flops, product.op.flops(product)) + sums.op.flops(sums)
    return replace(call, flops=flops), merge


def _results(node: Node, steps: tuple[Node, ...]) -> dict[Value, Memory]:
    """What stands for the results of ``steps``: outputs of ``node``, or what nobody reads."""
    made = [value for step in steps for value in step.outputs]
    memory: dict[Value, Memory] = {value: Scratch(value.type.nbytes) for value in made}
    slots, values = attrs_of(node, CompositeAttrs).outputs, [*node.inputs, *made]
    return memory | {values[slot]: out for slot, out in zip(slots, node.outputs, strict=True)}
