"""Positions of operands in generated source: from an element's number to where it lies.

Arithmetic is unsigned and 32 bits wide. A negative stride wraps around, and the sum that it is
a part of wraps back, for positions count from the lowest one: a walk with a negative stride
starts above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numbanet.kernels.iteration import Dims, Step
from numbanet.kernels.operand import Operand


@dataclass(frozen=True)
class Walks:
    """The different ways in which operands step through a space.

    What is a part of the source is known here: the rank, and the kind of every stride. Sizes
    and strides are arguments.

    Attributes
    ----------
    prefix : str
        Of all names.
    rank : int
    steps : tuple of tuple of Step
        ``steps[walk][axis]``.
    starts : tuple of bool
        Of each walk, whether it starts above its lowest position.
    """

    prefix: str
    rank: int
    steps: tuple[tuple[Step, ...], ...]
    starts: tuple[bool, ...]

    @classmethod
    def of(cls, prefix: str, dims: Dims) -> Walks:
        """One walk for each operand of ``dims``."""
        steps = tuple(tuple(map(Step.of, strides)) for strides in dims.strides)
        starts = tuple(_start(dims.sizes, strides) > 0 for strides in dims.strides)
        return cls(prefix, dims.rank, steps, starts)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the sizes but the outermost, of the strides that vary, and of starts."""
        sizes = (f"{self.prefix}n{axis}" for axis in range(1, self.rank))
        strides = (self._stride(walk, axis) for walk, axis in self._varying())
        return (*sizes, *strides, *(self._start(walk) for walk in self._starting()))

    def numbers(self, dims: Dims) -> tuple[int, ...]:
        """Numbers for `arguments`."""
        strides = (dims.strides[walk][axis] for walk, axis in self._varying())
        starts = (_start(dims.sizes, dims.strides[walk]) for walk in self._starting())
        return (*dims.sizes[1:], *strides, *starts)

    def unravel(self, number: str) -> list[str]:
        """Statements that find the coordinates of an element from its number."""
        if all(step is Step.NONE for steps in self.steps for step in steps):
            return []
        lines, rest = [], number
        for axis in reversed(range(1, self.rank)):
            size = f"uint32({self.prefix}n{axis})"
            lines += [
                f"{self._coordinate(axis)} = uint32({rest} % {size})",
                f"{self.prefix}rest{axis} = uint32({rest} // {size})",
            ]
            rest = f"{self.prefix}rest{axis}"
        return [*lines, f"{self._coordinate(0)} = {rest}"]

    def offset(self, walk: int) -> str:
        """Source of an operand's position at the coordinates: uint32."""
        terms = [f"uint32({self._start(walk)})"] if self.starts[walk] else []
        for axis, step in enumerate(self.steps[walk]):
            if step is Step.ONE:
                terms.append(self._coordinate(axis))
            elif step is Step.ANY:
                stride = f"uint32({self._stride(walk, axis)})"
                terms.append(f"uint32({self._coordinate(axis)} * {stride})")
        source = terms[0] if terms else "uint32(0)"
        for term in terms[1:]:
            source = f"uint32({source} + {term})"
        return source

    def _varying(self) -> list[tuple[int, int]]:
        return [
            (walk, axis)
            for walk, steps in enumerate(self.steps)
            for axis, step in enumerate(steps)
            if step is Step.ANY
        ]

    def _starting(self) -> list[int]:
        return [walk for walk, is_above in enumerate(self.starts) if is_above]

    def _start(self, walk: int) -> str:
        return f"{self.prefix}start{walk}"

    def _coordinate(self, axis: int) -> str:
        return f"{self.prefix}{axis}"

    def _stride(self, walk: int, axis: int) -> str:
        return f"{self.prefix}s{walk}_{axis}"


def offsets(operands: Sequence[Operand], shape: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """`Call.offsets` for operands that are a call's first arguments: where the lowest element
    that an iteration over ``shape`` touches lies."""
    found = []
    for position, operand in enumerate(operands):
        access = operand.access
        lowest = access.offset - _start(shape, access.strides)
        if lowest:
            found.append((position, lowest * operand.dtype.itemsize))
    return tuple(found)


def _start(sizes: Sequence[int], strides: Sequence[int]) -> int:
    """How far above the lowest position the first element lies."""
    pairs = zip(sizes, strides, strict=True)
    return -sum(min(stride, 0) * (size - 1) for size, stride in pairs)
