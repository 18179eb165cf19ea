"""Tiles of sums that stay in registers: tuples, and what product kernels do with them.

Each function here is a whole block of straight-line code, written into the kernel at once: the
same code as thousands of lines of source, at none of their cost to Numba. Each has a twin in
plain Python that the simulator runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from llvmlite import ir
from numba import types

from numbanet.kernels.cuda.simulate import SIMULATED
from numbanet.kernels.cuda.tiling import Tiling

QUAD = 4
"""Numbers that are loaded and stored at once."""


def spread(count: int, extent: int) -> list[int]:
    """Where in a tile of ``extent`` lie the ``count`` rows (or columns) of thread 0: in quads,
    far apart. Thread i's lie ``min(count, QUAD) * i`` further."""
    quads = max(1, count // QUAD)
    return [i // QUAD * (extent // quads) + i % QUAD for i in range(count)]


@dataclass(frozen=True)
class Tile:
    """A thread's part of a tile of sums, row by row in one tuple.

    Attributes
    ----------
    a_stride, b_stride : int
        In shared memory, from one term of the operands to the next.
    """

    tiling: Tiling
    a_stride: int
    b_stride: int

    @property
    def rows(self) -> list[int]:
        return spread(self.tiling.thread_rows, self.tiling.rows)

    @property
    def columns(self) -> list[int]:
        return spread(self.tiling.thread_columns, self.tiling.columns)

    @property
    def size(self) -> int:
        return self.tiling.thread_rows * self.tiling.thread_columns


def fill_for(tile: Tile) -> Any:
    """``fill(number)``: sums that all start there."""
    if SIMULATED:
        return lambda number: (number,) * tile.size

    def fill(_: Any, number: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return context.make_tuple(builder, signature.return_type, [args[0]] * tile.size)

        return types.UniTuple(number, tile.size)(number), generate

    return as_intrinsic(fill)


def accumulate_for(tile: Tile) -> Any:
    """``accumulate(sums, shared, a_at, b_at) -> sums``: with the products of ``unroll`` terms
    added, which start at these positions of shared memory."""
    if SIMULATED:
        return _simulated_accumulate(tile)

    def accumulate(_: Any, sums: Any, shared: Any, a_at: Any, b_at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            totals = [builder.extract_value(args[0], i) for i in range(tile.size)]
            data = data_of(context, builder, signature.args[1], args[1])
            a, b = builder.gep(data, [args[2]]), builder.gep(data, [args[3]])
            for k in range(tile.tiling.unroll):
                left = list(load_quads(builder, a, k * tile.a_stride, tile.rows))
                right = list(load_quads(builder, b, k * tile.b_stride, tile.columns))
                for i, (x, y) in enumerate(product(left, right)):
                    totals[i] = builder.fma(x, y, totals[i])
            return context.make_tuple(builder, signature.return_type, totals)

        return sums(sums, shared, a_at, b_at), generate

    return as_intrinsic(accumulate)


def scale_for(tile: Tile) -> Any:
    """``scale_rows(sums, factors) -> sums``: each row times its own of a tuple of factors."""
    count = len(tile.columns)
    if SIMULATED:
        return lambda sums, factors: tuple(
            number * factors[i // count] for i, number in enumerate(sums)
        )

    def scale(_: Any, sums: Any, factors: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            scaled = [
                builder.fmul(
                    builder.extract_value(args[0], i),
                    builder.extract_value(args[1], i // count),
                )
                for i in range(tile.size)
            ]
            return context.make_tuple(builder, signature.return_type, scaled)

        return sums(sums, factors), generate

    return as_intrinsic(scale)


def share_for(tile: Tile, first: int, count: int) -> Any:
    """``share(sums, shared, at)``: puts ``count`` rows of sums, from ``first`` on, into shared
    memory; their columns lie as they do in the tile."""
    width, columns = tile.tiling.columns, tile.columns
    if SIMULATED:
        return _simulated_share(tile, first, count)

    def share(_: Any, sums: Any, shared: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = data_of(context, builder, signature.args[1], args[1])
            start = builder.gep(data, [args[2]])
            for i in range(count):
                places = [i * width + column for column in columns]
                row = (first + i) * len(columns)
                numbers = [builder.extract_value(args[0], row + j) for j in range(len(columns))]
                _store(builder, start, places, numbers)
            return context.get_dummy_value()

        return types.void(sums, shared, at), generate

    return as_intrinsic(share)


def _simulated_accumulate(tile: Tile) -> Callable[..., Any]:
    def accumulate(sums: Any, shared: Any, a_at: Any, b_at: Any) -> Any:
        totals = list(sums)
        for k in range(tile.tiling.unroll):
            left = [shared[int(a_at) + k * tile.a_stride + i] for i in tile.rows]
            right = [shared[int(b_at) + k * tile.b_stride + j] for j in tile.columns]
            for i, (x, y) in enumerate(product(left, right)):
                totals[i] = totals[i] + x * y
        return tuple(totals)

    return accumulate


def _simulated_share(tile: Tile, first: int, count: int) -> Callable[..., Any]:
    def share(sums: Any, shared: Any, at: Any) -> None:
        for i, (j, column) in product(range(count), enumerate(tile.columns)):
            place = int(at) + i * tile.tiling.columns + column
            shared[place] = sums[(first + i) * len(tile.columns) + j]

    return share


def as_intrinsic(function: Callable[..., Any]) -> Any:
    from numba.cuda.extending import intrinsic

    return intrinsic(function)


def data_of(context: Any, builder: Any, type_: Any, array: Any) -> Any:
    return context.make_array(type_)(context, builder, array).data


def _quads(places: list[Any]) -> Iterator[list[Any]]:
    for i in range(0, len(places), QUAD):
        yield places[i : i + QUAD]


def load_quads(builder: Any, start: Any, offset: int, places: list[int]) -> Iterator[Any]:
    """The numbers at these places, quad by quad."""
    for quad in _quads(places):
        vector = builder.load(_vector(builder, start, offset + quad[0], len(quad)))
        vector.align = 16
        for i in range(len(quad)):
            yield builder.extract_element(vector, _int32(i))


def _store(builder: Any, start: Any, places: list[int], numbers: list[Any]) -> None:
    for quad, group in zip(_quads(places), _quads(numbers), strict=True):
        vector: Any = ir.Constant(ir.VectorType(group[0].type, len(group)), ir.Undefined)
        for i, number in enumerate(group):
            vector = builder.insert_element(vector, number, _int32(i))
        store = builder.store(vector, _vector(builder, start, quad[0], len(quad)))
        store.align = 16


def _vector(builder: Any, start: Any, offset: int, count: int) -> Any:
    """The address of ``count`` numbers."""
    address = builder.gep(start, [ir.Constant(ir.IntType(64), offset)])
    return builder.bitcast(address, ir.VectorType(start.type.pointee, count).as_pointer())


def _int32(number: int) -> ir.Constant:
    return ir.Constant(ir.IntType(32), number)
