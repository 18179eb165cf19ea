"""The gradient of attention on CPUs: weights computed anew, block by block (Dao,
"FlashAttention-2: faster attention with better parallelism and work partitioning", 2023).

A tile is a head. Blocks of its keys are gone through in turn, and for each the blocks of
queries: gradients of keys and values are finished with their block, those of queries add up
from block to block, in the one order that there is.
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


@lowering("attention_grad")
def lower_attention_grad(node: Node) -> tuple[Call, ...]:
    lse, delta, g = node.inputs[3:6]
    operands = Operands(node, {"lse": lse, "delta": delta, "g": g})
    arguments, signature = arguments_of(operands)
    pointer = f"{operands.dtype}*"
    call = Call(
        Kernel(
            "attention_grad",
            make_attention_grad,
            (block_of(operands),),
            (*[pointer] * 3, *signature),
        ),
        (*node.outputs, *arguments),
        tiles=operands.batch * operands.heads,
        writes=(0, 1, 2),
        nbytes=sum(value.type.nbytes for value in (*node.inputs, *node.outputs)),
        flops=node.op.flops(node),
    )
    return (call,) if call.tiles else ()


def make_attention_grad(block: Block) -> Callable[..., None]:
    from numbanet.kernels.cpu.mathematics import NAMESPACE, inline
    from numbanet.kernels.cpu.pointers import offset, stack

    dtype, width, wide = block.dtype, block.width, block.wide
    real, exp = NAMESPACE[str(dtype)], NAMESPACE[f"exp_negative_{dtype}"]
    queries, most_keys, is_causal = block.queries, block.keys, block.is_causal
    score = multiplier(dtype, queries, a_row=None)
    by_key, by_value = (multiplier(dtype, each, a_row=None) for each in (width, wide))
    by_query = multiplier(dtype, width, a_row=1)
    turn, turn_wide = transposer(block, width), transposer(block, wide)
    finish = scorer(block)
    score_count = queries * most_keys
    turned_count, wide_count = queries * max(width, 1), queries * max(wide, 1)

    @inline
    def differentiate(scores, slopes, logs, means, scale, keys):
        """Scores become weights, and the gradients of those the ones of scaled scores."""
        for j in range(keys):
            for i in range(queries):
                weight = exp(scores[j * queries + i] - logs[i])
                scores[j * queries + i] = weight
                slopes[j * queries + i] = weight * (slopes[j * queries + i] - means[i]) * scale

    @inline
    def clear(rows, row, count, columns):
        for i in range(count):
            for e in range(columns):
                rows[i * row + e] = real(0)

    def kernel(
        first, last, dq, dk, dv, q, k, v, lse, delta, g, mask, heads, length, keys,
        q_start, q_sample, q_row, q_head, k_start, k_sample, k_row, k_head,
        v_start, v_sample, v_row, v_head,
        mask_start, mask_sample, mask_head, mask_row, mask_key, scale,
    ):  # fmt: skip
        scores, slopes = stack(score_count, real), stack(score_count, real)
        turned, turned_g = stack(turned_count, real), stack(wide_count, real)
        logs, means = stack(queries, real), stack(queries, real)
        row, wide_row = heads * width, heads * wide
        for tile in range(first, last):
            sample, head = tile // heads, tile % heads
            q_at = q_start + sample * q_sample + head * q_head
            k_at = k_start + sample * k_sample + head * k_head
            v_at = v_start + sample * v_sample + head * v_head
            mask_at = mask_start + sample * mask_sample + head * mask_head
            rows_at = sample * length * heads + head
            keys_at = sample * keys * heads + head
            for key in range(0, keys, most_keys):
                several = min(most_keys, keys - key)
                k_rows, v_rows = offset(k, k_at + key * k_row), offset(v, v_at + key * v_row)
                dk_rows = offset(dk, (keys_at + key * heads) * width)
                dv_rows = offset(dv, (keys_at + key * heads) * wide)
                # Queries before the block's first key do not see it.
                start = key // queries * queries if is_causal else 0
                if start >= length:
                    clear(dk_rows, row, several, width)
                    clear(dv_rows, wide_row, several, wide)
                for top in range(start, length, queries):
                    count = min(queries, length - top)
                    q_rows = offset(q, q_at + top * q_row)
                    at = rows_at + top * heads
                    g_rows = offset(g, at * wide)
                    turn(turned, q_rows, q_row, count, real(scale))
                    turn_wide(turned_g, g_rows, wide_row, count, real(1))
                    for i in range(queries):
                        logs[i] = lse[at + min(i, count - 1) * heads]
                        means[i] = delta[at + min(i, count - 1) * heads]
                    score(
                        several, 0, scores, queries, k_rows, k_row, k_row,
                        turned, queries, width,
                    )  # fmt: skip
                    score(
                        several, 0, slopes, queries, v_rows, v_row, v_row,
                        turned_g, queries, wide,
                    )  # fmt: skip
                    masked = mask_at + top * mask_row + key * mask_key
                    finish(
                        scores, offset(mask, masked), mask_row, mask_key,
                        top, key, count, several,
                    )  # fmt: skip
                    differentiate(scores, slopes, logs, means, real(scale), several)
                    is_more = top - start
                    by_value(
                        several, is_more, dv_rows, wide_row, scores, queries, queries,
                        g_rows, wide_row, count,
                    )  # fmt: skip
                    by_key(
                        several, is_more, dk_rows, row, slopes, queries, queries,
                        q_rows, q_row, count,
                    )  # fmt: skip
                    by_query(
                        count, key, offset(dq, at * width), row, slopes, 1, queries,
                        k_rows, k_row, several,
                    )  # fmt: skip

    kernel.vector_bits = 512  # type: ignore[attr-defined]
    return kernel
