"""Products of matrices.

A product is cut into panels: a panel of the left operand is as many rows, one of the right
operand as many columns, as a register tile has. A tile of a call is a block of panels by
panels. Operands are read where they lie, unless they lie so that vectors cannot be loaded from
them, or so that the cache cannot hold what is used again: then they are packed first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from numbanet.ir import Node, Value
from numbanet.ir.op import attrs_of
from numbanet.kernels.cpu.epilogue import Epilogue
from numbanet.kernels.cpu.packing import Panels, Steps, pack
from numbanet.kernels.cpu.product import make_matmul
from numbanet.kernels.cpu.registry import lowering
from numbanet.kernels.cpu.vector import register_tile
from numbanet.kernels.kernel import Argument, Call, Kernel
from numbanet.ops.matmul import MATMUL_UPDATE, MatmulAttrs

_BLOCK = (9, 8)
"""Panels of rows and of columns in a block: the second-level cache holds its left operand."""

_PACKED_FROM = ((4096, 96), (2048, 192), (1, 640))
"""Rows of a result from which on the right operand is packed, where the length of its own rows
in bytes is a multiple of the first number."""

_PARTS = 4
_PART_BYTES = 32 * 1024
_STEPS_A_ROW = 8
"""A sum is cut into so many parts, of at least so much of the right operand, where it has that
many times as many steps as the product has rows."""

_OWN_BYTES = 24 * 1024
"""Of a block's sums on the stack: they stay in the first-level cache."""

_TILES = 16
_TILE_FLOPS = 80_000
"""Blocks are made smaller until there are so many, or until they are worth so little."""


@dataclass(frozen=True)
class Batch:
    """Matrices that are multiplied pairwise: how many, along broadcast leading axes.

    ``strides`` are the distances, in matrices, between those of the two operands.
    """

    counts: tuple[int, ...]
    strides: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Operand:
    """Where an operand's numbers are.

    The distances are those from panel to panel, from row to row (or column to column)
    within one, from step to step of the summed index, and from matrix to matrix.
    """

    memory: Argument
    panel: int
    lane: int
    step: int
    matrix: int

    @classmethod
    def packed(cls, panels: Panels) -> Operand:
        return cls(panels.memory, panels.stride, 1, panels.slot, panels.batch_stride)


@lowering("matmul")
def lower_matmul(node: Node) -> tuple[Call, ...]:
    attrs = attrs_of(node, MatmulAttrs)
    a, b, *extras = node.inputs
    out = node.outputs[0]
    rows, columns = out.type.sizes[-2:]
    depth = a.type.sizes[-2 if attrs.transpose_a else -1]
    batch = _batch(a, b, out)
    if not attrs.transpose_a and math.prod(b.type.sizes[:-2]) == 1 and _is_whole(a, out):
        rows, batch = rows * math.prod(batch.counts), Batch((), ())
    product = _Product(attrs, a, b, rows, columns, depth, batch)
    epilogue = Epilogue(attrs.epilogue, a.dtype, tuple(extras), out)
    return product.calls(epilogue, node.op.flops(node))


@lowering(MATMUL_UPDATE.name)
def lower_matmul_update(node: Node) -> tuple[Call, ...]:
    attrs = attrs_of(node, MatmulAttrs)
    a, b, *extras = node.inputs
    rows, columns = node.outputs[0].type.sizes
    depth = a.type.sizes[0 if attrs.transpose_a else 1]
    product = _Product(attrs, a, b, rows, columns, depth, Batch((), ()))
    epilogue = Epilogue(attrs.epilogue, a.dtype, tuple(extras), *node.outputs, is_aside=True)
    return product.calls(epilogue, node.op.flops(node))


def _is_whole(a: Value, out: Value) -> bool:
    return math.prod(a.type.sizes[:-2]) == math.prod(out.type.sizes[:-2])


def _batch(a: Value, b: Value, out: Value) -> Batch:
    """The leading axes, those merged that both operands walk through alike."""
    sizes = out.type.sizes[:-2]
    pairs = zip(
        _broadcast_strides(a, len(sizes)), _broadcast_strides(b, len(sizes)), strict=True
    )
    axes = [(size, *pair) for size, pair in zip(sizes, pairs, strict=True) if size != 1]
    merged: list[tuple[int, int, int]] = []
    for size, to_a, to_b in axes:
        if merged and merged[-1][1:] == (size * to_a, size * to_b):
            size *= merged.pop()[0]
        merged.append((size, to_a, to_b))
    return Batch(tuple(m[0] for m in merged), tuple((m[1], m[2]) for m in merged))


