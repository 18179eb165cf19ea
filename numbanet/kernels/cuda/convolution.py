"""Convolutions as tiled products that gather their operands: nothing is unfolded in memory.

With P taps in a window of images ``x[N, H, W, C]`` and weights ``w[O, P, C]``, for each group:

=============== ================ ============= ==================
product         row              column        summed over
=============== ================ ============= ==================
forward         output pixel     out channel   tap, in channel
data gradient   input pixel      in channel    tap, out channel
weight gradient out channel      tap, channel  output pixel
=============== ================ ============= ==================

A data gradient is a convolution of the output's gradient with the kernel turned round. Where
the convolution has a stride, it falls into as many convolutions as there are positions between
two windows, each with those taps that land there.

All sizes but the number of pixels are constants of the text, so that the compiler turns every
division into a multiplication; another batch size is the same kernel.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from numbanet.ir import Node, Value
from numbanet.ir.op import attrs_of
from numbanet.kernels.axes import Axis, Turned, axes, turn
from numbanet.kernels.cuda.group import together
from numbanet.kernels.cuda.indices import divide, quotient, rest
from numbanet.kernels.cuda.matmul import epilogue_of, load_width
from numbanet.kernels.cuda.operands import Matrix, Operand
from numbanet.kernels.cuda.partial import Work, product_calls
from numbanet.kernels.cuda.product import Epilogue, Product
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.tiling import choose
from numbanet.kernels.cuda.tiling import divide as cut
from numbanet.kernels.kernel import Call
from numbanet.ops.convolution import (
    Conv2dAttrs,
    Conv2dTransposeAttrs,
    ConvolutionAttrs,
)


@dataclass(frozen=True)
class Geometry:
    """Sizes of a convolution, without the number of images. Channels are those of a group."""

    rows: Axis
    columns: Axis
    channels: int
    outputs: int
    groups: int

    @classmethod
    def of(cls, attrs: ConvolutionAttrs, x: Value, w: Value, y: Value) -> Geometry:
        """Of the convolution of images ``x`` with weights ``w`` to ``y``."""
        outputs, _, _, channels = w.type.sizes
        rows, columns = axes(attrs, x.type.sizes, w.type.sizes, y.type.sizes)
        return cls(rows, columns, channels, outputs // attrs.groups, attrs.groups)

    @property
    def window(self) -> int:
        """Numbers that one output pixel sees in its group."""
        return self.rows.taps * self.columns.taps * self.channels

    @property
    def all_channels(self) -> int:
        return self.channels * self.groups

    @property
    def all_outputs(self) -> int:
        return self.outputs * self.groups


@dataclass(frozen=True)
class Patches:
    """What windows see: pixel (n, oh, ow) by element (tap, channel) of the window.

    ``follows_k`` if the pixel is the free index, else the window's element is. A position is
    the sum of a part that depends on the pixel and a part that depends on the element.
    ``channels`` of all that a pixel has are a group's.
    """

    name: str
    rows: Axis
    columns: Axis
    channels: int
    all_channels: int
    follows_k: bool
    width: int

    def place(self, free: str, mark: str) -> list[str]:
        lines = self._pixel if self.follows_k else self._element
        return list(lines(free, mark))

    def term(self, k: str, mark: str) -> list[str]:
        lines = self._element if self.follows_k else self._pixel
        return list(lines(k, mark))

    def element(self, free: str, k: str) -> tuple[str, str]:
        x = self.name
        pixel, element = (free, k) if self.follows_k else (k, free)
        condition = ""
        if not (self.rows.is_inside and self.columns.is_inside):
            # A negative number, taken as unsigned, is large.
            condition = (
                f"uint32({x}_h{pixel} + {x}_dh{element}) < {self.rows.size}"
                f" and uint32({x}_w{pixel} + {x}_dw{element}) < {self.columns.size}"
            )
        return condition, f"{x}_pixel{pixel} + {x}_element{element}"

    def _pixel(self, index: str, mark: str) -> Iterator[str]:
        x, rows, columns = self.name, self.rows, self.columns
        yield from divide(f"{x}_line", f"{x}_ow", index, columns.windows)
        yield from divide(f"{x}_image", f"{x}_oh", f"{x}_line", rows.windows)
        yield f"{x}_h{mark} = int32({x}_oh * {rows.step} {-rows.before:+})"
        yield f"{x}_w{mark} = int32({x}_ow * {columns.step} {-columns.before:+})"
        line = f"int32({x}_image * {rows.size} + {x}_h{mark}) * {columns.size} + {x}_w{mark}"
        yield f"{x}_pixel{mark} = int32(int32({line}) * {self.all_channels} + {x}_base)"

    def _element(self, index: str, mark: str) -> Iterator[str]:
        x = self.name
        yield from divide(f"{x}_tap", f"{x}_channel", index, self.channels)
        yield from divide(f"{x}_r", f"{x}_s", f"{x}_tap", max(1, self.columns.taps))
        yield f"{x}_dh{mark} = int32({x}_r * {self.rows.dilation})"
        yield f"{x}_dw{mark} = int32({x}_s * {self.columns.dilation})"
        step = f"int32({x}_dh{mark} * {self.columns.size} + {x}_dw{mark})"
        yield f"{x}_element{mark} = int32({step} * {self.all_channels} + {x}_channel)"


@dataclass(frozen=True)
class Taps:
    """Weights for a part of the data gradient: in channel by (tap, out channel)."""

    name: str
    geometry: Geometry
    rows: Turned
    columns: Turned
    width: int
    follows_k: bool = False

    def place(self, free: str, mark: str) -> list[str]:
        return [f"{self.name}_column{mark} = int32({self.name}_base + {free})"]

    def term(self, k: str, mark: str) -> list[str]:
        x, g = self.name, self.geometry
        taps = max(1, self.columns.axis.taps)
        line = g.columns.taps * g.channels
        first = self.rows.tap * line + self.columns.tap * g.channels
        down, across = self.rows.tap_step * line, self.columns.tap_step * g.channels
        return [
            *divide(f"{x}_tap", f"{x}_output", k, g.outputs),
            *divide(f"{x}_r", f"{x}_s", f"{x}_tap", taps),
            f"{x}_at = int32({first} - {x}_r * {down} - {x}_s * {across})",
            f"{x}_term{mark} = int32({x}_output * {g.window} + {x}_at)",
        ]

    def element(self, free: str, k: str) -> tuple[str, str]:
        return "", f"{self.name}_column{free} + {self.name}_term{k}"


def images(
    name: str, x: Value, rows: Axis, columns: Axis, channels: int, *, follows_k: bool
) -> Operand:
    """Patches of images, or the images themselves if windows are pixels."""
    all_channels = x.type.sizes[-1]
    # Of this many elements a multiple lies in a row, and in a group of it.
    width = load_width(x, 4 if channels % 4 == 0 and all_channels % 4 == 0 else 1)
    if not (rows.is_pointwise and columns.is_pointwise):
        return Patches(name, rows, columns, channels, all_channels, follows_k, width)
    strides = (str(all_channels), "1") if follows_k else ("1", str(all_channels))
    return Matrix(name, *strides, width=width)


@lowering("conv2d")
def lower_conv2d(node: Node) -> tuple[Call, ...]:
    return conv2d_calls(node, node.output)


def conv2d_calls(node: Node, out: Value) -> tuple[Call, ...]:
    """The calls of a `conv2d` whose result is ``out``: of its type, if not itself."""
    product, work = conv2d_product(node, out)
    plan = choose(*work.shape, out.dtype)
    return product_calls("conv2d", product, work, plan, epilogue_in(node, out))


def conv2d_product(node: Node, out: Value) -> tuple[Product, Work]:
    x, w, *extras = node.inputs
    g = Geometry.of(attrs_of(node, Conv2dAttrs), x, w, out)
    product = Product(
        a=images("a", x, g.rows, g.columns, g.channels, follows_k=True),
        b=Matrix("b", str(g.window), "1", width=load_width(w, g.window)),
        rows="rows",
        columns=str(g.outputs),
        terms=str(g.window),
        sizes=("rows",),
        bases=bases(g.channels, g.outputs * g.window),
        position=f"row * {g.all_outputs} + batch * {g.outputs} + col",
        column=f"int32(batch * {g.outputs} + col)",
    )
    rows = out.type.size // max(g.all_outputs, 1)
    work = Work(
        a=x,
        b=w,
        out=out,
        extras=tuple(extras),
        sizes=(rows,),
        rows=rows,
        columns=g.outputs,
        terms=g.window,
        count=g.groups,
    )
    return product, work


@lowering("conv2d_transpose")
def lower_conv2d_transpose(node: Node) -> tuple[Call, ...]:
    return transpose_calls(node, node.output)


def transpose_calls(node: Node, out: Value) -> tuple[Call, ...]:
    """A product for each part, all of them in one launch, the longest first. Only a lone one
    is split: the others' sums lie scattered."""
    parts = transpose_products(node, out)
    longest = max((work for _, work in parts), key=lambda work: work.flops)
    plan = choose(*longest.shape, out.dtype)
    calls: list[Call] = []
    for product, work in parts:
        if len(parts) > 1:
            plan = cut(plan.tiling, 1, work.terms)
        calls += product_calls("conv2d_transpose", product, work, plan, epilogue_in(node, out))
    if len(parts) > 1 and calls:
        call = together(sorted(calls, key=lambda call: -call.flops))
        calls = [replace(call, nbytes=math.ceil(call.nbytes / len(parts)))]
    # What falls outside of images is computed all the same, but need not be.
    needed = node.op.flops(node)
    return tuple(replace(call, flops=min(call.flops, needed)) for call in calls)


