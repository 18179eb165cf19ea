"""What all kernels that are generated as text share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from numbanet.ops.expression import NUMBER, Expression


def unravel(position: str, index: str, sizes: Sequence[str]) -> list[str]:
    """Statements that set ``index0``, ``index1``, ... to those of a row-major position."""
    lines, rest = [], position
    for axis in reversed(range(1, len(sizes))):
        above = f"{index}_above{axis}"
        lines += [
            f"{index}{axis} = {rest} % {sizes[axis]}",
            f"{above} = {rest} // {sizes[axis]}",
        ]
        rest = above
    return [*lines, f"{index}0 = {rest}"]


def advance(index: str, sizes: Sequence[str]) -> list[str]:
    """Statements that step the indices to the next row-major position, without dividing."""
    rank = len(sizes)
    lines = [f"{index}{rank - 1} += 1"]
    for axis in reversed(range(1, rank)):
        depth = "    " * (rank - 1 - axis)
        lines += [
            f"{depth}if {index}{axis} == {sizes[axis]}:",
            f"{depth}    {index}{axis} = 0",
            f"{depth}    {index}{axis - 1} += 1",
        ]
    return lines


def indent(levels: int, lines: Iterable[str]) -> list[str]:
    return ["    " * levels + line for line in lines]


def kernel_name(expression: Expression, *more: str) -> str:
    """What a kernel computes, in a few words, for plans and profiles."""
    steps = [step.op.name for step in expression.steps if step.op is not NUMBER]
    words = list(dict.fromkeys([*steps, *more])) or ["copy"]
    return "_".join(words if len(words) <= 4 else [*words[:2], "to", words[-1]])


COSTLY = re.compile(r"\b(exp|expm1|log|log1p|tanh|erf|uniform)_float32\(")
"""Functions whose arithmetic, and not memory, sets the pace of a loop."""


def make_generated(text: str, name: str) -> Callable[..., None]:
    """The function ``name`` of a generated kernel."""
    # Imported here because it imports Numba, which a warm start does without.
    from numbanet.kernels.cpu.mathematics import NAMESPACE
    from numbanet.kernels.source import compile_source

    function: Any = compile_source(text, name, NAMESPACE)
    if COSTLY.search(text):
        function.vector_bits = 512
    return function