def _broadcast_strides(operand: Value, rank: int) -> list[int]:
    strides = [0] * rank
    stride = 1
    sizes = operand.type.sizes[:-2]
    for axis in range(1, len(sizes) + 1):
        strides[-axis] = 0 if sizes[-axis] == 1 else stride
        stride *= sizes[-axis]
    return strides


class _Product:
    """How one matmul is done: its operands, packed or not, and its blocks."""

    def __init__(
        self,
        attrs: MatmulAttrs,
        a: Value,
        b: Value,
        rows: int,
        columns: int,
        depth: int,
        batch: Batch,
    ) -> None:
        self.dtype = a.dtype
        self.rows, self.columns, self.depth, self.batch = rows, columns, depth, batch
        self.tile = register_tile(a.dtype, columns, (1,) if rows == 1 else ())
        self.packing: list[Call] = []
        self.nbytes = a.type.nbytes + b.type.nbytes
        self.a, self.a_is_rows = self._left(a, attrs.transpose_a)
        self.b = self._right(b, attrs.transpose_b)
        self.total, self.parts = depth * math.prod(batch.counts), 1
        if not (batch.counts or self.packing or attrs.transpose_a):
            self._cut_sums()

    def _cut_sums(self) -> None:
        """Make parts of the sums products of their own, where few rows meet large weights.

        A part reads a few rows of the right operand, one after the other. Where that holds
        weights, they are the rows that the same thread wrote when they were updated, for a
        weight's gradient is cut into rows, too. Columns would come from all threads' caches.
        """
        nbytes = self.depth * self.columns * self.dtype.itemsize
        parts = min(_PARTS, nbytes // _PART_BYTES)
        if parts < 2 or self.depth < _STEPS_A_ROW * self.rows:
            return
        self.depth = -(-self.total // parts)
        self.parts = -(-self.total // self.depth)
        self.a, self.b = (
            replace(each, matrix=self.depth * each.step) for each in (self.a, self.b)
        )
        self.batch = Batch((self.parts,), ((1, 1),))

    def _left(self, a: Value, is_transposed: bool) -> tuple[Operand, bool]:
        """The left operand, and whether its summed index runs through adjacent numbers."""
        row, step = (1, self.rows) if is_transposed else (self.depth, 1)
        if self._is_left_packed(is_transposed, max(row, step)):
            return self._pack(a, self.rows, row, step, self.tile.rows), False
        operand = Operand(a, self.tile.rows * row, row, step, self.rows * self.depth)
        return operand, not is_transposed

    def _is_left_packed(self, is_transposed: bool, line: int) -> bool:
        """Whether the left operand lies badly, and is used often enough to be worth it.

        Rows are read from front to end, which prefetching sees through, but transposed ones
        from another line at each step. Either way numbers that are a multiple of 4 KiB apart
        displace each other from the cache.
        """
        is_clashing = line * self.dtype.itemsize % 4096 == 0
        if is_transposed:
            return self.depth >= 64 and self.columns >= (64 if is_clashing else 256)
        return is_clashing and self.columns > 256

    def _right(self, b: Value, is_transposed: bool) -> Operand:
        column, step = (self.depth, 1) if is_transposed else (1, self.columns)
        if is_transposed or self._is_right_packed():
            return self._pack(b, self.columns, column, step, self.tile.columns)
        return Operand(b, self.tile.columns, 1, step, self.depth * self.columns)

    def _is_right_packed(self) -> bool:
        """As for the left operand; rows of a single panel are contiguous anyway."""
        if self.columns <= self.tile.columns or self.depth < 32:
            return False
        line = self.columns * self.dtype.itemsize
        return self.rows >= next(rows for nbytes, rows in _PACKED_FROM if line % nbytes == 0)

    def _pack(self, source: Value, count: int, lane: int, step: int, width: int) -> Operand:
        panels, call = pack(
            source,
            # Not the source's own axes: those may be rows by now.
            batches=source.type.size // max(count * self.depth, 1),
            batch_stride=count * self.depth,
            count=count,
            lane_stride=lane,
            steps=Steps((1, 1, self.depth), (0, 0, step)),
            width=width,
        )
        self.packing.append(call)
        return Operand.packed(panels)

    def calls(self, epilogue: Epilogue, flops: int) -> tuple[Call, ...]:
        """Packing, then the product: one call for each index of batch axes beyond two."""
        if self.parts > 1:
            partials = epilogue.in_parts(self.parts)
            product = self._call(partials, (), flops, self.nbytes + partials.nbytes)
            rest = epilogue.call(self.rows, self.columns, partials.arguments[0], self.parts)
            return product, *rest
        outer = self.batch.counts[:-2]
        share = max(math.prod(outer), 1)
        products = [
            self._call(
                epilogue, index, flops // share, (self.nbytes + epilogue.nbytes) // share
            )
            for index in np.ndindex(*outer)
        ]
        return (*self.packing, *products)

    def _call(
        self, epilogue: Epilogue, index: tuple[int, ...], flops: int, nbytes: int
    ) -> Call:
        counts = (1, 1, *self.batch.counts)[-2:]
        matrices = math.prod(counts)
        height, width, blocks = self._blocks(flops, matrices, epilogue.is_aside)
        own = (height * self.tile.rows, width * self.tile.columns)
        own = own if epilogue.is_aside else (0, 0)
        sums_start = self.rows * self.columns * matrices * self._position(index)
        numbers: dict[str, int] = {
            "rows": self.rows,
            "columns": self.columns,
            "depth": self.depth,
            "total": self.total,
            "height": height,
            "width": width,
            "inner_batch": counts[1],
            "sums_start": sums_start,
            **self._numbers("a", 0, self.a, index),
            **self._numbers("b", 1, self.b, index),
        }
        pointer = f"{self.dtype}*"
        kernel = Kernel(
            "matmul",
            make_matmul,
            (
                self.tile,
                self.a_is_rows,
                epilogue.kernel_text(("a", "b", *numbers), own=own),
                own[1],
            ),
            (*epilogue.signature, pointer, pointer, *["int64"] * len(numbers)),
        )
        return Call(
            kernel,
            (*epilogue.arguments, self.a.memory, self.b.memory, *numbers.values()),
            tiles=blocks * matrices,
            writes=epilogue.writes,
            in_place=epilogue.in_place,
            nbytes=nbytes,
            flops=flops,
        )

    def _position(self, index: tuple[int, ...]) -> int:
        """Row-major number of an index of the outer batch axes."""
        position = 0
        for at, count in zip(index, self.batch.counts, strict=False):
            position = position * count + at
        return position

    def _numbers(
        self, name: str, which: int, operand: Operand, index: tuple[int, ...]
    ) -> dict[str, int]:
        strides = [pair[which] * operand.matrix for pair in self.batch.strides]
        outer, inner = (0, 0, *strides)[-2:]
        start = sum(at * stride for at, stride in zip(index, strides, strict=False))
        return {
            f"{name}_start": start,
            f"{name}_outer": outer,
            f"{name}_inner": inner,
            f"{name}_panel": operand.panel,
            f"{name}_lane": operand.lane,
            f"{name}_step": operand.step,
        }

    def _blocks(self, flops: int, matrices: int, is_aside: bool) -> tuple[int, int, int]:
        """Height and width of a block in panels, and the number of blocks of a matrix."""
        panels = -(-self.rows // self.tile.rows), -(-self.columns // self.tile.columns)
        height, width = min(_BLOCK[0], panels[0]), min(_BLOCK[1], panels[1])
        panel_flops = flops // max(matrices * math.prod(panels), 1)
        panel_bytes = self.tile.rows * self.tile.columns * self.dtype.itemsize * is_aside
        while True:
            blocks = -(-panels[0] // max(height, 1)) * -(-panels[1] // max(width, 1))
            is_small = height * width * panel_flops <= _TILE_FLOPS
            is_cut = blocks * matrices >= _TILES or is_small
            if (is_cut and height * width * panel_bytes <= _OWN_BYTES) or height * width <= 1:
                return height, width, blocks
            if height >= width or (is_aside and height > 1):
                height = -(-height // 2)
            else:
                width = -(-width // 2)
