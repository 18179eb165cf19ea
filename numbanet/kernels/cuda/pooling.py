"""Pooling of channels-last images: a thread for each element of the result.

The backward passes gather: a pixel looks at the windows that it lies in, in their order, so
that nothing is added atomically. All sizes but the number of images are constants of the text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from numbanet.ir import Node, Value
from numbanet.ir.op import attrs_of
from numbanet.kernels.cuda import tuning
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.indices import unravel
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.sizes import check_sizes
from numbanet.kernels.kernel import Call, Kernel
from numbanet.ops.pooling import AvgPoolAttrs, AvgPoolGradAttrs, PoolAttrs


@dataclass(frozen=True)
class _Pool:
    """Sizes of a pooling, without the number of images."""

    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    attrs: PoolAttrs

    @classmethod
    def of(cls, attrs: PoolAttrs, x: Value, y: Value) -> _Pool:
        _, height, width, channels = x.type.sizes
        _, out_height, out_width, _ = y.type.sizes
        return cls(height, width, channels, out_height, out_width, attrs)

    def pooled(self) -> Iterator[str]:
        """Which pixel of the result ``element`` is, and what its window sees."""
        sizes = {"oh": self.out_height, "ow": self.out_width, "channel": self.channels}
        yield from unravel("element", "image", sizes)
        yield from self.seen()

    def seen(self) -> Iterator[str]:
        """Window (oh, ow): it starts at (h, w) and sees rows from r0 to r1 of its own, and
        columns from s0 to s1; the others are padding."""
        (top, _), (left, _) = self.attrs.padding
        (down, across), (rows, columns) = self.attrs.stride, self.attrs.window
        yield f"h = int32(oh * {down} - {top})"
        yield f"w = int32(ow * {across} - {left})"
        yield "r0 = int32(max(int32(0), int32(-h)))"
        yield "s0 = int32(max(int32(0), int32(-w)))"
        yield f"r1 = int32(min(int32({rows}), int32({self.height} - h)))"
        yield f"s1 = int32(min(int32({columns}), int32({self.width} - w)))"

    def pixel(self) -> Iterator[str]:
        """Which pixel of the images ``element`` is, and the windows that it lies in: from
        (oh0, ow0) to (oh1, ow1)."""
        sizes = {"ih": self.height, "iw": self.width, "channel": self.channels}
        yield from unravel("element", "image", sizes)
        attrs, outputs = self.attrs, (self.out_height, self.out_width)
        axes = zip("hw", attrs.padding, attrs.window, attrs.stride, outputs, strict=True)
        for axis, (before, _), window, stride, count in axes:
            # Windows that start at or before the pixel, and end at or behind it.
            behind = f"i{axis} + {before - window + stride}"
            yield f"o{axis}0 = int32(max(int32(0), int32({behind})) // {stride})"
            last = f"int32((i{axis} + {before}) // {stride})"
            yield f"o{axis}1 = int32(min(int32({count - 1}), {last}) + 1)"

    def image_position(self, h: str, w: str) -> str:
        line = f"int32(image * {self.height} + {h}) * {self.width} + {w}"
        return f"int32(int32({line}) * {self.channels} + channel)"

    @property
    def pooled_position(self) -> str:
        line = f"int32(image * {self.out_height} + oh) * {self.out_width} + ow"
        return f"int32(int32({line}) * {self.channels} + channel)"

    @property
    def count(self) -> str:
        """What an average divides a window's sum by."""
        attrs = self.attrs
        if isinstance(attrs, AvgPoolAttrs) and attrs.count_include_pad:
            return f"{math.prod(attrs.window)}"
        return "int32((r1 - r0) * (s1 - s0))"


@lowering("max_pool2d")
def lower_max_pool2d(node: Node) -> tuple[Call, ...]:
    pool = _Pool.of(attrs_of(node, PoolAttrs), node.inputs[0], node.output)
    real = str(node.output.dtype)
    body = [
        *pool.pooled(),
        f"best = {real}(-inf)",
        *_each("r", "r0", "r1", _each("s", "s0", "s1", _keep_larger(pool))),
        "out[element] = best",
    ]
    return _call(node, ("x",), body)


def _keep_larger(pool: _Pool) -> Iterator[str]:
    yield f"value = x[{pool.image_position('h + r', 'w + s')}]"
    # A value that differs from itself is NaN: it stays, for nothing is larger.
    yield "best = value if value > best or value != value else best"


