"""Epilogues as source: loops over a block of sums that is still in the cache.

A product's or a convolution's kernel is generated text: a compiled function makes a block of
sums, and what follows is one element's expression in two loops.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from numbanet.ir import DType, TensorType, Value
from numbanet.kernels.kernel import Argument, Call, Kernel, Scratch
from numbanet.kernels.source import compile_source, render
from numbanet.ops.expression import Expression, identity

_ALONE_ELEMENTS = 8192
"""Of a tile of an epilogue that is a call of its own."""


class Epilogue:
    """What becomes of a kernel's sums: the end of its text, and the memory that it takes.

    Attributes
    ----------
    parameters, signature, arguments
        The kernel's first ones: the sums, the result where that is other memory, and the
        extra inputs.
    writes : tuple of int
        Which of them are written.
    """

    def __init__(
        self, expression: Expression | None, sums: DType, extras: tuple[Value, ...], out: Value
    ) -> None:
        self._expression, self._sums = expression, sums
        self._extras = {f"x{i}": _kind(x.type, out.type) for i, x in enumerate(extras)}
        memory: dict[str, tuple[Argument, DType]] = {"sums": (out, sums)}
        if out.dtype is not sums:
            memory["sums"] = (Scratch(max(out.type.size, 1) * sums.itemsize), sums)
            memory["result"] = (out, out.dtype)
        self._result = "result" if "result" in memory else "sums"
        self.writes = tuple(range(len(memory)))
        memory |= {f"x{i}": (extra, extra.dtype) for i, extra in enumerate(extras)}
        self.parameters = tuple(memory)
        self.signature = tuple(f"{dtype}*" for _, dtype in memory.values())
        self.arguments = tuple(argument for argument, _ in memory.values())
        self.nbytes = sum(extra.type.nbytes for extra in extras) + out.type.nbytes
        self.sums_nbytes = out.type.size * sums.itemsize

    def kernel_text(self, arguments: tuple[str, ...], addends: int = 1) -> str:
        """A kernel that computes blocks of sums, and goes over each while it is in the cache.

        It calls ``block(tile, part, sums, *arguments)`` for each of the tile's
        ``parts(tile, *arguments)``, a range. A block says where it lies in a row-major
        matrix: its first element, rows, columns, first column, and the length of the
        matrix's rows. If a sum is that of so many ``addends``, they are in ``partials``,
        matrices of ``size`` elements each.
        """
        names = ", ".join(arguments)
        lines = [
            f"def kernel(first, last, {', '.join(self.parameters)}, {names}):",
            *(f"    {name}_0 = {name}[0]" for name in self._named("number")),
            "    for tile in range(first, last):",
            f"        for part in parts(tile, {names}):",
            f"            place = block(tile, part, sums, {names})",
        ]
        if self._expression is not None or addends > 1:
            lines += [" " * 12 + line for line in self._loops(addends)]
        return "\n".join(lines) + "\n"

    def sums_only(self) -> Epilogue:
        """For kernels that leave the epilogue to a later call."""
        other = copy.copy(self)
        other._expression, other._extras, other.nbytes = None, {}, self.sums_nbytes
        other.parameters, other.writes = self.parameters[:1], (0,)
        other.signature, other.arguments = self.signature[:1], self.arguments[:1]
        return other

    def in_parts(self, addends: int) -> Epilogue:
        """For kernels that leave so many matrices of partial sums to a later call."""
        other = self.sums_only()
        other.nbytes = addends * self.sums_nbytes
        other.arguments = (Scratch(max(other.nbytes, 1)),)
        return other

    def call(
        self, rows: int, columns: int, partials: Argument | None = None, addends: int = 1
    ) -> tuple[Call, ...]:
        """The epilogue alone, for sums that are all there, or for partial sums.

        Nothing if there is nothing to do.
        """
        if self._expression is None and partials is None:
            return ()
        height = -(-_ALONE_ELEMENTS // max(columns, 1))
        numbers = {"size": rows * columns, "rows": rows, "columns": columns, "height": height}
        kernel = Kernel(
            "epilogue" if partials is None else "add_partials",
            make_epilogue,
            (self.kernel_text(("partials", *numbers), addends),),
            (*self.signature, self.signature[0], *["int64"] * len(numbers)),
        )
        source = self.arguments[0] if partials is None else partials
        arguments = (*self.arguments, source, *numbers.values())
        tiles = -(-rows // height)
        nbytes = self.nbytes + addends * self.sums_nbytes
        return (Call(kernel, arguments, tiles, self.writes, nbytes=nbytes),)

    def _named(self, kind: str) -> list[str]:
        return [name for name, each in self._extras.items() if each == kind]

    def _loops(self, addends: int) -> list[str]:
        sources = {
            "number": "{}_0",
            "vector": "load({}, column + j)",
            "tensor": "load({}, line + j)",
        }
        elements = [sources[kind].format(name) for name, kind in self._extras.items()]
        total = "load(sums, line + j)"
        if addends > 1:
            places = (f"load(partials, {i} * size + line + j)" for i in range(addends))
            total = " + ".join(places)
        expression = self._expression or identity(self._sums)
        statements, (result,) = render(expression, [total, *elements], "line + j")
        return [
            "at, block_rows, block_columns, column, row_length = place",
            "for i in range(block_rows):",
            "    line = at + i * row_length",
            "    for j in range(block_columns):",
            *(" " * 8 + statement for statement in statements),
            f"        store(0, {self._result}, line + j, {result})",
        ]


def _kind(extra: TensorType, out: TensorType) -> str:
    """How an extra input is read."""
    if extra.shape in ((), (1,)):
        return "number"
    return "tensor" if extra.shape == out.shape else "vector"


def kernel_from_text(
    text: str, parts: Callable[..., Any], block: Callable[..., Any]
) -> Callable[..., None]:
    """The kernel that `Epilogue.kernel_text` wrote."""
    from numbanet.kernels.cpu.mathematics import NAMESPACE

    return compile_source(text, "kernel", {**NAMESPACE, "parts": parts, "block": block})


def make_epilogue(text: str) -> Callable[..., None]:
    """The kernel of an epilogue alone: its blocks are there already, or in parts."""
    from numbanet.kernels.cpu.mathematics import inline

    @inline
    def parts(tile, *arguments):
        return range(1)

    @inline
    def block(tile, part, sums, partials, size, rows, columns, height):
        row = tile * height
        return row * columns, min(height, rows - row), columns, 0, columns

    return kernel_from_text(text, parts, block)
