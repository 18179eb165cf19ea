"""The tiled product: what matrix products and convolutions have in common, as source text.

A block computes a tile of the result. It carries tiles of both operands to shared memory, two
stages in turn: while the threads multiply out of one stage, the numbers of the next are already
on their way in registers, so that one barrier a stage is enough. Each thread keeps its sums in
a tuple, that is in registers. At the end the sums pass through shared memory once more,
so that consecutive threads apply the epilogue to, and store, consecutive elements.

What the operands are is told by an `Operand`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numbanet.kernels.cuda.moments import Measure
from numbanet.kernels.cuda.operands import Operand
from numbanet.kernels.cuda.registers import QUAD, Tile, accumulate_for, fill_for, share_for
from numbanet.kernels.cuda.tiling import Tiling
from numbanet.kernels.source import render
from numbanet.ops.expression import Expression

PADDING = 4
"""Numbers between rows of a tile that is stored across: a warp's stores meet other banks."""
_MANY_SUMS = 16
"""Sums of a thread above which it has few registers to spare."""


@dataclass(frozen=True)
class Product:
    """A product to write.

    Attributes
    ----------
    a, b : Operand
    rows, columns, terms : str
        Sizes, as text.
    sizes : tuple of str
        Names of the kernel's int32 arguments that the other texts use.
    bases : tuple of str
        Statements about ``batch``, the number of this product among many.
    position, column : str
        Where element (``row``, ``col``) goes in the output, and its index on the last axis.
    """

    a: Operand
    b: Operand
    rows: str
    columns: str
    terms: str
    sizes: tuple[str, ...]
    bases: tuple[str, ...]
    position: str
    column: str


@dataclass(frozen=True)
class Epilogue:
    """What is done to each sum.

    Attributes
    ----------
    kinds : tuple of str
        Of each extra input whether it is a ``"number"``, a ``"vector"`` along the last axis,
        or ``"full"``: of the output's shape.
    measure : Measure, optional
        What each tile is also to leave of the numbers that it stores.
    """

    expression: Expression | None = None
    kinds: tuple[str, ...] = ()
    measure: Measure | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"extra{i}" for i in range(len(self.kinds)))

    def write(self, value: str, position: str, column: str) -> tuple[list[str], str]:
        """Statements, and the name of the result."""
        if self.expression is None:
            return [], value
        at = {"number": "0", "vector": column, "full": position}
        extras = [
            f"{name}[{at[kind]}]" for name, kind in zip(self.names, self.kinds, strict=True)
        ]
        statements, (result,) = render(self.expression, [value, *extras], position)
        return statements, result


@dataclass(frozen=True)
class ProductSource:
    """Text of a product's kernel, and the registers and shared memory that it speaks of."""

    text: str
    tile: Tile
    shared_rows: int

    @property
    def is_heavy(self) -> bool:
        return self.tile.size > _MANY_SUMS

    def functions(self) -> dict[str, Any]:
        functions = {"fill": fill_for(self.tile), "accumulate": accumulate_for(self.tile)}
        for first in range(0, self.tile.tiling.thread_rows, self.shared_rows):
            functions[f"share{first}"] = share_for(self.tile, first, self.shared_rows)
        return functions


def write_product(
    product: Product, tiling: Tiling, real: str, epilogue: Epilogue
) -> ProductSource:
    """Source of ``kernel(a, b, out, *extras, *sizes, splits, chunk, out_size)``; a
    measured product takes what its measure reads and writes after the extra inputs.

    ``splits`` blocks share a tile's sums, ``chunk`` terms each (a multiple of the depth);
    split ``s`` writes at ``s * out_size``, for another kernel to add up.
    """
    writer = _Writer(product, tiling, real, epilogue)
    text = "\n".join(writer.lines()) + "\n"
    return ProductSource(text, writer.tile, writer.shared_rows)


