"""The gradient of attention on CUDA, a launch for each operand.

Each block computes anew the weights that it needs, and owns what it writes: no sum is shared,
so that none needs an atomic operation or an order among blocks. That takes eight products where
five would do if blocks added into each other's results.
"""

from __future__ import annotations

from collections.abc import Iterator

from numbanet.ir import Node
from numbanet.kernels.attention import Operands
from numbanet.kernels.cuda.attention import (
    attention_call,
    matrices,
    place_gradient,
    side_of,
)
from numbanet.kernels.cuda.attention_source import GRAD_SHAPES, Matrix, Writer, shape_for
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.kernel import Call


@lowering("attention_grad")
def lower_attention_grad(node: Node) -> tuple[Call, ...]:
    lse, delta, g = node.inputs[3:6]
    operands = Operands(node, {"lse": lse, "delta": delta, "g": g})
    place_gradient(operands, g)
    q, k, v, g_rows = matrices(operands, "qkvg")
    dq, dk, dv = node.outputs
    parts = (
        ("attention_grad_q", (q, k), (g_rows, v), k, dq),
        ("attention_grad_k", (k, q), (v, g_rows), q, dk),
        ("attention_grad_v", (k, q), None, g_rows, dv),
    )
    calls: list[Call] = []
    for name, scored, sloped, mixed, out in parts:
        _, rows, heads, width = out.type.sizes
        shape = shape_for(
            GRAD_SHAPES,
            operands.dtype,
            (q, k, v, g_rows),
            rows,
            width,
            operands.batch * heads,
        )
        side = side_of(operands, queries_are_rows=out is dq)
        writer = Writer(operands.dtype, shape, side)
        lines = _lines(writer, scored, sloped, mixed)
        calls += attention_call(name, node, operands, writer, lines, (out,), width)
    return tuple(calls)


def _lines(
    writer: Writer,
    scored: tuple[Matrix, Matrix],
    sloped: tuple[Matrix, Matrix] | None,
    mixed: Matrix,
) -> Iterator[str]:
    """Sums of rows of ``mixed``, times weights, or times the gradients of scores if there are
    matrices whose products are the weights' gradients."""
    yield from writer.start(mixed.width, "qkvg")
    if writer.side.queries_are_rows:
        rows = writer.scores.rows
        for i, row in enumerate(rows):
            yield f"row{i} = int32(first_row + thread_row + {row})"
            yield from _statistics("row", i, is_sloped=sloped is not None)
    yield from writer.columns(_tile(writer, scored, sloped, mixed))
    if sloped is not None:
        yield f"sums = scale_rows(sums, ({'scale, ' * len(writer.scores.rows)}))"
    yield from writer.store("out0", mixed.width)


def _statistics(which: str, i: int, *, is_sloped: bool) -> Iterator[str]:
    """``log`` and ``mean`` of a query; beyond the last one, those of the last."""
    yield f"query = int32(min({which}{i}, int32(length - 1)))"
    yield "at = int32((sample * length + query) * heads + head)"
    yield f"log{i} = lse[at]"
    if is_sloped:
        yield f"mean{i} = delta[at]"


def _tile(
    writer: Writer,
    scored: tuple[Matrix, Matrix],
    sloped: tuple[Matrix, Matrix] | None,
    mixed: Matrix,
) -> Iterator[str]:
    yield from writer.dot("scores", *scored)
    if sloped is not None:
        yield from writer.dot("slopes", *sloped)
    yield from writer.places()
    if not writer.side.queries_are_rows:
        for j in range(len(writer.scores.columns)):
            yield from _statistics("col", j, is_sloped=sloped is not None)
    yield writer.made_at
    for i, j, at in writer.elements():
        query = i if writer.side.queries_are_rows else j
        yield from writer.score(i, j, at)
        yield f"made = exp_{writer.real}(s{at} - log{query})"
        if sloped is not None:
            yield f"made = made * (slopes[{at}] - mean{query})"
        yield writer.put(i, j, "made")
    yield from writer.mix(mixed)
