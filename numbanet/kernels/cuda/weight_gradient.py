"""The gradient of a convolution's weights: windows that slide over images, or a tiled product.

As a product, output channel by (tap, input channel) over pixels, it reads each input once for
every tap, and where channels are few its tiles are thin. So a block takes 16 input channels, 8
or 16 output channels and all taps, and walks over chunks of images: rows of inputs and of the
outputs' gradient, copied to shared memory while those before are worked on. Its warps share a
chunk's pixels, along which the window slides (`window`), and add up what they have in a fixed
order. Blocks of the same channels walk over other chunks; whoever needs the gradient adds up
their sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from numbanet.ir import Node, Value
from numbanet.ir.op import attrs_of
from numbanet.kernels.cuda.convolution import Geometry, bases, images
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.indices import divide
from numbanet.kernels.cuda.matmul import load_width
from numbanet.kernels.cuda.operands import Matrix
from numbanet.kernels.cuda.partial import (
    Work,
    added_up,
    in_slices,
    product_calls,
    scratch_for,
)
from numbanet.kernels.cuda.product import Epilogue, Product
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.sizes import MOST_ELEMENTS, check_sizes
from numbanet.kernels.cuda.sliding import LIMITS, Sliding, sliding
from numbanet.kernels.cuda.tiling import choose
from numbanet.kernels.cuda.window import add_for, put_for, slide_for, zeros_for
from numbanet.kernels.kernel import Call, Kernel, Slices
from numbanet.ops.convolution import Conv2dWeightGradAttrs


@lowering("conv2d_weight_grad")
def lower_conv2d_weight_grad(node: Node) -> tuple[Call, ...]:
    attrs = attrs_of(node, Conv2dWeightGradAttrs)
    x, y = node.inputs
    g = Geometry.of(attrs, x, node.output, y)
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
    cut = sliding(g, x, y)
    if cut is None:
        plan = choose(g.outputs, g.window, terms, attrs.groups, y.dtype)
        return product_calls("conv2d_weight_grad", _product(g, x, y), work, plan, Epilogue())
    slices = slide(cut, work)
    if slices.count == 1:
        (call,) = slices.calls
        arguments = list(call.arguments)
        arguments[2] = node.output
        return (replace(call, arguments=tuple(arguments)),)
    return added_up(slices)


def _product(g: Geometry, x: Value, y: Value) -> Product:
    y_width = load_width(y, 4 if g.outputs % 4 == 0 and g.all_outputs % 4 == 0 else 1)
    return Product(
        a=Matrix("a", "1", str(g.all_outputs), width=y_width),
        b=images("b", x, g.rows, g.columns, g.channels, follows_k=False),
        rows=str(g.outputs),
        columns=str(g.window),
        terms="terms",
        sizes=("terms",),
        bases=bases(g.outputs, g.channels),
        position=f"int32(batch * {g.outputs} + row) * {g.window} + col",
        column="col",
    )


def slide(cut: Sliding, work: Work) -> Slices:
    """The sums over as many parts of the images as fill the machine."""
    check_sizes(work.a, work.b, work.out)
    size = work.out.type.size
    chunks = work.b.type.sizes[0] * cut.bands * cut.strips
    wanted = LIMITS.threads // (cut.threads * cut.blocks)
    most = max(1, min(wanted, MOST_ELEMENTS // size))
    each = math.ceil(chunks / most)
    splits = math.ceil(chunks / each)
    memory = scratch_for(size, splits, work.out.dtype)
    kernel = Kernel(
        name=f"conv2d_weight_grad_slide_{cut.pixels}",
        make=make_generated,
        parameters=(SlidingSource(cut),),
        signature=(*["float32*"] * 3, *["int32"] * 3),
        threads=cut.threads,
    )
    call = Call(
        kernel=kernel,
        arguments=(work.b, work.a, memory, chunks, each, size),
        tiles=cut.blocks * splits,
        writes=(2,),
        nbytes=work.nbytes,
        flops=work.flops,
    )
    return in_slices(call, memory, work.out)


@dataclass(frozen=True)
class SlidingSource:
    """Text of ``kernel(x, y, out, chunks, each, out_size)``: block (channels, split) does
    ``each`` chunks from ``split * each`` on."""

    cut: Sliding

    is_heavy = True

    @property
    def text(self) -> str:
        parts = (self._start(), self._walk(), self._meet(), self._leave())
        lines = [f"    {line}" for part in parts for line in part]
        return "\n".join(["def kernel(x, y, out, chunks, each, out_size):", *lines]) + "\n"

    def functions(self) -> dict[str, Any]:
        window, apart = self.cut.window, self.cut.lanes
        return {
            "zeros": zeros_for(window),
            "slide": slide_for(window),
            "put": put_for(window, apart),
            "add": add_for(window, apart),
        }

    def _start(self) -> Iterator[str]:
        cut, g = self.cut, self.cut.geometry
        yield f"shared = cuda.shared.array({cut.shared}, float32, ALIGNMENT)"
        yield "thread = thread_index()"
        yield f"lane = uint32(thread % {cut.lanes})"
        yield f"warp = int32(thread // {cut.lanes})"
        yield from divide("split", "block", "tile_index()", cut.blocks)
        yield from divide("rest", "in_block", "block", g.channels // cut.inputs)
        yield from divide("group", "out_block", "rest", g.outputs // cut.outputs)
        yield f"first_in = int32(in_block * {cut.inputs})"
        yield f"first_out = int32(group * {g.outputs} + out_block * {cut.outputs})"
        yield f"x_at = uint64(lane % {cut.inputs})"
        yield f"y_at = uint64({cut.x_size} + lane // {cut.inputs} * {cut.thread_outputs})"
        channel = f"group * {g.channels} + first_in"
        yield from self._places("x", cut.inputs, cut.x_columns, g.columns.size, channel)
        yield from self._places(
            "y", cut.outputs, cut.columns, g.columns.windows, "first_out", cut.x_size
        )

    def _places(
        self, name: str, channels: int, columns: int, width: int, first: str, base: int = 0
    ) -> Iterator[str]:
        """Which quads of a chunk a thread copies: row, column, distance from the chunk's first
        pixel, and place in shared memory, where they lie as they are counted."""
        g = self.cut.geometry
        pixel = g.all_channels if name == "x" else g.all_outputs
        for i in range(self._quads(name)[1]):
            yield f"{name}_item{i} = uint32(thread + {i * self.cut.threads})"
            yield from divide("place", "quad", f"{name}_item{i}", channels // 4)
            yield from divide("down", "across", "place", columns)
            yield f"{name}_row{i} = int32(down)"
            yield f"{name}_column{i} = int32(across)"
            where = f"int32(int32(down * {width} + across) * {pixel} + {first})"
            yield f"{name}_from{i} = int32({where} + quad * 4)"
            yield f"{name}_to{i} = uint64({base} + {name}_item{i} * 4)"

    def _quads(self, name: str) -> tuple[int, int]:
        """Quads of a chunk, and how many of them a thread has at most."""
        quads = (self.cut.x_size if name == "x" else self.cut.y_size) // 4
        return quads, math.ceil(quads / self.cut.threads)

    def _walk(self) -> Iterator[str]:
        """Copy a chunk, and work on the one before it meanwhile."""
        yield "sums = zeros(float32(0))"
        yield "stop = int32(min(int32(split * each + each), chunks))"
        yield "chunk = int32(split * each - 1)"
        yield "first = int32(chunk + 1)"
        yield "stage = uint64(0)"
        yield "height = int32(0)"
        yield "while chunk < stop:"
        yield "    to_come = int32(chunk + 1)"
        yield "    next_height = int32(0)"
        yield "    if to_come < stop:"
        yield from _indent(self._copy(), 8)
        yield "    if chunk >= first:"
        yield f"        at = uint64((1 - stage) * {self.cut.stage})"
        yield from _indent(self._slide(), 8)
        yield "    finish_copies()"
        yield "    cuda.syncthreads()"
        yield "    stage = uint64(1 - stage)"
        yield "    height = next_height"
        yield "    chunk = to_come"

    def _copy(self) -> Iterator[str]:
        cut, g = self.cut, self.cut.geometry
        rows, columns = g.rows, g.columns
        yield from divide("image", "part", "to_come", cut.bands * cut.strips)
        yield from divide("band", "strip", "part", cut.strips)
        yield f"top = int32(band * {cut.rows})"
        yield f"left = int32(strip * {cut.columns})"
        yield f"next_height = int32(min(int32({cut.rows}), int32({rows.windows} - top)))"
        yield f"x_top = int32(top * {rows.step} - {rows.before})"
        yield f"x_left = int32(left * {columns.step} - {columns.before})"
        line = f"int32(int32(image * {rows.size}) + x_top) * {columns.size} + x_left"
        yield f"x_first = int32(int32({line}) * {g.all_channels})"
        line = f"int32(int32(image * {rows.windows}) + top) * {columns.windows} + left"
        yield f"y_first = int32(int32({line}) * {g.all_outputs})"
        # A negative number, taken as unsigned, is large.
        x_inside = f"uint32(x_top + x_row{{i}}) < {rows.size}"
        x_inside += f" and uint32(x_left + x_column{{i}}) < {columns.size}"
        for name, inside in (("x", x_inside), ("y", "y_row{i} < next_height")):
            quads, count = self._quads(name)
            for i in range(count):
                yield f"inside = {inside.format(i=i)}"
                to = f"uint64(stage * {cut.stage} + {name}_to{i})"
                copy = (
                    f"copy4(shared, {to}, {name}, int32({name}_first + {name}_from{i}), inside)"
                )
                if (i + 1) * cut.threads > quads:
                    yield f"if {name}_item{i} < {quads}:"
                    yield f"    {copy}"
                else:
                    yield copy

    def _slide(self) -> Iterator[str]:
        """Segment after segment of the chunk's rows; those beyond the last row are not done,
        as zero times what an input may hold need not be zero."""
        cut, g = self.cut, self.cut.geometry
        down = g.rows.step * cut.x_columns * cut.inputs
        across = cut.pixels * g.columns.step * cut.inputs
        yield "segment = int32(warp)"
        yield f"while segment < int32(height * {cut.per_row}):"
        yield from _indent(divide("line", "piece", "segment", cut.per_row))
        yield f"    x_here = uint64(at + x_at + line * {down} + piece * {across})"
        down, across = cut.columns * cut.outputs, cut.pixels * cut.outputs
        yield f"    y_here = uint64(at + y_at + line * {down} + piece * {across})"
        yield "    sums = slide(sums, shared, x_here, y_here)"
        yield f"    segment = int32(segment + {cut.warps})"

    def _meet(self) -> Iterator[str]:
        """Leave in the first warp's slot the sums of all warps, the upper half of which gives
        its own to the lower."""
        slot, left = self.cut.slot, self.cut.warps
        while left > 1:
            kept = (left + 1) // 2
            yield f"if warp >= {kept} and warp < {left}:"
            yield f"    put(sums, shared, uint64((warp - {kept}) * {slot} + lane))"
            yield "cuda.syncthreads()"
            yield f"if warp < {left - kept}:"
            yield f"    sums = add(sums, shared, uint64(warp * {slot} + lane))"
            yield "cuda.syncthreads()"
            left = kept
        yield "if warp == 0:"
        yield "    put(sums, shared, uint64(lane))"
        yield "cuda.syncthreads()"

    def _leave(self) -> Iterator[str]:
        cut, g = self.cut, self.cut.geometry
        taps, outs = cut.window.taps, cut.thread_outputs
        yield "item = uint32(thread)"
        yield f"while item < {cut.outputs * taps * cut.inputs}:"
        yield from _indent(divide("rest", "m", "item", cut.inputs))
        yield from _indent(divide("o", "tap", "rest", taps))
        yield from _indent(divide("half", "own", "o", outs))
        lane = f"half * {cut.inputs} + m"
        yield f"    sum_at = uint64(int32(own * {taps} + tap) * {cut.lanes} + {lane})"
        yield f"    row = int32(int32(first_out + o) * {taps} + tap)"
        yield f"    position = int32(row * {g.channels} + first_in + m)"
        yield "    out[int32(split * out_size + position)] = shared[sum_at]"
        yield f"    item = uint32(item + {cut.threads})"


def _indent(lines: Iterator[str], spaces: int = 4) -> Iterator[str]:
    return (" " * spaces + line for line in lines)