@dataclass(frozen=True)
class _Side:
    """One operand's way to shared memory: who fetches what, and where it is put."""

    operand: Operand
    extent: int
    first: str
    size: str
    base: int
    tiling: Tiling

    def __post_init__(self) -> None:
        if self.tiling.threads % self._lanes or self._slow % self._step:
            raise ValueError(f"{self.tiling} cannot carry {self.operand}")

    @property
    def stride(self) -> int:
        """Numbers from one k to the next in shared memory."""
        return self.extent + (PADDING if self.operand.follows_k else 0)

    @property
    def _lanes(self) -> int:
        fast = self.tiling.depth if self.operand.follows_k else self.extent
        return fast // self.operand.width

    @property
    def _slow(self) -> int:
        return self.extent if self.operand.follows_k else self.tiling.depth

    @property
    def _step(self) -> int:
        return self.tiling.threads // self._lanes

    @property
    def _count(self) -> int:
        return self._slow // self._step

    def setup(self) -> Iterator[str]:
        x, width = self.operand.name, self.operand.width
        yield f"{x}_fast = int32(thread % {self._lanes} * {width})"
        yield f"{x}_slow = int32(thread // {self._lanes})"
        across, along = ("slow", "fast") if self.operand.follows_k else ("fast", "slow")
        yield f"{x}_put = uint64({self.base} + {x}_{along} * {self.stride} + {x}_{across})"
        if self.operand.follows_k:
            for i in range(self._count):
                yield from self._place(f"{self.first} + {x}_slow + {i * self._step}", str(i))
        else:
            yield from self._place(f"{self.first} + {x}_fast", "")

    def _place(self, free: str, mark: str) -> Iterator[str]:
        # Beyond the edge the last row is read again: what it gives is never stored.
        x, last = self.operand.name, f"{self.size} - {self._free_width}"
        yield f"{x}_free{mark} = int32(min(int32({free}), int32({last})))"
        yield from self.operand.place(f"{x}_free{mark}", mark)

    @property
    def _free_width(self) -> int:
        return 1 if self.operand.follows_k else self.operand.width

    def fetch(self) -> Iterator[str]:
        """Global memory to registers, zero beyond the last term."""
        x = self.operand.name
        if self.operand.follows_k:
            yield from self._term(f"k0 + {x}_fast", "")
        for i in range(self._count):
            if not self.operand.follows_k:
                yield from self._term(f"k0 + {x}_slow + {i * self._step}", str(i))
            yield from self._load(i)

    def _term(self, k: str, mark: str) -> Iterator[str]:
        x = self.operand.name
        yield f"{x}_k{mark} = int32({k})"
        yield from self.operand.term(f"{x}_k{mark}", mark)

    def _load(self, i: int) -> Iterator[str]:
        x = self.operand.name
        free, k = (str(i), "") if self.operand.follows_k else ("", str(i))
        condition, position = self.operand.element(free, k)
        inside = f"{x}_k{k} < end" + (f" and {condition}" if condition else "")
        names = self._registers(i)
        if self.operand.width == 1:
            yield f"{names[0]} = {x}[int32({position})] if {inside} else zero"
            return
        yield f"{' = '.join(names)} = zero"
        yield f"if {inside}:"
        yield f"    {', '.join(names)} = load4({x}, int32({position}))"

    def _registers(self, i: int) -> list[str]:
        return [f"{self.operand.name}_next{i}_{j}" for j in range(self.operand.width)]

    def put(self, stage: int) -> Iterator[str]:
        """Registers to one of two stages of shared memory, ``stage`` numbers long."""
        x = self.operand.name
        yield f"{x}_to = uint64({x}_put + stage * {stage})"
        for i in range(self._count):
            for j, name in enumerate(self._registers(i)):
                if self.operand.follows_k:
                    offset = j * self.stride + i * self._step
                else:
                    offset = i * self._step * self.stride + j
                yield f"shared[uint64({x}_to + {offset})] = {name}"