@lowering("max_pool2d_grad")
def lower_max_pool2d_grad(node: Node) -> tuple[Call, ...]:
    """The first pixel of a window that equals its maximum takes the window's gradient."""
    pool = _Pool.of(attrs_of(node, PoolAttrs), node.inputs[0], node.inputs[1])
    real = str(node.output.dtype)
    body = [
        *pool.pixel(),
        f"total = {real}(0)",
        "value = x[element]",
        *_each("oh", "oh0", "oh1", _each("ow", "ow0", "ow1", _take_if_first(pool))),
        "out[element] = total",
    ]
    return _call(node, ("x", "y", "g"), body)


def _take_if_first(pool: _Pool) -> Iterator[str]:
    yield f"at = {pool.pooled_position}"
    yield "if value == y[at]:"
    yield from _indent(pool.seen())
    yield "    is_first = True"
    # Pixels of the window before this one: all of earlier rows, and the left part of its row.
    yield "    stop = int32(iw - w)"
    earlier = [
        f"if x[{pool.image_position('h + r', 'w + s')}] == value:",
        "    is_first = False",
    ]
    row = [
        "s_end = int32(stop if r == ih - h else s1)",
        *_each("s", "s0", "s_end", earlier),
    ]
    yield from _indent(_each("r", "r0", "int32(ih - h + 1)", row))
    yield "    if is_first:"
    yield "        total = total + g[at]"


@lowering("avg_pool2d")
def lower_avg_pool2d(node: Node) -> tuple[Call, ...]:
    pool = _Pool.of(attrs_of(node, AvgPoolAttrs), node.inputs[0], node.output)
    real = str(node.output.dtype)
    add = [f"total = total + x[{pool.image_position('h + r', 'w + s')}]"]
    body = [
        *pool.pooled(),
        f"total = {real}(0)",
        *_each("r", "r0", "r1", _each("s", "s0", "s1", add)),
        f"out[element] = total / {real}({pool.count})",
    ]
    return _call(node, ("x",), body)


@lowering("avg_pool2d_grad")
def lower_avg_pool2d_grad(node: Node) -> tuple[Call, ...]:
    pool = _Pool.of(attrs_of(node, AvgPoolGradAttrs), node.output, node.inputs[0])
    real = str(node.output.dtype)
    add = [
        *pool.seen(),
        f"total = total + g[{pool.pooled_position}] / {real}({pool.count})",
    ]
    body = [
        *pool.pixel(),
        f"total = {real}(0)",
        *_each("oh", "oh0", "oh1", _each("ow", "ow0", "ow1", add)),
        "out[element] = total",
    ]
    return _call(node, ("g",), body)


def _each(name: str, first: str, end: str, body: Iterator[str] | list[str]) -> Iterator[str]:
    """A loop with a 32-bit counter."""
    yield f"{name} = int32({first})"
    yield f"while {name} < {end}:"
    yield from _indent(body)
    yield f"    {name} = int32({name} + 1)"


def _indent(lines: Iterator[str] | list[str], spaces: int = 4) -> Iterator[str]:
    for line in lines:
        yield " " * spaces + line


def _call(node: Node, names: tuple[str, ...], body: list[str]) -> tuple[Call, ...]:
    """A thread for each element of the only output, if it has any."""
    out, threads = node.output, tuning.TUNING.threads
    check_sizes(*node.inputs, out)
    size = out.type.size
    if size == 0:
        return ()
    lines = [
        f"def kernel({', '.join(names)}, out, size):",
        f"    element = int32(tile_index() * {threads} + thread_index())",
        "    if element < size:",
        *_indent(body, 8),
    ]
    kernel = Kernel(
        name=node.op.name,
        make=make_generated,
        parameters=("\n".join(lines) + "\n",),
        signature=(*(f"{value.dtype}*" for value in (*node.inputs, out)), "int32"),
        threads=threads,
    )
    call = Call(
        kernel=kernel,
        arguments=(*node.inputs, out, size),
        tiles=math.ceil(size / threads),
        writes=(len(node.inputs),),
        nbytes=sum(value.type.nbytes for value in (*node.inputs, out)),
        flops=node.op.flops(node),
    )
    return (call,)
