"""Operands of products in panels: memory in the order in which the innermost loop reads it.

A panel is a few adjacent rows of the left operand, or columns of the right one, with the
summed index running slowest: ``panel[k, lane]``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from numbanet.ir import DType, Value
from numbanet.kernels.cpu.vector import vector_bytes
from numbanet.kernels.kernel import Call, Kernel, Scratch

_TILE = (8, 64)
_TRANSPOSING_TILE = (1, 256)
"""Panels and steps that a tile packs: either way a thousand numbers are read in a row."""


@dataclass(frozen=True)
class Steps:
    """The summed index of an operand: three nested counts, each with its stride."""

    counts: tuple[int, int, int]
    strides: tuple[int, int, int]

    @property
    def depth(self) -> int:
        return math.prod(self.counts)

    def merged(self) -> Steps:
        """The same steps with as few counts other than 1 as possible."""
        pairs: list[tuple[int, int]] = []
        for count, stride in zip(self.counts, self.strides, strict=True):
            if pairs and (pairs[-1][0] == 1 or pairs[-1][1] == count * stride):
                count *= pairs.pop()[0]
            pairs.append((count, stride))
        (a, x), (b, y), (c, z) = [(1, 0)] * (3 - len(pairs)) + pairs
        return Steps((a, b, c), (x, y, z))


@dataclass(frozen=True, eq=False)
class Panels:
    """Where packed numbers are: panel ``p`` of batch ``i`` starts ``depth * slot`` elements
    after the one before, and step ``k`` of a panel ``slot`` after step ``k - 1``."""

    memory: Scratch
    slot: int
    per_batch: int
    depth: int

    @property
    def stride(self) -> int:
        return self.depth * self.slot

    @property
    def batch_stride(self) -> int:
        return self.per_batch * self.stride


def pack(
    source: Value,
    *,
    batches: int,
    batch_stride: int,
    count: int,
    lane_stride: int,
    steps: Steps,
    width: int,
    offset: int = 0,
) -> tuple[Panels, Call]:
    """Copy a matrix (or several) into panels of ``width`` lanes each.

    Parameters
    ----------
    batches, batch_stride : int
        How many matrices, and the distance between them.
    count, lane_stride : int
        Rows or columns to be gathered into panels, and the distance between two.
    steps : Steps
        The summed index.
    offset : int
        Of the first element. All distances in elements.
    """
    steps = steps.merged()
    dtype = source.dtype
    lanes = vector_bytes() // dtype.itemsize
    slot = -(-width // lanes) * lanes
    panels = -(-count // width)
    is_transposing = lane_stride != 1
    size = batches * panels * steps.depth * slot
    packed = Panels(Scratch(max(size, 1) * dtype.itemsize), slot, panels, steps.depth)
    pointer = f"{dtype}*"
    kernel = Kernel(
        "pack_transposing" if is_transposing else "pack",
        make_pack,
        (dtype, lanes, width, is_transposing),
        (pointer, pointer, *["int64"] * 11),
    )
    outer, middle, inner = steps.counts
    group, chunk = _TRANSPOSING_TILE if is_transposing else _TILE
    tiles = batches * -(-panels // group) * outer * middle * -(-inner // chunk)
    call = Call(
        kernel,
        (
            packed.memory,
            source,
            panels,
            batch_stride,
            count,
            lane_stride,
            slot,
            outer,
            middle,
            inner,
            *steps.strides,
        ),
        tiles=tiles,
        writes=(0,),
        nbytes=2 * batches * count * steps.depth * dtype.itemsize,
        offsets=((1, offset * dtype.itemsize),) if offset else (),
    )
    return packed, call


def make_pack(
    dtype: DType, lanes: int, width: int, is_transposing: bool
) -> Callable[..., None]:
    """The kernel of `pack`. If lanes follow one another in the source, each step is a copy of
    a run; if steps do, squares are transposed in registers."""
    from numbanet.kernels.cpu.mathematics import inline
    from numbanet.kernels.cpu.memory import load, store
    from numbanet.kernels.cpu.pointers import offset
    from numbanet.kernels.cpu.register_transpose import transpose_square

    transpose = transpose_square(dtype, lanes)

    group, chunk = _TRANSPOSING_TILE if is_transposing else _TILE

    @inline
    def copy(to, start, slot, step_stride, lane_stride, depth, count):
        for k in range(depth):
            for i in range(count):
                store(0, to, k * slot + i, load(start, k * step_stride + i * lane_stride))

    @inline
    def copy_runs(to, start, slot, panel_stride, step_stride, depth, count):
        """Step by step through several panels, as the source lies in memory."""
        whole, rest = count // width, count % width
        for k in range(depth):
            line = offset(start, k * step_stride)
            target = offset(to, k * slot)
            for panel in range(whole):
                run = offset(line, panel * width)
                for i in range(width):
                    store(0, target, panel * panel_stride + i, load(run, i))
            run = offset(line, whole * width)
            for i in range(rest):
                store(0, target, whole * panel_stride + i, load(run, i))

    @inline
    def copy_transposed(to, start, slot, step_stride, lane_stride, depth, count):
        squares = depth // lanes * lanes if step_stride == 1 else 0
        for i in range(0, count, lanes):
            line = offset(start, i * lane_stride)
            rows = min(count - i, lanes)
            for k in range(0, squares, lanes):
                square = offset(to, k * slot + i)
                transpose(square, slot, offset(line, k), lane_stride, rows)
            rest = offset(to, squares * slot + i)
            more = offset(line, squares)
            copy(rest, more, slot, step_stride, lane_stride, depth - squares, rows)

    def kernel(
        first, last, packed, source, panels, batch_stride, count, lane_stride, slot,
        outer, middle, inner, outer_stride, middle_stride, inner_stride,
    ):  # fmt: skip
        chunks = (inner + chunk - 1) // chunk
        groups = (panels + group - 1) // group
        panel_stride = outer * middle * inner * slot
        for tile in range(first, last):
            k = tile % chunks * chunk
            steps = tile // chunks
            m = steps % middle
            o = steps // middle % outer
            batch = steps // (middle * outer) // groups
            panel = steps // (middle * outer) % groups * group
            lane = panel * width
            step = (o * middle + m) * inner + k
            to = offset(packed, (batch * panels + panel) * panel_stride + step * slot)
            at = batch * batch_stride + o * outer_stride + m * middle_stride
            start = offset(source, at + lane * lane_stride + k * inner_stride)
            depth = min(chunk, inner - k)
            lanes_here = min(group * width, count - lane)
            if is_transposing:
                copy_transposed(to, start, slot, inner_stride, lane_stride, depth, lanes_here)
            else:
                copy_runs(to, start, slot, panel_stride, inner_stride, depth, lanes_here)

    return kernel
