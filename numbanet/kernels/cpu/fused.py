"""Elementwise kernels: one generated function for each program and kind of memory access.

A kernel walks the collapsed iteration space in tiles of ``height`` rows by ``width`` columns;
columns are the last dimension, rows all others. Sizes and strides are arguments, so only the
rank, the program, and which operands step alike make another kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numbanet.ops  # noqa: F401, it fills the registry
from numbanet.ir import REGISTRY, Node
from numbanet.kernels.cpu.generated import advance, make_generated, unravel
from numbanet.kernels.cpu.reduce import lower_reduction
from numbanet.kernels.cpu.registry import lowering
from numbanet.kernels.iteration import Dims, Step, collapse
from numbanet.kernels.kernel import Call, Kernel
from numbanet.kernels.operand import Operand, offsets
from numbanet.kernels.source import render
from numbanet.ops.expression import Expression
from numbanet.ops.fused import FUSED, contiguous, fused_form, is_fusable

TILE_ELEMENTS = 8192
"""Enough work to outweigh a tile's start; few enough to stay in the second-level cache."""

TURNED_TILE = 32
"""Height and width of tiles that read columns: their cache lines fit into the first level."""


@lowering(FUSED.name, *(op.name for op in REGISTRY.values() if is_fusable(op)))
def lower_fused(node: Node) -> tuple[Call, ...]:
    """The calls of a fused node, or of any node that has a fused form."""
    form = fused_form(node)
    if form is None:
        raise TypeError(f"{node.op.name} has no fused form")
    attrs, inputs = form
    reads = [
        Operand(value, value.dtype, access)
        for value, access in zip(inputs, attrs.accesses, strict=True)
    ]
    if attrs.reduction is not None:
        return lower_reduction(node, attrs, reads)
    whole = contiguous(attrs.shape)
    writes = [Operand(value, value.dtype, whole) for value in node.outputs]
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
    layout = _Layout.of(dims)
    height, width = _tile(dims)
    text = _write(expression, layout, len(reads))
    rows, columns = dims.size // dims.sizes[-1], dims.sizes[-1]
    sizes = (height, width, *dims.sizes, *layout.numbers(dims))
    signature = (*(operand.pointer for operand in operands), *["int64"] * len(sizes))
    return (
        Call(
            Kernel(_name(expression), make_generated, (text, "fused"), signature),
            (*(operand.argument for operand in operands), *sizes),
            tiles=-(-rows // height) * -(-columns // width),
            writes=tuple(range(len(reads), len(operands))),
            in_place=_in_place(expression, shape, reads, writes),
            nbytes=sum(operand.nbytes(shape) for operand in operands),
            flops=flops,
            offsets=offsets(operands),
        ),
    )


def _name(expression: Expression) -> str:
    return "_".join(dict.fromkeys(step.op.name for step in expression.steps)) or "copy"


def _tile(dims: Dims) -> tuple[int, int]:
    """Height and width of the tiles."""
    columns = dims.sizes[-1]
    if dims.rank > 1 and Step.ANY in dims.inner:
        return TURNED_TILE, min(columns, TURNED_TILE)
    width = min(columns, TILE_ELEMENTS)
    return max(1, TILE_ELEMENTS // width), width


@dataclass(frozen=True)
class _Layout:
    """The part of collapsed dimensions that is written into the text.

    ``walks`` are the different ways to step through memory, ``walk_of[operand]`` numbers an
    operand's, and ``inner[walk]`` is the kind of its stride along the columns.
    """

    rank: int
    walk_of: tuple[int, ...]
    inner: tuple[Step, ...]

    @classmethod
    def of(cls, dims: Dims) -> _Layout:
        walks = list(dict.fromkeys(dims.strides))
        return cls(
            dims.rank,
            tuple(walks.index(strides) for strides in dims.strides),
            tuple(Step.of(strides[-1]) for strides in walks),
        )

    def names(self) -> list[str]:
        """Of the strides that the kernel is given."""
        found = []
        for walk, step in enumerate(self.inner):
            last = self.rank if step is Step.ANY else self.rank - 1
            found += [f"s{walk}_{axis}" for axis in range(last)]
        return found

    def numbers(self, dims: Dims) -> list[int]:
        """Values for `names`."""
        found: list[int] = []
        for strides, step in zip(dict.fromkeys(dims.strides), self.inner, strict=True):
            found += strides if step is Step.ANY else strides[:-1]
        return found

    def position(self, operand: int) -> str:
        """Source of an operand's element in column ``j``."""
        walk = self.walk_of[operand]
        terms = [f"p{walk}"] if self.rank > 1 else []
        if self.inner[walk] is Step.ONE:
            terms.append("j")
        elif self.inner[walk] is Step.ANY:
            terms.append(f"j * s{walk}_{self.rank - 1}")
        return " + ".join(terms) or "0"


def _write(expression: Expression, layout: _Layout, reads: int) -> str:
    operands = range(len(layout.walk_of))
    pointers = [f"x{k}" if k < reads else f"y{k - reads}" for k in operands]
    sizes = [f"n{axis}" for axis in range(layout.rank)]
    arguments = [*pointers, "height", "width", *sizes, *layout.names()]
    loads = [f"load(x{k}, {layout.position(k)})" for k in operands[:reads]]
    index = "j" if layout.rank == 1 else "row * columns + j"
    statements, results = render(expression, loads, index)
    stores = [
        f"store({k}, y{k}, {layout.position(reads + k)}, {result})"
        for k, result in enumerate(results)
    ]
    lines = [f"def fused(first, last, {', '.join(arguments)}):"]
    if layout.rank == 1:
        lines.append("    for j in range(first * width, min(last * width, n0)):")
        lines += [f"        {line}" for line in (*statements, *stores)]
    else:
        lines += _write_rows(layout, [*statements, *stores])
    return "\n".join(lines) + "\n"


def _write_rows(layout: _Layout, body: list[str]) -> list[str]:
    """The loops over tiles, rows and columns around ``body``."""
    outer = layout.rank - 1
    sizes = [f"n{axis}" for axis in range(outer)]
    starts = [
        f"p{walk} = " + " + ".join(f"i{axis} * s{walk}_{axis}" for axis in range(outer))
        for walk in range(len(layout.inner))
    ]
    return [
        f"    rows = {' * '.join(sizes)}",
        f"    columns = n{outer}",
        "    pieces = (columns + width - 1) // width",
        "    for tile in range(first, last):",
        "        top = tile // pieces * height",
        "        left = tile % pieces * width",
        "        right = min(left + width, columns)",
        *(f"        {line}" for line in unravel("top", "i", sizes)),
        "        for row in range(top, min(top + height, rows)):",
        *(f"            {line}" for line in starts),
        "            for j in range(left, right):",
        *(f"                {line}" for line in body),
        *(f"            {line}" for line in advance("i", sizes)),
    ]


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