def epilogue_in(node: Node, out: Value) -> Epilogue:
    """The epilogue of a convolution or its data gradient whose result is ``out``."""
    attrs: Any = node.attrs
    return epilogue_of(attrs.epilogue, out, tuple(node.inputs[2:]))


def transpose_products(node: Node, out: Value) -> list[tuple[Product, Work]]:
    """The products that a data gradient falls into: one if it has no stride."""
    y, w = node.inputs[:2]
    g = Geometry.of(attrs_of(node, Conv2dTransposeAttrs), out, w, y)
    parts = itertools.product(turn(g.rows), turn(g.columns))
    return [(_part(g, y, w, *part), _part_work(node, out, g, *part)) for part in parts]


def _part(g: Geometry, y: Value, w: Value, rows: Turned, columns: Turned) -> Product:
    a = images("a", y, rows.axis, columns.axis, g.outputs, follows_k=True)
    taps = rows.axis.taps * columns.axis.taps
    return Product(
        a=a,
        b=Taps("b", g, rows, columns, load_width(w, g.channels)),
        rows="rows",
        columns=str(g.channels),
        terms=str(taps * g.outputs),
        sizes=("rows",),
        bases=bases(g.outputs, g.outputs * g.window),
        position=f"{_pixel(g, rows, columns)} * {g.all_channels} + batch * {g.channels} + col",
        column=f"int32(batch * {g.channels} + col)",
    )


