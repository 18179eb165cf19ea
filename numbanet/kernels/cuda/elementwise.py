"""Elementwise kernels as text: one function for each program and kind of memory access.

A thread computes one element; or four neighbours with 128-bit accesses, where every float32
operand has them side by side and they turn out to be aligned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from numbanet.ir import DType, Value
from numbanet.kernels.cuda.walks import Walks
from numbanet.kernels.iteration import Dims, Step
from numbanet.kernels.operand import Operand
from numbanet.kernels.source import render
from numbanet.ops.expression import Expression
from numbanet.ops.fused import contiguous

LANES = 4
"""Elements of a 128-bit access."""

WHOLE = -1
"""Of an operand that steps through memory as the elements are numbered."""


@dataclass(frozen=True)
class Layout:
    """The part of the space and the operands that is written into the text.

    ``walk_of[operand]`` is the number of an operand's walk, or `WHOLE`; operands that step
    alike share it.
    """

    walks: Walks
    walk_of: tuple[int, ...]
    is_vector: bool

    @classmethod
    def of(cls, dims: Dims, dtypes: Sequence[DType]) -> Layout:
        numbers = {strides: walk for walk, strides in enumerate(different(dims).strides)}
        walk_of = tuple(numbers.get(strides, WHOLE) for strides in dims.strides)
        return cls(Walks.of("c", different(dims)), walk_of, _is_vector(dims, dtypes))

    def is_side_by_side(self, operand: int) -> bool:
        walk = self.walk_of[operand]
        return walk == WHOLE or self.walks.steps[walk][-1] is Step.ONE


def different(dims: Dims) -> Dims:
    """``dims`` with each different walk once, and without the row-major one."""
    whole = contiguous(dims.sizes).strides
    strides = dict.fromkeys(strides for strides in dims.strides if strides != whole)
    return Dims(dims.sizes, tuple(strides))


def _is_vector(dims: Dims, dtypes: Sequence[DType]) -> bool:
    """Whether four neighbours lie in one row, and side by side in every operand."""
    if any(dtype is not DType.FLOAT32 for dtype in dtypes) or Step.ANY in dims.inner:
        return False
    if Step.ONE not in dims.inner:
        return False
    if dims.rank == 1:
        return True
    rows_apart = (
        stride for strides in dims.strides if strides[-1] == 1 for stride in strides[:-1]
    )
    return dims.sizes[-1] % LANES == 0 and all(stride % LANES == 0 for stride in rows_apart)


def in_place(
    shape: tuple[int, ...], reads: Sequence[Operand], writes: Sequence[Operand]
) -> tuple[tuple[int, int], ...]:
    """Pairs of operands that walk all of a tensor alike: an element's loads precede its
    stores."""
    whole = contiguous(shape)
    arguments = [operand.argument for operand in reads]
    return tuple(
        (position, len(reads) + number)
        for position, read in enumerate(reads)
        for number, write in enumerate(writes)
        if isinstance(read.argument, Value)
        and read.access == write.access == whole
        and read.dtype.itemsize == write.dtype.itemsize
        and arguments.count(read.argument) == 1
    )


class Writer:
    """The text of one kernel."""

    def __init__(
        self, expression: Expression, layout: Layout, reads: int, threads: int
    ) -> None:
        self.expression = expression
        self.layout = layout
        self.threads = threads
        operands = range(len(layout.walk_of))
        self.reads = operands[:reads]
        self.writes = operands[reads:]
        self.pointers = [f"x{k}" if k < reads else f"y{k - reads}" for k in operands]

    def write(self) -> str:
        names = [*self.pointers, "n", *self.layout.walks.arguments]
        body = self._four() if self.layout.is_vector else self._one_a_thread()
        lines = [f"def kernel({', '.join(names)}):", *indent(["size = uint32(n)", *body])]
        return "\n".join(lines) + "\n"

    def _one_a_thread(self) -> list[str]:
        start = f"i = uint32(tile_index() * uint32({self.threads}) + thread_index())"
        return [start, "if i < size:", *indent(self.one())]

    def one(self) -> list[str]:
        """Statements for element ``i``."""
        loads = [self.load(k) for k in self.reads]
        statements, results = render(self.expression, loads, "i")
        stores = [
            self._store(k, self._position(k), result)
            for k, result in zip(self.writes, results, strict=True)
        ]
        return [*self._positions(), *statements, *stores]

    def _four(self) -> list[str]:
        """Four elements a thread; one by one at the end, or where they are not aligned."""
        first = f"tile_index() * uint32({self.threads}) + thread_index()"
        return [
            f"i = uint32(uint32({first}) * uint32({LANES}))",
            f"stop = uint32(i + uint32({LANES}))",
            f"if stop <= size and {self.are_aligned()}:",
            *indent(self.lanes()),
            "else:",
            *indent(
                [
                    "stop = min(stop, size)",
                    "while i < stop:",
                    *indent([*self.one(), "i = uint32(i + uint32(1))"]),
                ]
            ),
        ]

    def are_aligned(self) -> str:
        """Source of whether all operands that are loaded in quads begin where a quad may."""
        vectors = filter(self.layout.is_side_by_side, range(len(self.pointers)))
        return " and ".join(f"is_aligned({self.pointers[k]})" for k in vectors)

    def lanes(self) -> list[str]:
        """Statements for elements ``i`` to ``i + 3``: all loads come before all stores."""
        lines = self._positions()
        for k in self.reads:
            lines += self.load_lanes(k)
        for lane in range(LANES):
            statements, results = render(
                self.expression,
                [self.loaded(k, lane) for k in self.reads],
                f"uint32(i + uint32({lane}))",
            )
            lines += statements
            for k, result in zip(self.writes, results, strict=True):
                lines.append(f"{self.pointers[k]}_{lane} = {result}")
        for k in self.writes:
            pointer = self.pointers[k]
            names = ", ".join(f"{pointer}_{lane}" for lane in range(LANES))
            lines.append(f"store4({pointer}, {self._position(k)}, {names})")
        return lines

    def load(self, operand: int) -> str:
        """Source of an operand's element ``i``."""
        return f"{self.pointers[operand]}[{self._position(operand)}]"

    def load_lanes(self, operand: int) -> list[str]:
        """Statements that load an operand's elements ``i`` to ``i + 3``."""
        pointer = self.pointers[operand]
        if not self.layout.is_side_by_side(operand):
            return [f"{pointer}_all = {self.load(operand)}"]
        names = ", ".join(f"{pointer}_{lane}" for lane in range(LANES))
        return [f"{names} = load4({pointer}, {self._position(operand)})"]

    def loaded(self, operand: int, lane: int) -> str:
        """Source of element ``i + lane`` of an operand whose elements are loaded."""
        suffix = lane if self.layout.is_side_by_side(operand) else "all"
        return f"{self.pointers[operand]}_{suffix}"

    def _positions(self) -> list[str]:
        """Statements that find the positions of element ``i``."""
        walks = self.layout.walks
        found = [f"p{walk} = {walks.offset(walk)}" for walk in range(len(walks.steps))]
        return [*walks.unravel("i"), *found]

    def _position(self, operand: int) -> str:
        walk = self.layout.walk_of[operand]
        return "i" if walk == WHOLE else f"p{walk}"

    def _store(self, operand: int, position: str, result: str) -> str:
        is_bool = self._dtype_of_write(operand) is DType.BOOL
        value = f"uint8({result})" if is_bool else result
        return f"{self.pointers[operand]}[{position}] = {value}"

    def _dtype_of_write(self, operand: int) -> DType:
        return self.expression.output_dtypes[operand - len(self.reads)]


def indent(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]
