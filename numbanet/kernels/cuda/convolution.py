"""Convolutions as tiled products that gather their operands: nothing is unfolded in memory.

With P taps in a window of images ``x[N, H, W, C]`` and weights ``w[O, P, C]``, for each group:

=============== ================ ============= ==================
product         row              column        summed over
=============== ================ ============= ==================
forward         output pixel     out channel   tap, in channel
data gradient   input pixel      in channel    tap, out channel
weight gradient out channel      tap, channel  output pixel
=============== ================ ============= ==================

All sizes but the number of pixels are constants of the text, so that the compiler turns every
division into a multiplication; another batch size is the same kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from numbanet.ir import Node, Value
from numbanet.ir.op import attrs_of
from numbanet.kernels.cuda.indices import divide
from numbanet.kernels.cuda.matmul import epilogue_of, load_width
from numbanet.kernels.cuda.partial import Work, product_calls
from numbanet.kernels.cuda.product import Epilogue, Matrix, Operand, Product
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.tiling import choose
from numbanet.kernels.kernel import Call
from numbanet.ops.convolution import (
    Conv2dAttrs,
    Conv2dTransposeAttrs,
    Conv2dWeightGradAttrs,
    ConvolutionAttrs,
)


@dataclass(frozen=True)
class Geometry:
    """Sizes of a convolution, without the number of images. Channels are those of a group."""

    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    outputs: int
    kernel: tuple[int, int]
    attrs: ConvolutionAttrs

    @classmethod
    def of(cls, attrs: ConvolutionAttrs, x: Value, w: Value, y: Value) -> Geometry:
        """Of the convolution of images ``x`` with weights ``w`` to ``y``."""
        _, height, width, _ = x.type.sizes
        outputs, down, across, channels = w.type.sizes
        _, out_height, out_width, _ = y.type.sizes
        outputs //= attrs.groups
        return cls(
            height, width, channels, out_height, out_width, outputs, (down, across), attrs
        )

    @property
    def taps(self) -> int:
        return self.kernel[0] * self.kernel[1]

    @property
    def window(self) -> int:
        """Numbers that one output pixel sees in its group."""
        return self.taps * self.channels

    @property
    def all_channels(self) -> int:
        return self.channels * self.attrs.groups

    @property
    def all_outputs(self) -> int:
        return self.outputs * self.attrs.groups

    @property
    def is_padded(self) -> bool:
        return any(any(sides) for sides in self.attrs.padding)

    @property
    def is_pointwise(self) -> bool:
        """Whether every output pixel sees just the input pixel at its place."""
        return self.taps == 1 and self.attrs.stride == (1, 1) and not self.is_padded


@dataclass(frozen=True)
class Patches:
    """What windows see: pixel (n, oh, ow) by element (tap, channel) of the window.

    ``follows_k`` if the pixel is the free index, else the window's element is. A position is
    the sum of a part that depends on the pixel and a part that depends on the element.
    """

    name: str
    geometry: Geometry
    follows_k: bool
    width: int

    def place(self, free: str, mark: str) -> list[str]:
        lines = self._pixel if self.follows_k else self._element
        return list(lines(free, mark))

    def term(self, k: str, mark: str) -> list[str]:
        lines = self._element if self.follows_k else self._pixel
        return list(lines(k, mark))

    def element(self, free: str, k: str) -> tuple[str, str]:
        x, g = self.name, self.geometry
        pixel, element = (free, k) if self.follows_k else (k, free)
        condition = ""
        if g.is_padded:
            # A negative number, taken as unsigned, is large.
            condition = (
                f"uint32({x}_h{pixel} + {x}_dh{element}) < {g.height}"
                f" and uint32({x}_w{pixel} + {x}_dw{element}) < {g.width}"
            )
        return condition, f"{x}_pixel{pixel} + {x}_element{element}"

    def _pixel(self, index: str, mark: str) -> Iterator[str]:
        x, g = self.name, self.geometry
        (top, _), (left, _) = g.attrs.padding
        down, across = g.attrs.stride
        yield from divide(f"{x}_line", f"{x}_ow", index, g.out_width)
        yield from divide(f"{x}_image", f"{x}_oh", f"{x}_line", g.out_height)
        yield f"{x}_h{mark} = int32({x}_oh * {down} - {top})"
        yield f"{x}_w{mark} = int32({x}_ow * {across} - {left})"
        line = f"int32({x}_image * {g.height} + {x}_h{mark}) * {g.width} + {x}_w{mark}"
        yield f"{x}_pixel{mark} = int32(int32({line}) * {g.all_channels} + {x}_base)"

    def _element(self, index: str, mark: str) -> Iterator[str]:
        x, g = self.name, self.geometry
        down, across = g.attrs.dilation
        yield from divide(f"{x}_tap", f"{x}_channel", index, g.channels)
        yield from divide(f"{x}_r", f"{x}_s", f"{x}_tap", g.kernel[1])
        yield f"{x}_dh{mark} = int32({x}_r * {down})"
        yield f"{x}_dw{mark} = int32({x}_s * {across})"
        step = f"int32({x}_dh{mark} * {g.width} + {x}_dw{mark})"
        yield f"{x}_element{mark} = int32({step} * {g.all_channels} + {x}_channel)"


@dataclass(frozen=True)
class Gradients:
    """Output gradients that input pixel (n, h, w) is part of: by (tap, out channel).

    The tap says where in its window the pixel is, and so which window it is; where no window
    starts there (the stride steps over it), the element is zero.
    """

    name: str
    geometry: Geometry
    width: int
    follows_k: bool = True

    def place(self, free: str, mark: str) -> list[str]:
        x, g = self.name, self.geometry
        (top, _), (left, _) = g.attrs.padding
        image = g.out_height * g.out_width * g.all_outputs
        return [
            *divide(f"{x}_line", f"{x}_iw", free, g.width),
            *divide(f"{x}_image", f"{x}_ih", f"{x}_line", g.height),
            f"{x}_h{mark} = int32({x}_ih + {top})",
            f"{x}_w{mark} = int32({x}_iw + {left})",
            f"{x}_image{mark} = int32({x}_image * {image} + {x}_base)",
        ]

    def term(self, k: str, mark: str) -> list[str]:
        x, g = self.name, self.geometry
        down, across = g.attrs.dilation
        return [
            *divide(f"{x}_tap", f"{x}_channel", k, g.outputs),
            *divide(f"{x}_r", f"{x}_s", f"{x}_tap", g.kernel[1]),
            f"{x}_dh{mark} = int32({x}_r * {down})",
            f"{x}_dw{mark} = int32({x}_s * {across})",
            f"{x}_term{mark} = int32({x}_channel)",
        ]

    def element(self, free: str, k: str) -> tuple[str, str]:
        x, g = self.name, self.geometry
        down, across = g.attrs.stride
        # Windows start at these, counted in input pixels; negative ones wrap and are large.
        h, w = f"uint32({x}_h{free} - {x}_dh{k})", f"uint32({x}_w{free} - {x}_dw{k})"
        conditions = [f"{h} < {g.out_height * down}", f"{w} < {g.out_width * across}"]
        if down > 1:
            conditions.append(f"{h} % uint32({down}) == 0")
        if across > 1:
            conditions.append(f"{w} % uint32({across}) == 0")
        pixel = f"int32({h} // uint32({down}) * {g.out_width} + {w} // uint32({across}))"
        position = f"{x}_image{free} + int32({pixel} * {g.all_outputs}) + {x}_term{k}"
        return " and ".join(conditions), position


@dataclass(frozen=True)
class Taps:
    """Weights for the data gradient: in channel by (tap, out channel)."""

    name: str
    geometry: Geometry
    width: int
    follows_k: bool = False

    def place(self, free: str, mark: str) -> list[str]:
        return [f"{self.name}_column{mark} = int32({self.name}_base + {free})"]

    def term(self, k: str, mark: str) -> list[str]:
        x, g = self.name, self.geometry
        return [
            *divide(f"{x}_tap", f"{x}_output", k, g.outputs),
            f"{x}_term{mark} = int32({x}_output * {g.window} + {x}_tap * {g.channels})",
        ]

    def element(self, free: str, k: str) -> tuple[str, str]:
        return "", f"{self.name}_column{free} + {self.name}_term{k}"


def _images(name: str, geometry: Geometry, x: Value, *, follows_k: bool) -> Operand:
    """Patches of images, or the images themselves if windows are pixels."""
    channels = geometry.all_channels
    width = load_width(x, _common(geometry.channels, channels))
    if not geometry.is_pointwise:
        return Patches(name, geometry, follows_k, width)
    strides = (str(channels), "1") if follows_k else ("1", str(channels))
    return Matrix(name, *strides, width=width)


def _common(channels: int, all_channels: int) -> int:
    """Of this many elements a multiple lies in a row, and in a group of it."""
    return 4 if channels % 4 == 0 and all_channels % 4 == 0 else 1


@lowering("conv2d")
def lower_conv2d(node: Node) -> tuple[Call, ...]:
    attrs = attrs_of(node, Conv2dAttrs)
    x, w, *extras = node.inputs
    g = Geometry.of(attrs, x, w, node.output)
    product = Product(
        a=_images("a", g, x, follows_k=True),
        b=Matrix("b", str(g.window), "1", width=load_width(w, g.window)),
        rows="rows",
        columns=str(g.outputs),
        terms=str(g.window),
        sizes=("rows",),
        bases=_bases(g.channels, g.outputs * g.window),
        position=f"row * {g.all_outputs} + batch * {g.outputs} + col",
        column=f"int32(batch * {g.outputs} + col)",
    )
    rows = node.output.type.size // max(g.all_outputs, 1)
    work = Work(
        a=x,
        b=w,
        out=node.output,
        extras=tuple(extras),
        sizes=(rows,),
        rows=rows,
        columns=g.outputs,
        terms=g.window,
        count=attrs.groups,
    )
    epilogue = epilogue_of(attrs.epilogue, node.output, tuple(extras))
    return _calls("conv2d", product, work, epilogue)


@lowering("conv2d_transpose")
def lower_conv2d_transpose(node: Node) -> tuple[Call, ...]:
    attrs = attrs_of(node, Conv2dTransposeAttrs)
    y, w, *extras = node.inputs
    g = Geometry.of(attrs, node.output, w, y)
    product = Product(
        a=_gradients(g, y),
        b=Taps("b", g, load_width(w, g.channels)),
        rows="rows",
        columns=str(g.channels),
        terms=str(g.taps * g.outputs),
        sizes=("rows",),
        bases=_bases(g.outputs, g.outputs * g.window),
        position=f"row * {g.all_channels} + batch * {g.channels} + col",
        column=f"int32(batch * {g.channels} + col)",
    )
    rows = node.output.type.size // max(g.all_channels, 1)
    work = Work(
        a=y,
        b=w,
        out=node.output,
        extras=tuple(extras),
        sizes=(rows,),
        rows=rows,
        columns=g.channels,
        terms=g.taps * g.outputs,
        count=attrs.groups,
    )
    epilogue = epilogue_of(attrs.epilogue, node.output, tuple(extras))
    return _calls("conv2d_transpose", product, work, epilogue)


def _gradients(g: Geometry, y: Value) -> Operand:
    width = load_width(y, _common(g.outputs, g.all_outputs))
    if g.is_pointwise:
        return Matrix("a", str(g.all_outputs), "1", width=width)
    return Gradients("a", g, width)


@lowering("conv2d_weight_grad")
def lower_conv2d_weight_grad(node: Node) -> tuple[Call, ...]:
    attrs = attrs_of(node, Conv2dWeightGradAttrs)
    x, y = node.inputs
    g = Geometry.of(attrs, x, node.output, y)
    y_width = load_width(y, _common(g.outputs, g.all_outputs))
    product = Product(
        a=Matrix("a", "1", str(g.all_outputs), width=y_width),
        b=_images("b", g, x, follows_k=False),
        rows=str(g.outputs),
        columns=str(g.window),
        terms="terms",
        sizes=("terms",),
        bases=_bases(g.outputs, g.channels),
        position=f"int32(batch * {g.outputs} + row) * {g.window} + col",
        column="col",
    )
    terms = y.type.size // max(g.all_outputs, 1)
    work = Work(
        a=y,
        b=x,
        out=node.output,
        extras=(),
        sizes=(terms,),
        rows=g.outputs,
        columns=g.window,
        terms=terms,
        count=attrs.groups,
    )
    return _calls("conv2d_weight_grad", product, work, Epilogue())


def _bases(a_step: int, b_step: int) -> tuple[str, ...]:
    """Where the operands of group ``batch`` begin."""
    return (f"a_base = int32(batch * {a_step})", f"b_base = int32(batch * {b_step})")


def _calls(name: str, product: Product, work: Work, epilogue: Epilogue) -> tuple[Call, ...]:
    plan = choose(work.rows, work.columns, work.terms, work.count, work.a.dtype)
    return product_calls(name, product, work, plan, epilogue)
