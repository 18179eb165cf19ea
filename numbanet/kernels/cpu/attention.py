"""Attention on CPUs in one pass over the keys, block by block, with a softmax that is corrected
as larger scores come up (Milakov and Gimelshein, "Online normalizer calculation for softmax",
2018). The scores of a block stay in the cache.

A tile is some queries of one head. The order of sums depends on sizes alone.
"""

from __future__ import annotations

from collections.abc import Callable

from numbanet.ir import Node
from numbanet.kernels.attention import Operands
from numbanet.kernels.cpu.attention_block import (
    Block,
    arguments_of,
    block_of,
    multiplier,
    scorer,
    transposer,
)
from numbanet.kernels.cpu.registry import lowering
from numbanet.kernels.kernel import Call, Kernel


@lowering("attention")
def lower_attention(node: Node) -> tuple[Call, ...]:
    operands = Operands(node, {})
    block = block_of(operands)
    arguments, signature = arguments_of(operands)
    out, lse = node.outputs
    pointer = f"{out.dtype}*"
    call = Call(
        Kernel("attention", make_attention, (block,), (pointer, pointer, *signature)),
        (out, lse, *arguments),
        tiles=operands.batch * operands.heads * -(-operands.length // block.queries),
        writes=(0, 1),
        nbytes=sum(value.type.nbytes for value in (*node.inputs, out, lse)),
        flops=node.op.flops(node),
    )
    return (call,) if lse.type.size else ()


def make_attention(block: Block) -> Callable[..., None]:
    from numbanet.kernels.cpu.mathematics import NAMESPACE, inline
    from numbanet.kernels.cpu.pointers import offset, stack

    dtype, width, wide = block.dtype, block.width, block.wide
    real, exp, log = (
        NAMESPACE[name.format(dtype)] for name in ("{}", "exp_negative_{}", "log_{}")
    )
    lowest, inf = float(_lowest(dtype)), NAMESPACE["inf"]
    queries, most_keys, is_causal = block.queries, block.keys, block.is_causal
    score = multiplier(dtype, queries, a_row=None)
    mix = multiplier(dtype, wide, a_row=1)
    transpose, finish = transposer(block, width), scorer(block)
    score_count, turned_count = queries * most_keys, queries * max(width, 1)

    @inline
    def weigh(scores, most, total, factor, keys):
        """Scores become powers; ``most`` and ``total`` of each query go along, and ``factor``
        is what earlier powers shrink by."""
        for i in range(queries):
            factor[i] = most[i]
        for j in range(keys):
            for i in range(queries):
                number = scores[j * queries + i]
                most[i] = number if number > most[i] else most[i]
        for i in range(queries):
            factor[i] = exp(factor[i] - most[i])
            total[i] *= factor[i]
        for j in range(keys):
            for i in range(queries):
                power = exp(scores[j * queries + i] - most[i])
                scores[j * queries + i] = power
                total[i] += power

    @inline
    def scale_rows(rows, row, factor, count):
        for i in range(count):
            for e in range(wide):
                rows[i * row + e] *= factor[i]

    def kernel(
        first, last, out, lse, q, k, v, mask, heads, length, keys,
        q_start, q_sample, q_row, q_head, k_start, k_sample, k_row, k_head,
        v_start, v_sample, v_row, v_head,
        mask_start, mask_sample, mask_head, mask_row, mask_key, scale,
    ):  # fmt: skip
        scores, turned = stack(score_count, real), stack(turned_count, real)
        most, total, factor = stack(queries, real), stack(queries, real), stack(queries, real)
        blocks = (length + queries - 1) // queries
        for tile in range(first, last):
            head, top = tile // blocks, tile % blocks * queries
            sample, head = head // heads, head % heads
            count = min(queries, length - top)
            rows = offset(q, q_start + sample * q_sample + head * q_head + top * q_row)
            transpose(turned, rows, q_row, count, real(scale))
            for i in range(queries):
                most[i] = real(lowest)
                total[i] = real(0)
            at = (sample * length + top) * heads + head
            target, row = offset(out, at * wide), heads * wide
            k_at = k_start + sample * k_sample + head * k_head
            v_at = v_start + sample * v_sample + head * v_head
            mask_at = mask_start + sample * mask_sample + head * mask_head + top * mask_row
            end = min(keys, top + count) if is_causal else keys
            for key in range(0, end, most_keys):
                several = min(most_keys, end - key)
                score(
                    several, 0, scores, queries, offset(k, k_at + key * k_row), k_row, k_row,
                    turned, queries, width,
                )  # fmt: skip
                finish(
                    scores, offset(mask, mask_at + key * mask_key),
                    mask_row, mask_key, top, key, count, several,
                )  # fmt: skip
                weigh(scores, most, total, factor, several)
                if key:
                    scale_rows(target, row, factor, count)
                mix(
                    count, key, target, row, scores, 1, queries,
                    offset(v, v_at + key * v_row), v_row, several,
                )  # fmt: skip
            for i in range(queries):
                is_empty = total[i] == real(0)
                factor[i] = real(1) / (real(1) if is_empty else total[i])
                most[i] = real(inf) if is_empty else most[i] + log(total[i])
            scale_rows(target, row, factor, count)
            for i in range(count):
                lse[at + i * heads] = most[i]

    kernel.vector_bits = 512  # type: ignore[attr-defined]
    return kernel


def _lowest(dtype: object) -> float:
    import numpy as np

    return float(np.finfo(str(dtype)).min)
