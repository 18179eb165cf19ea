"""The text of reduction kernels."""

from __future__ import annotations

import numpy as np

from numbanet.ir import DType
from numbanet.kernels.cpu.generated import advance, indent, unravel
from numbanet.kernels.cpu.nest import Form
from numbanet.kernels.source import literal, render
from numbanet.ops.expression import Expression


def write_reduction(expression: Expression, kind: str, form: Form) -> str:
    """Source of ``fused(first, last, inputs, outputs, numbers of the nest, count)``."""
    writer = _Writer(expression, kind, form)
    return "\n".join(writer.lines()) + "\n"


class _Writer:
    def __init__(self, expression: Expression, kind: str, form: Form) -> None:
        self.expression = expression
        self.kind = kind
        self.form = form
        self.dtypes = expression.output_dtypes
        self.outer = [f"outer{axis}" for axis in range(form.outer_rank)]
        self.middle = [f"middle{axis}" for axis in range(form.middle_rank)]
        self.walks = range(len(form.steps))

    def lines(self) -> list[str]:
        fold = self._fold_along() if self.form.is_along else self._fold_across()
        finish = self._finish_along() if self.form.is_along else self._finish_across()
        return [
            f"def fused(first, last, {', '.join(self._arguments())}):",
            f"    rows = {' * '.join(self.outer)}",
            f"    depths = {' * '.join(self.middle)}",
            "    pieces = max(1, (columns + width - 1) // width)",
            *(
                f"    lanes{k} = local({self.form.lanes}, {literal(0, dtype)})"
                for k, dtype in enumerate(self.dtypes)
            ),
            "    for tile in range(first, last):",
            "        part = tile % parts",
            "        piece = tile // parts % pieces",
            "        left = piece * width",
            "        right = min(left + width, columns)",
            "        top = tile // (parts * pieces) * height",
            *indent(2, unravel("top", "i", self.outer)),
            "        for row in range(top, min(top + height, rows)):",
            *indent(3, self._positions("p", "", "i", "outer")),
            *indent(3, self._clear()),
            "            front = part * depth",
            *indent(3, unravel("front", "k", self.middle)),
            "            for _ in range(front, min(front + depth, depths)):",
            *indent(4, self._positions("q", "p", "k", "middle")),
            *indent(4, fold),
            *indent(4, advance("k", self.middle)),
            *indent(3, finish),
            *indent(3, advance("i", self.outer)),
        ]

    def _arguments(self) -> list[str]:
        names = [f"x{k}" for k in range(len(self.expression.inputs))]
        names += [f"y{k}" for k in range(len(self.dtypes))]
        names += ["height", "depth", "width", "parts", "columns", *self.outer, *self.middle]
        for walk in self.walks:
            names += [f"outer{walk}_{axis}" for axis in range(self.form.outer_rank)]
            names += [f"middle{walk}_{axis}" for axis in range(self.form.middle_rank)]
            if self.form.steps[walk].is_any:
                names.append(f"column{walk}")
        return [*names, "count"]

    def _positions(self, name: str, base: str, index: str, stride: str) -> list[str]:
        """Statements that set where each walk stands in a row."""
        rank = self.form.outer_rank if stride == "outer" else self.form.middle_rank
        return [
            f"{name}{walk} = "
            + " + ".join(
                [f"{base}{walk}"] * bool(base)
                + [f"{index}{axis} * {stride}{walk}_{axis}" for axis in range(rank)]
            )
            for walk in self.walks
        ]

    def _clear(self) -> list[str]:
        used = str(self.form.lanes) if self.form.is_along else "right - left"
        zeros = [_start(self.kind, dtype) for dtype in self.dtypes]
        return [
            f"for lane in range({used}):",
            *(f"    lanes{k}[lane] = {zero}" for k, zero in enumerate(zeros)),
        ]

    def _fold_along(self) -> list[str]:
        """Whole rounds of the lanes, and then the rest; both loops count lanes."""
        lanes = self.form.lanes
        return [
            f"rest = left + (right - left) // {lanes} * {lanes}",
            f"for start in range(left, rest, {lanes}):",
            f"    for lane in range({lanes}):",
            "        j = start + lane",
            *indent(2, self._fold_element()),
            "for lane in range(right - rest):",
            "    j = rest + lane",
            *indent(1, self._fold_element()),
        ]

    def _fold_across(self) -> list[str]:
        return [
            "for lane in range(right - left):",
            "    j = left + lane",
            *indent(1, self._fold_element()),
        ]

    def _fold_element(self) -> list[str]:
        inputs = len(self.expression.inputs)
        loads = [f"load(x{k}, {self._position(k)})" for k in range(inputs)]
        index = self._position(inputs) if self.expression.uses_index else ""
        statements, results = render(self.expression, loads, index)
        return [*statements, *self._fold_into("lane", results)]

    def _fold_into(self, lane: str, results: tuple[str, ...]) -> list[str]:
        lines = []
        for k, (result, dtype) in enumerate(zip(results, self.dtypes, strict=True)):
            lines.append(f"a{k} = lanes{k}[{lane}]")
            lines.append(f"lanes{k}[{lane}] = {_combine(self.kind, dtype, f'a{k}', result)}")
        return lines

    def _position(self, operand: int) -> str:
        """Source of where an operand's element in column ``j`` lies."""
        walk = self.form.walk_of[operand]
        step = self.form.steps[walk]
        if step.is_any:
            return f"q{walk} + j * column{walk}"
        return f"q{walk} + j" if step.is_one else f"q{walk}"

    def _finish_along(self) -> list[str]:
        """Fold the lanes in halves, and store the result or part of it."""
        others = tuple(f"b{k}" for k in range(len(self.dtypes)))
        lines, half = [], self.form.lanes // 2
        while half:
            lines.append(f"for lane in range({half}):")
            lines += [f"    b{k} = lanes{k}[lane + {half}]" for k in range(len(others))]
            lines += indent(1, self._fold_into("lane", others))
            half //= 2
        lines.append("place = (row * parts + part) * pieces + piece")
        return [*lines, *self._store("place", "0")]

    def _finish_across(self) -> list[str]:
        return [
            "place = (part * rows + row) * columns + left",
            "for lane in range(right - left):",
            *indent(1, self._store("place + lane", "lane")),
        ]

    def _store(self, place: str, lane: str) -> list[str]:
        return [
            f"store({k}, y{k}, {place}, {_finish(self.kind, dtype, f'lanes{k}[{lane}]')})"
            for k, dtype in enumerate(self.dtypes)
        ]


def _start(kind: str, dtype: DType) -> str:
    """The number that changes nothing."""
    if kind in ("sum", "mean"):
        return literal(0, dtype)
    if dtype.is_floating:
        return f"{dtype}({'-inf' if kind == 'max' else 'inf'})"
    limits = np.iinfo(dtype.numpy)
    return literal(limits.min if kind == "max" else limits.max, dtype)


def _combine(kind: str, dtype: DType, a: str, b: str) -> str:
    if kind in ("sum", "mean"):
        return f"{a} + {b}"
    worse = f"{a} < {b}" if kind == "max" else f"{a} > {b}"
    if dtype.is_floating:
        worse = f"({worse}) | ({b} != {b})"
    return f"{b} if {worse} else {a}"


def _finish(kind: str, dtype: DType, number: str) -> str:
    return f"{number} / {dtype}(count)" if kind == "mean" else number