def _part_work(node: Node, out: Value, g: Geometry, rows: Turned, columns: Turned) -> Work:
    y, w, *extras = node.inputs
    pixels = y.type.sizes[0] * rows.axis.windows * columns.axis.windows
    return Work(
        a=y,
        b=w,
        out=out,
        extras=tuple(extras),
        sizes=(pixels,),
        rows=pixels,
        columns=g.channels,
        terms=rows.axis.taps * columns.axis.taps * g.outputs,
        count=g.groups,
    )


def _pixel(g: Geometry, rows: Turned, columns: Turned) -> str:
    """Source of the input pixel that result ``row`` of a part is."""
    if g.rows.step == g.columns.step == 1:
        return "row"
    line = quotient("row", columns.axis.windows)
    down = f"{rest(line, rows.axis.windows)} * {g.rows.step} + {rows.first}"
    across = f"{rest('row', columns.axis.windows)} * {g.columns.step} + {columns.first}"
    image = f"{quotient(line, rows.axis.windows)} * {g.rows.size}"
    return f"int32(int32({image} + {down}) * {g.columns.size} + {across})"


def bases(a_step: int, b_step: int) -> tuple[str, ...]:
    """Where the operands of group ``batch`` begin."""
    return (f"a_base = int32(batch * {a_step})", f"b_base = int32(batch * {b_step})")
