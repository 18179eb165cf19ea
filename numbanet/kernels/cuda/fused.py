"""Elementwise kernels: one generated function for each program and kind of memory access.

A thread computes one element; or four neighbours with 128-bit accesses, where every float32
operand has them side by side and they turn out to be aligned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numbanet.ops  # noqa: F401, it fills the registry
from numbanet.ir import REGISTRY, DType, Node
from numbanet.kernels.cuda import tuning
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.reduce import lower_reduction
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.sizes import check_elements
from numbanet.kernels.cuda.walks import Walks, offsets
from numbanet.kernels.iteration import Dims, Step, collapse
from numbanet.kernels.kernel import Call, Kernel
from numbanet.kernels.operand import Operand, fused_operands
from numbanet.kernels.source import render
from numbanet.ops.expression import Expression
from numbanet.ops.fused import FUSED, contiguous, is_fusable

LANES = 4
"""Elements of a 128-bit access."""


@lowering(FUSED.name, *(op.name for op in REGISTRY.values() if is_fusable(op)))
def lower_fused(node: Node) -> tuple[Call, ...]:
    """The calls of a fused node, or of any node that has a fused form."""
    attrs, reads, writes = fused_operands(node)
    if attrs.reduction is not None:
        return lower_reduction(node, attrs, reads)
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
    check_elements(dims.size)
    layout = _Layout.of(dims, [operand.dtype for operand in operands])
    threads = tuning.TUNING.threads
    text = _Writer(expression, layout, len(reads), threads).write()
    numbers = (dims.size, *layout.walks.numbers(_different(dims)))
    signature = (*(operand.pointer for operand in operands), *["int32"] * len(numbers))
    each = LANES if layout.is_vector else 1
    return (
        Call(
            Kernel(name_of(expression), make_generated, (text,), signature, threads),
            (*(operand.argument for operand in operands), *numbers),
            tiles=-(-dims.size // (threads * each)),
            writes=tuple(range(len(reads), len(operands))),
            in_place=_in_place(shape, reads, writes),
            nbytes=sum(operand.nbytes(shape) for operand in operands),
            flops=flops,
            offsets=offsets(operands, shape),
        ),
    )


def name_of(expression: Expression) -> str:
    """Its ops, each once."""
    return "_".join(dict.fromkeys(step.op.name for step in expression.steps)) or "copy"


WHOLE = -1
"""Of an operand that steps through memory as the elements are numbered."""


@dataclass(frozen=True)
class _Layout:
    """The part of the space and the operands that is written into the text.

    ``walk_of[operand]`` is the number of an operand's walk, or `WHOLE`; operands that step
    alike share it.
    """

    walks: Walks
    walk_of: tuple[int, ...]
    is_vector: bool

    @classmethod
    def of(cls, dims: Dims, dtypes: Sequence[DType]) -> _Layout:
        numbers = {strides: walk for walk, strides in enumerate(_different(dims).strides)}
        walk_of = tuple(numbers.get(strides, WHOLE) for strides in dims.strides)
        return cls(Walks.of("c", _different(dims)), walk_of, _is_vector(dims, dtypes))

    def is_side_by_side(self, operand: int) -> bool:
        walk = self.walk_of[operand]
        return walk == WHOLE or self.walks.steps[walk][-1] is Step.ONE


def _different(dims: Dims) -> Dims:
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


def _in_place(
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
        if read.access == write.access == whole
        and read.dtype.itemsize == write.dtype.itemsize
        and arguments.count(read.argument) == 1
    )


class _Writer:
    """The text of one kernel."""

    def __init__(
        self, expression: Expression, layout: _Layout, reads: int, threads: int
    ) -> None:
        self._expression = expression
        self._layout = layout
        self._threads = threads
        operands = range(len(layout.walk_of))
        self._reads = operands[:reads]
        self._writes = operands[reads:]
        self._pointers = [f"x{k}" if k < reads else f"y{k - reads}" for k in operands]

    def write(self) -> str:
        names = [*self._pointers, "n", *self._layout.walks.arguments]
        body = self._four() if self._layout.is_vector else self._one_a_thread()
        lines = [f"def kernel({', '.join(names)}):", *_indent(["size = uint32(n)", *body])]
        return "\n".join(lines) + "\n"

    def _one_a_thread(self) -> list[str]:
        start = f"i = uint32(tile_index() * uint32({self._threads}) + thread_index())"
        return [start, "if i < size:", *_indent(self._one())]

    def _one(self) -> list[str]:
        """Statements for element ``i``."""
        loads = [f"{self._pointers[k]}[{self._position(k)}]" for k in self._reads]
        statements, results = render(self._expression, loads, "i")
        stores = [
            self._store(k, self._position(k), result)
            for k, result in zip(self._writes, results, strict=True)
        ]
        return [*self._positions(), *statements, *stores]

    def _four(self) -> list[str]:
        """Four elements a thread; one by one at the end, or where they are not aligned."""
        first = f"tile_index() * uint32({self._threads}) + thread_index()"
        vectors = filter(self._layout.is_side_by_side, range(len(self._pointers)))
        conditions = [f"is_aligned({self._pointers[k]})" for k in vectors]
        return [
            f"i = uint32(uint32({first}) * uint32({LANES}))",
            f"stop = uint32(i + uint32({LANES}))",
            f"if stop <= size and {' and '.join(conditions)}:",
            *_indent(self._lanes()),
            "else:",
            *_indent(
                [
                    "stop = min(stop, size)",
                    "while i < stop:",
                    *_indent([*self._one(), "i = uint32(i + uint32(1))"]),
                ]
            ),
        ]

    def _lanes(self) -> list[str]:
        """Statements for elements ``i`` to ``i + 3``: all loads come before all stores."""
        lines = self._positions()
        for k in self._reads:
            pointer, position = self._pointers[k], self._position(k)
            if self._layout.is_side_by_side(k):
                names = ", ".join(f"{pointer}_{lane}" for lane in range(LANES))
                lines.append(f"{names} = load4({pointer}, {position})")
            else:
                lines.append(f"{pointer}_all = {pointer}[{position}]")
        for lane in range(LANES):
            statements, results = render(
                self._expression,
                [self._loaded(k, lane) for k in self._reads],
                f"uint32(i + uint32({lane}))",
            )
            lines += statements
            for k, result in zip(self._writes, results, strict=True):
                lines.append(f"{self._pointers[k]}_{lane} = {result}")
        for k in self._writes:
            pointer = self._pointers[k]
            names = ", ".join(f"{pointer}_{lane}" for lane in range(LANES))
            lines.append(f"store4({pointer}, {self._position(k)}, {names})")
        return lines

    def _loaded(self, operand: int, lane: int) -> str:
        suffix = lane if self._layout.is_side_by_side(operand) else "all"
        return f"{self._pointers[operand]}_{suffix}"

    def _positions(self) -> list[str]:
        """Statements that find the positions of element ``i``."""
        walks = self._layout.walks
        found = [f"p{walk} = {walks.offset(walk)}" for walk in range(len(walks.steps))]
        return [*walks.unravel("i"), *found]

    def _position(self, operand: int) -> str:
        walk = self._layout.walk_of[operand]
        return "i" if walk == WHOLE else f"p{walk}"

    def _store(self, operand: int, position: str, result: str) -> str:
        is_bool = self._dtype_of_write(operand) is DType.BOOL
        value = f"uint8({result})" if is_bool else result
        return f"{self._pointers[operand]}[{position}] = {value}"

    def _dtype_of_write(self, operand: int) -> DType:
        return self._expression.output_dtypes[operand - len(self._reads)]


def _indent(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
