"""Attention on CUDA in one launch, with a softmax that is corrected as larger scores come up
(Dao, "FlashAttention-2: faster attention with better parallelism and work partitioning", 2023).

Threads that share a row of scores exchange what is largest in it through shared memory; each
sums up its own powers, and these sums meet at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from numbanet.ir import DType, Node, Value
from numbanet.kernels.attention import Operands
from numbanet.kernels.cuda.attention_source import (
    SHAPES,
    AttentionSource,
    Matrix,
    Side,
    Writer,
    indented,
    shape_for,
)
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.matmul import load_width
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.sizes import check_sizes
from numbanet.kernels.kernel import Call, Kernel
from numbanet.ops.fused import Access, contiguous

_LOWEST = {DType.FLOAT32: -3.4028234663852886e38, DType.FLOAT64: -1.7976931348623157e308}


@lowering("attention")
def lower_attention(node: Node) -> tuple[Call, ...]:
    operands = Operands(node, {})
    out, lse = node.outputs
    q, k, v = matrices(operands, "qkv")
    heads = operands.batch * operands.heads
    shape = shape_for(SHAPES, operands.dtype, (q, k, v), operands.length, operands.wide, heads)
    writer = Writer(operands.dtype, shape, side_of(operands, queries_are_rows=True))
    lines = _Forward(writer, _LOWEST[operands.dtype]).lines(q, k, v)
    return attention_call("attention", node, operands, writer, lines, (out, lse), operands.wide)


def side_of(operands: Operands, *, queries_are_rows: bool) -> Side:
    mask = None if operands.mask is None else operands.mask.dtype
    return Side(queries_are_rows, operands.is_causal, mask)


def matrices(operands: Operands, names: str) -> list[Matrix]:
    """The operands' rows as kernels name them."""
    found = []
    for name in names:
        distances = [
            operands.numbers[f"{name}_{x}"] for x in ("start", "sample", "row", "head")
        ]
        count = "keys" if name in "kv" else "length"
        width, size = ("wide", operands.wide) if name in "vg" else ("width", operands.width)
        apart = math.gcd(size, *distances)
        load = load_width(operands.pointers[name], 4 if apart % 4 == 0 else 1)
        found.append(Matrix(name, count, width, load))
    return found


def place_gradient(operands: Operands, g: Value) -> None:
    """``g`` lies as the output does."""
    sizes = g.type.sizes
    operands.place("g", Access(0, contiguous(sizes).strides))


def attention_call(
    name: str,
    node: Node,
    operands: Operands,
    writer: Writer,
    lines: Iterator[str],
    outputs: tuple[Value, ...],
    width: int,
) -> tuple[Call, ...]:
    """One launch over all rows and heads, and ``width`` columns of the result."""
    values = (*operands.pointers.values(), *outputs)
    check_sizes(*values)
    numbers = {**operands.numbers, "width": operands.width, "wide": operands.wide}
    pointers = [*operands.pointers, *(f"out{i}" for i in range(len(outputs)))]
    head = f"def kernel({', '.join((*pointers, *numbers, 'scale'))}):"
    text = "\n".join([head, *indented(lines)]) + "\n"
    kernel = Kernel(
        name=name,
        make=make_generated,
        parameters=(AttentionSource(text, writer.shape),),
        signature=(
            *(f"{value.dtype}*" for value in values),
            *("int32" for _ in numbers),
            str(operands.dtype),
        ),
        threads=writer.shape.threads,
    )
    rows = operands.length if writer.side.queries_are_rows else operands.keys
    tiles = writer.shape.blocks(rows, width) * operands.heads * operands.batch
    call = Call(
        kernel=kernel,
        arguments=(*values, *numbers.values(), operands.scale),
        tiles=tiles,
        writes=tuple(range(len(operands.pointers), len(values))),
        nbytes=sum(value.type.nbytes for value in (*node.inputs, *outputs)),
        flops=node.op.flops(node) // len(node.outputs) * len(outputs),
    )
    return (call,) if tiles else ()


class _Forward:
    """The kernel's text."""

    def __init__(self, writer: Writer, lowest: float) -> None:
        self.writer, self.lowest = writer, lowest
        self.rows = range(writer.shape.scores.thread_rows)
        self.across = writer.shape.scores.threads_across

    def lines(self, q: Matrix, k: Matrix, v: Matrix) -> Iterator[str]:
        writer, real = self.writer, self.writer.real
        size = writer.shape.scores.rows * self.across
        yield f"meeting = cuda.shared.array({size}, {real}, ALIGNMENT)"
        yield from writer.start("wide", "qkv")
        yield f"lane = uint32(thread % {self.across})"
        for i in self.rows:
            yield f"most{i} = {real}({self.lowest!r})"
            yield f"total{i} = zero"
        yield from writer.columns(self._tile(q, k, v))
        yield from self._meet("total", "left + right")
        for i in self.rows:
            yield f"is_empty = total{i} == zero"
            yield f"factor{i} = {real}(1) / ({real}(1) if is_empty else total{i})"
            yield f"lse{i} = {real}(inf) if is_empty else most{i} + log_{real}(total{i})"
        yield f"sums = scale_rows(sums, ({self._all('factor')}))"
        yield from writer.store("out0", "wide")
        for i, row in enumerate(writer.scores.rows):
            yield f"row{i} = int32(first_row + thread_row + {row})"
            yield f"if lane == 0 and first_part == 0 and row{i} < length:"
            yield f"    out1[int32((sample * length + row{i}) * heads + head)] = lse{i}"

    def _tile(self, q: Matrix, k: Matrix, v: Matrix) -> Iterator[str]:
        writer, real = self.writer, self.writer.real
        yield from writer.dot("scores", q, k)
        yield from writer.places()
        for i in self.rows:
            yield f"old{i} = most{i}"
        for i, j, at in writer.elements():
            yield from writer.score(i, j, at)
            yield f"most{i} = max(most{i}, s{at})"
        yield from self._meet("most", "max(left, right)")
        for i in self.rows:
            yield f"factor{i} = exp_{real}(old{i} - most{i})"
            yield f"total{i} = total{i} * factor{i}"
        yield writer.made_at
        for i, j, at in writer.elements():
            yield f"power = exp_{real}(s{at} - most{i})"
            yield f"total{i} = total{i} + power"
            yield writer.put(i, j, "power")
        yield f"sums = scale_rows(sums, ({self._all('factor')}))"
        yield from writer.mix(v)

    def _all(self, name: str) -> str:
        """Of all rows, with a comma behind each."""
        return "".join(f"{name}{i}, " for i in self.rows)

    def _meet(self, name: str, combine: str) -> Iterator[str]:
        """Leave in ``name`` of all threads of a row what their ``name``s combine to.

        ``combine`` is source that makes one of ``left`` and ``right``.
        """
        yield "cuda.syncthreads()"
        for i, row in enumerate(self.writer.scores.rows):
            yield f"at{i} = uint32((thread_row + {row}) * {self.across})"
            yield f"meeting[uint32(at{i} + lane)] = {name}{i}"
        yield "cuda.syncthreads()"
        for i in self.rows:
            yield f"{name}{i} = meeting[at{i}]"
        yield "other = uint32(1)"
        yield f"while other < {self.across}:"
        for i in self.rows:
            yield f"    left = {name}{i}"
            yield f"    right = meeting[uint32(at{i} + other)]"
            yield f"    {name}{i} = {combine}"
        yield "    other = uint32(other + 1)"
