"""Epilogues as source: loops over a block of sums that is still in the cache.

A product's or a convolution's kernel is generated text: a compiled function makes a block of
sums, and what follows is one element's expression in two loops.
"""

from __future__ import annotations

import copy
import math
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
        The kernel's first ones: the sums, the results where those are other memory, and the
        extra inputs.
    writes : tuple of int
        Which of them are written.
    in_place : tuple of (int, int)
        Extra inputs and results that may share memory.
    is_aside : bool
        Whether sums stay on the stack: so results may be written over extra inputs.
    """

    def __init__(
        self,
        expression: Expression | None,
        sums: DType,
        extras: tuple[Value, ...],
        *outs: Value,
        is_aside: bool = False,
    ) -> None:
        self._expression, self._sums, self.is_aside = expression, sums, is_aside
        out = outs[0]
        self._extras = {f"x{i}": _kind(x.type, out.type) for i, x in enumerate(extras)}
        memory: dict[str, tuple[Argument, DType]] = {"sums": (out, sums)}
        self._results = ("sums",)
        if is_aside:
            memory = {f"y{i}": (each, each.dtype) for i, each in enumerate(outs)}
            self._results = tuple(memory)
        elif out.dtype is not sums:
            memory["sums"] = (Scratch(max(out.type.size, 1) * sums.itemsize), sums)
            memory["result"] = (out, out.dtype)
            self._results = ("result",)
        self.writes = tuple(range(len(memory)))
        self.in_place = self._pairs(extras, outs) if is_aside else ()
        memory |= {f"x{i}": (extra, extra.dtype) for i, extra in enumerate(extras)}
        self.parameters = tuple(memory)
        self.signature = tuple(f"{dtype}*" for _, dtype in memory.values())
        self.arguments = tuple(argument for argument, _ in memory.values())
        self.nbytes = sum(each.type.nbytes for each in (*extras, *outs))
        self.sums_nbytes = out.type.size * sums.itemsize

    def _pairs(
        self, extras: tuple[Value, ...], outs: tuple[Value, ...]
    ) -> tuple[tuple[int, int], ...]:
        """Tensors and results that depend on them: so the load comes before the store."""
        used = self._expression.dependences() if self._expression else ()
        return tuple(
            (len(outs) + i, k)
            for i, extra in enumerate(extras)
            for k, out in enumerate(outs)
            if self._extras[f"x{i}"] == "tensor"
            and extras.count(extra) == 1
            and extra.dtype.itemsize == out.dtype.itemsize
            and 1 + i in used[k]
        )

    def kernel_text(
        self, arguments: tuple[str, ...], addends: int = 1, own: tuple[int, int] = (0, 0)
    ) -> str:
        """A kernel that computes blocks of sums, and goes over each while it is in the cache.

        It calls ``block(tile, part, sums, *arguments)`` for each of the tile's
        ``parts(tile, *arguments)``, a range. A block says where it lies in a row-major
        matrix: its first element, rows, columns, first column, and the length of the
        matrix's rows. If a sum is that of so many ``addends``, they are in ``partials``,
        matrices of ``size`` elements each. Sums aside are an ``own`` matrix of a block's most
        rows and columns.
        """
        names = ", ".join(arguments)
        lines = [
            f"def kernel(first, last, {', '.join(self.parameters)}, {names}):",
            *(f"    {name}_0 = {name}[0]" for name in self._named("number")),
            *(
                [f"    sums = local({math.prod(own)}, {self._sums}(0))"]
                if self.is_aside
                else []
            ),
            "    for tile in range(first, last):",
            f"        for part in parts(tile, {names}):",
            f"            place = block(tile, part, sums, {names})",
        ]
        if self._expression is not None or addends > 1:
            lines += [" " * 12 + line for line in self._loops(addends, own[1])]
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

    def _loops(self, addends: int, own_columns: int) -> list[str]:
        sources = {
            "number": "{}_0",
            "vector": "load({}, column + j)",
            "tensor": "load({}, line + j)",
        }
        elements = [sources[kind].format(name) for name, kind in self._extras.items()]
        total = (
            f"load(sums, i * {own_columns} + j)" if self.is_aside else "load(sums, line + j)"
        )
        if addends > 1:
            total = " + ".join(f"load(partials, {i} * size + line + j)" for i in range(addends))
        expression = self._expression or identity(self._sums)
        statements, results = render(expression, [total, *elements], "line + j")
        places = enumerate(zip(self._results, results, strict=True))
        return [
            "at, block_rows, block_columns, column, row_length = place",
            "for i in range(block_rows):",
            "    line = at + i * row_length",
            "    for j in range(block_columns):",
            *(" " * 8 + statement for statement in statements),
            *(f"        store({k}, {y}, line + j, {result})" for k, (y, result) in places),
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
    from numbanet.kernels.cpu.memory import local

    names = {**NAMESPACE, "local": local, "parts": parts, "block": block}
    return compile_source(text, "kernel", names)


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
