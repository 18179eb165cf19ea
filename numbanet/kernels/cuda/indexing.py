"""Rows by index: reading them, and adding them up in a fixed order."""

from __future__ import annotations

import math

from numbanet.ir import Node
from numbanet.kernels.cuda import tuning
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.matmul import load_width
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.sizes import check_sizes
from numbanet.kernels.kernel import Argument, Call, Kernel


@lowering("take")
def lower_take(node: Node) -> tuple[Call, ...]:
    last = node.inputs[0].type.sizes[0] - 1
    source = f"min(max(int64(ids[index]), int64(0)), int64({last}))"
    return _gather(node, ("table", "ids"), source)


@lowering("gather_batch")
def lower_gather_batch(node: Node) -> tuple[Call, ...]:
    source = "permutation[int64(start[0] + index)]"
    return _gather(node, ("data", "permutation", "start"), source)


def _gather(node: Node, names: tuple[str, ...], source: str) -> tuple[Call, ...]:
    """A thread for each element of the output, or for four neighbours where rows allow that:
    row ``index`` is row ``source`` of input 0.

    Positions in that are 64 bits wide: whole data sets are read here.
    """
    out, threads = node.output, tuning.TUNING.threads
    check_sizes(out)
    if out.type.size == 0:
        return ()
    row = math.prod(node.inputs[0].type.sizes[1:])
    width = min(load_width(value, row) for value in (node.inputs[0], out))
    copy = f"out[element] = {names[0]}[place]"
    if width > 1:
        loaded = f"load4({names[0]}, int64(place * {width}))"
        copy = f"store4(out, int32(element * {width}), *{loaded})"
    lines = [
        f"def kernel({', '.join(names)}, out, size, row):",
        f"    element = int32(tile_index() * {threads} + thread_index())",
        "    if element < size:",
        "        index = int32(uint32(element) // uint32(row))",
        "        column = int32(element - index * row)",
        f"        place = int64({source} * row + column)",
        f"        {copy}",
    ]
    size = out.type.size // width
    arguments = (*node.inputs, out, size, row // width)
    return (_call(node, lines, arguments, math.ceil(size / threads), threads),)


@lowering("scatter_add")
def lower_scatter_add(node: Node) -> tuple[Call, ...]:
    """A block for each row of the output, which looks for its id among all of them.

    The threads look at as many ids at once as they are; then each adds up its own column, in
    the order of the ids.
    """
    g, ids = node.inputs
    out = node.output
    check_sizes(g, ids, out)
    if out.type.size == 0:
        return ()
    rows, count = out.type.sizes[0], ids.type.size
    row = out.type.size // rows
    threads = _threads(max(row, count))
    parts = math.ceil(row / threads)
    lines = _write_scatter_add(str(out.dtype), threads, rows)
    arguments = (g, ids, out, count, row, parts)
    return (_call(node, lines, arguments, rows * parts, threads),)


def _threads(wanted: int) -> int:
    """A power of two that is enough for ``wanted`` items, within reason."""
    least, most = min(32, tuning.TUNING.threads), tuning.TUNING.threads
    return max(least, min(most, 1 << max(0, wanted - 1).bit_length()))


def _write_scatter_add(real: str, threads: int, rows: int) -> list[str]:
    within = f"min(max(int64(ids[at]), int64(0)), int64({rows - 1}))"
    return [
        "def kernel(g, ids, out, count, row, parts):",
        f"    is_mine = cuda.shared.array({threads}, int32)",
        "    thread = thread_index()",
        "    tile = tile_index()",
        "    mine = int64(tile // uint32(parts))",
        f"    column = int32(tile % uint32(parts) * {threads} + thread)",
        f"    total = {real}(0)",
        "    first = int32(0)",
        "    while first < count:",
        "        at = int32(first + int32(thread))",
        "        hit = int32(0)",
        f"        if at < count and {within} == mine:",
        "            hit = int32(1)",
        "        is_mine[thread] = hit",
        # Nearly always nobody has found anything.
        "        if cuda.syncthreads_or(hit) != 0:",
        "            i = int32(0)",
        f"            while i < {threads}:",
        "                if is_mine[uint32(i)] != 0 and column < row:",
        "                    total = total + g[int32((first + i) * row + column)]",
        "                i = int32(i + 1)",
        "            cuda.syncthreads()",
        f"        first = int32(first + {threads})",
        "    if column < row:",
        "        out[int32(mine * row + column)] = total",
    ]


def _call(
    node: Node, lines: list[str], arguments: tuple[Argument, ...], tiles: int, threads: int
) -> Call:
    values = (*node.inputs, node.output)
    numbers = len(arguments) - len(values)
    return Call(
        kernel=Kernel(
            name=node.op.name,
            make=make_generated,
            parameters=("\n".join(lines) + "\n",),
            signature=(*(f"{value.dtype}*" for value in values), *["int32"] * numbers),
            threads=threads,
        ),
        arguments=arguments,
        tiles=tiles,
        writes=(len(node.inputs),),
        nbytes=2 * node.output.type.nbytes,
        flops=node.op.flops(node),
    )