class _Writer:
    """The kernel's text, part by part."""

    def __init__(self, product: Product, tiling: Tiling, real: str, epilogue: Epilogue) -> None:
        self.product, self.tiling, self.real, self.epilogue = product, tiling, real, epilogue
        self.a = _Side(product.a, tiling.rows, "first_row", product.rows, 0, tiling)
        at = tiling.depth * self.a.stride
        self.b = _Side(product.b, tiling.columns, "first_col", product.columns, at, tiling)
        self.stage = at + tiling.depth * self.b.stride
        self.tile = Tile(tiling, self.a.stride, self.b.stride)
        if epilogue.measure and tiling.threads % tiling.columns:
            raise ValueError(f"no thread of {tiling} keeps to one column")

    def lines(self) -> Iterator[str]:
        sizes = [*self.product.sizes, "splits", "chunk", "out_size"]
        measure = self.epilogue.measure
        further = list(self.epilogue.names)
        if measure:
            further += [*measure.reads, *(name for name, _ in measure.results)]
        arguments = ["a", "b", "out", *further, *sizes]
        yield f"def kernel({', '.join(arguments)}):"
        for part in (self._start(), self._sum(), self._finish(), self._measure()):
            yield from _indent(part)

    def _start(self) -> Iterator[str]:
        yield f"shared = cuda.shared.array({2 * self.stage}, {self.real}, ALIGNMENT)"
        yield f"zero = {self.real}(0)"
        yield "thread = thread_index()"
        yield from self._decode_tile()
        yield from self.product.bases
        yield from self._decode_thread()
        yield from self.a.setup()
        yield from self.b.setup()
        yield f"a_get = uint64(thread_row * {min(QUAD, self.tiling.thread_rows)})"
        quad = min(QUAD, self.tiling.thread_columns)
        yield f"b_get = uint64({self.b.base} + thread_col * {quad})"

    def _decode_tile(self) -> Iterator[str]:
        rows, columns = self.tiling.rows, self.tiling.columns
        yield "tile = tile_index()"
        yield f"down = uint32(uint32({self.product.rows} + {rows - 1}) // {rows})"
        yield f"across = uint32(uint32({self.product.columns} + {columns - 1}) // {columns})"
        yield f"first_row = int32(tile % down * {rows})"
        yield "tile = uint32(tile // down)"
        yield f"first_col = int32(tile % across * {columns})"
        yield "tile = uint32(tile // across)"
        yield "split = int32(tile % uint32(splits))"
        yield "batch = int32(tile // uint32(splits))"
        yield "first = int32(split * chunk)"
        yield f"end = int32(min(int32(first + chunk), int32({self.product.terms})))"

    def _decode_thread(self) -> Iterator[str]:
        """A warp takes four threads down and eight across: its reads meet no bank twice."""
        down, across = self.tiling.threads_down, self.tiling.threads_across
        lanes_across = min(8, across)
        lanes_down = min(32 // lanes_across, down)
        lanes, warps_across = lanes_down * lanes_across, across // lanes_across
        yield (
            f"thread_row = uint32(thread // {lanes * warps_across} * {lanes_down}"
            f" + thread % {lanes} // {lanes_across})"
        )
        yield (
            f"thread_col = uint32(thread // {lanes} % {warps_across} * {lanes_across}"
            f" + thread % {lanes_across})"
        )

    def _sum(self) -> Iterator[str]:
        yield "sums = fill(zero)"
        if self.product.terms == "0":
            return
        yield "k0 = first"
        yield "stage = uint64(0)"
        yield from self._fetch()
        yield from self._put()
        yield "while k0 < end:"
        yield from _indent(self._stage())

    def _fetch(self) -> Iterator[str]:
        yield from self.a.fetch()
        yield from self.b.fetch()

    def _put(self) -> Iterator[str]:
        yield from self.a.put(self.stage)
        yield from self.b.put(self.stage)
        yield "cuda.syncthreads()"

    def _stage(self) -> Iterator[str]:
        yield f"k0 = int32(k0 + {self.tiling.depth})"
        yield from self._fetch()
        yield f"a_at = uint64(stage * {self.stage} + a_get)"
        yield f"b_at = uint64(stage * {self.stage} + b_get)"
        yield from self._multiply()
        yield "stage = uint64(1 - stage)"
        yield from self._put()

    def _multiply(self) -> Iterator[str]:
        depth, unroll = self.tiling.depth, self.tiling.unroll
        if unroll == depth:
            yield "sums = accumulate(sums, shared, a_at, b_at)"
            return
        yield "step = int32(0)"
        yield f"while step < {depth}:"
        yield "    sums = accumulate(sums, shared, a_at, b_at)"
        yield f"    a_at = uint64(a_at + {unroll * self.a.stride})"
        yield f"    b_at = uint64(b_at + {unroll * self.b.stride})"
        yield f"    step = int32(step + {unroll})"

    def _finish(self) -> Iterator[str]:
        """The sums, a few rows of every thread at a time, by way of shared memory."""
        rows, columns = self.tiling.thread_rows, self.tiling.columns
        quad = min(QUAD, self.tiling.thread_columns)
        if self.epilogue.measure:
            yield f"col = int32(first_col + thread % {columns})"
            inside = f"col < {self.product.columns}"
            yield from self.epilogue.measure.begin(self.real, inside, self.product.column)
        for first in range(0, rows, self.shared_rows):
            if first:
                yield "cuda.syncthreads()"
            line = self.shared_rows * columns
            yield f"to = uint64(thread_row * {line} + thread_col * {quad})"
            yield f"share{first}(sums, shared, to)"
            yield "cuda.syncthreads()"
            yield from self._store_rows(first, self.shared_rows)

    @property
    def shared_rows(self) -> int:
        """Rows of every thread that find room in shared memory together."""
        rows = min(QUAD, self.tiling.thread_rows)
        while rows * self.tiling.threads_down * self.tiling.columns > 2 * self.stage:
            rows //= 2
        return rows

    def _store_rows(self, first: int, per: int) -> Iterator[str]:
        tile = self.tiling
        quad = min(QUAD, tile.thread_rows)
        start = self.tile.rows[first]
        yield "item = uint32(thread)"
        yield f"while item < {per * tile.threads_down * tile.columns}:"
        yield f"    line = uint32(item // {tile.columns})"
        yield (f"    row = int32(first_row + {start} + line // {per} * {quad} + line % {per})")
        yield f"    col = int32(first_col + item % {tile.columns})"
        yield f"    if row < {self.product.rows} and col < {self.product.columns}:"
        yield f"        position = int32({self.product.position})"
        yield from _indent(self._store(), 8)
        yield f"    item = uint32(item + {tile.threads})"

    def _store(self) -> Iterator[str]:
        yield "element = shared[item]"
        statements, result = self.epilogue.write("element", "position", self.product.column)
        yield from statements
        yield f"out[int32(split * out_size + position)] = {result}"
        if self.epilogue.measure:
            yield from self.epilogue.measure.take(result, "position")

    def _measure(self) -> Iterator[str]:
        """What each thread stored was of one column: put together the threads of a column."""
        measure = self.epilogue.measure
        if measure is None:
            return
        rows, columns = self.tiling.rows, self.tiling.columns
        yield "cuda.syncthreads()"
        yield f"lane = int32(thread // {columns})"
        stored = f"int32(min(int32({rows}), int32({self.product.rows} - first_row)))"
        depth = self.tiling.threads // columns
        yield from measure.settle(self.real, columns, depth, stored)
        yield "col = int32(first_col + thread)"
        yield f"if lane == 0 and col < {self.product.columns}:"
        yield f"    channel = int32({self.product.column})"
        yield f"    place = int32(first_row // {rows} * {measure.channels} + channel)"
        for name, number in measure.results:
            yield f"    {name}[place] = {number}"


def _indent(lines: Iterator[str] | list[str], spaces: int = 4) -> Iterator[str]:
    for line in lines:
        yield " " * spaces + line
