"""The text of elementwise kernels."""

from __future__ import annotations

from dataclasses import dataclass

from numbanet.ir import DType
from numbanet.kernels.cpu.generated import advance, indent, unravel
from numbanet.kernels.iteration import Dims, Step
from numbanet.kernels.source import literal, render
from numbanet.ops.expression import Expression

TURNED_TILE = 64
"""Height and width of tiles that read columns: they use up the cache lines that they load."""


@dataclass(frozen=True)
class Layout:
    """The part of a collapsed space that is written into a kernel's text.

    ``walks`` are the different ways to step through memory, ``walk_of[operand]`` numbers an
    operand's, and ``inner[walk]`` is the kind of its stride along the columns.
    """

    rank: int
    walk_of: tuple[int, ...]
    inner: tuple[Step, ...]

    @classmethod
    def of(cls, dims: Dims) -> Layout:
        """Of a space whose operands are inputs, then outputs."""
        walks = list(dict.fromkeys(dims.strides))
        return cls(
            dims.rank,
            tuple(walks.index(strides) for strides in dims.strides),
            tuple(Step.of(strides[-1]) for strides in walks),
        )

    def names(self) -> list[str]:
        """Of the strides that the kernel is given."""
        found = []
        for walk, step in enumerate(self.inner):
            last = self.rank if step is Step.ANY else self.rank - 1
            found += [f"s{walk}_{axis}" for axis in range(last)]
        return found

    def numbers(self, dims: Dims) -> list[int]:
        """Values for `names`."""
        found: list[int] = []
        for strides, step in zip(dict.fromkeys(dims.strides), self.inner, strict=True):
            found += strides if step is Step.ANY else strides[:-1]
        return found

    def position(self, operand: int) -> str:
        """Source of an operand's element in column ``j``."""
        walk = self.walk_of[operand]
        terms = [f"p{walk}"] if self.rank > 1 else []
        if self.inner[walk] is Step.ONE:
            terms.append("j")
        elif self.inner[walk] is Step.ANY:
            terms.append(f"j * s{walk}_{self.rank - 1}")
        return " + ".join(terms) or "0"


def write_elementwise(expression: Expression, layout: Layout) -> str:
    """Source of ``fused(first, last, inputs, outputs, height, width, sizes, strides)``."""
    return "\n".join(_Writer(expression, layout).lines()) + "\n"


class _Writer:
    def __init__(self, expression: Expression, layout: Layout) -> None:
        self.expression = expression
        self.layout = layout
        self.inputs = range(len(expression.inputs))
        self.sizes = [f"n{axis}" for axis in range(layout.rank)]

    def lines(self) -> list[str]:
        nest = self._single_row() if self.layout.rank == 1 else self._rows()
        return [f"def fused(first, last, {', '.join(self._arguments())}):", *indent(1, nest)]

    def _arguments(self) -> list[str]:
        pointers = [f"x{k}" for k in self.inputs]
        pointers += [f"y{k}" for k in range(len(self.expression.outputs))]
        return [*pointers, "height", "width", *self.sizes, *self.layout.names()]

    def _single_row(self) -> list[str]:
        return [
            "for j in range(first * width, min(last * width, n0)):",
            *indent(1, self._element("j", {})),
        ]

    def _rows(self) -> list[str]:
        """The loops over tiles, rows and columns."""
        sizes = self.sizes[:-1]
        staged = self._staged()
        return [
            *(line for k in staged for line in self._declare(k)),
            f"rows = {' * '.join(sizes)}",
            f"columns = {self.sizes[-1]}",
            "pieces = (columns + width - 1) // width",
            "for tile in range(first, last):",
            "    top = tile // pieces * height",
            "    left = tile % pieces * width",
            "    right = min(left + width, columns)",
            *indent(1, unravel("top", "i", sizes)),
            "    for row in range(top, min(top + height, rows)):",
            *indent(2, self._starts()),
            *(line for k in staged for line in indent(2, self._stage(k))),
            "        for j in range(left, right):",
            *indent(3, self._element("row * columns + j", staged)),
            *indent(2, advance("i", sizes)),
        ]

    def _starts(self) -> list[str]:
        """Where each walk stands at the start of a row."""
        axes = range(self.layout.rank - 1)
        return [
            f"p{walk} = " + " + ".join(f"i{axis} * s{walk}_{axis}" for axis in axes)
            for walk in range(len(self.layout.inner))
        ]

    def _element(self, index: str, staged: dict[int, str]) -> list[str]:
        loads = [staged.get(k) or f"load(x{k}, {self.layout.position(k)})" for k in self.inputs]
        statements, results = render(self.expression, loads, index)
        return [
            *statements,
            *(
                f"store({k}, y{k}, {self.layout.position(len(loads) + k)}, {result})"
                for k, result in enumerate(results)
            ),
        ]

    def _staged(self) -> dict[int, str]:
        """Inputs that lie apart along the columns, and the source of what was copied of them.

        LLVM does not vectorise a loop that loads such inputs, so what there is to compute is
        computed on a copy of a tile's row.
        """
        if not self.expression.steps:
            return {}
        walks = {k: self.layout.walk_of[k] for k in self.inputs}
        apart = [k for k, walk in walks.items() if self.layout.inner[walk] is Step.ANY]
        return {k: f"row{k}[j - left]" for k in apart}

    def _declare(self, k: int) -> list[str]:
        dtype = self.expression.inputs[k]
        # Booleans are bytes in memory.
        zero = literal(0, DType.UINT8 if dtype is DType.BOOL else dtype)
        return [f"row{k} = local({TURNED_TILE}, {zero})"]

    def _stage(self, k: int) -> list[str]:
        return [
            "for j in range(left, right):",
            f"    row{k}[j - left] = load(x{k}, {self.layout.position(k)})",
        ]
