"""Operands of products in panels: memory in the order in which the innermost loop reads it.

A panel is a few adjacent rows of the left operand, or columns of the right one, with the
summed index running slowest: ``panel[k, lane]``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numbanet.ir import DType, Value
from numbanet.kernels.cpu.vector import vector_bytes
from numbanet.kernels.kernel import Call, Kernel, Scratch

_CHUNK = 256
"""Steps of the summed index that a tile packs."""


@dataclass(frozen=True)
class Steps:
    """The summed index of an operand: three nested counts, each with its stride."""

    counts: tuple[int, int, int]
    strides: tuple[int, int, int]

    @property
    def depth(self) -> int:
        outer, middle, inner = self.counts
        return outer * middle * inner


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
    dtype = source.dtype
    lanes = vector_bytes() // dtype.itemsize
    slot = -(-width // lanes) * lanes
    panels = -(-count // width)
    is_transposing = steps.strides[2] == 1 and lane_stride != 1
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
    chunks = -(-inner // _CHUNK)
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
        tiles=batches * panels * chunks * outer * middle,
        writes=(0,),
        nbytes=2 * batches * count * steps.depth * dtype.itemsize,
        offsets=((1, offset * dtype.itemsize),) if offset else (),
    )
    return packed, call


def make_pack(
    dtype: DType, lanes: int, width: int, is_transposing: bool
) -> Callable[..., None]:
    """The kernel of `pack`. If steps follow one another in the source, squares are transposed
    in registers; otherwise lanes do, and each step is a copy of a short run."""
    from numbanet.kernels.cpu.mathematics import inline
    from numbanet.kernels.cpu.pointers import offset
    from numbanet.kernels.cpu.register_transpose import transpose_square

    transpose = transpose_square(dtype, lanes)

    @inline
    def copy(to, start, slot, step_stride, lane_stride, depth, count):
        for k in range(depth):
            for i in range(count):
                to[k * slot + i] = start[k * step_stride + i * lane_stride]

    @inline
    def copy_transposed(to, start, slot, lane_stride, depth, count):
        squares = depth // lanes * lanes
        for i in range(0, count, lanes):
            line = offset(start, i * lane_stride)
            rows = min(count - i, lanes)
            for k in range(0, squares, lanes):
                square = offset(to, k * slot + i)
                transpose(square, slot, offset(line, k), lane_stride, rows)
            rest = offset(to, squares * slot + i)
            copy(rest, offset(line, squares), slot, 1, lane_stride, depth - squares, rows)

    def kernel(
        first, last, packed, source, panels, batch_stride, count, lane_stride, slot,
        outer, middle, inner, outer_stride, middle_stride, inner_stride,
    ):  # fmt: skip
        chunks = (inner + _CHUNK - 1) // _CHUNK
        for tile in range(first, last):
            k = tile % chunks * _CHUNK
            steps = tile // chunks
            m = steps % middle
            o = steps // middle % outer
            panel = steps // (middle * outer)
            lane = panel % panels * width
            to = offset(packed, (((panel * outer + o) * middle + m) * inner + k) * slot)
            at = panel // panels * batch_stride + o * outer_stride + m * middle_stride
            start = offset(source, at + lane * lane_stride + k * inner_stride)
            depth = min(_CHUNK, inner - k)
            lanes_here = min(width, count - lane)
            if is_transposing:
                copy_transposed(to, start, slot, lane_stride, depth, lanes_here)
            elif lanes_here == width:
                copy(to, start, slot, inner_stride, lane_stride, depth, width)
            else:
                copy(to, start, slot, inner_stride, lane_stride, depth, lanes_here)

    return kernel
