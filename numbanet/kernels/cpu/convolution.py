"""Convolutions and their data gradients: windows that slide over channels-last images.

Each output pixel is a row of a product whose summed index runs over the window: kernel rows,
kernel columns, channels. The innermost loop reads the left operand right from the image (or a
padded strip of it), for output pixels next to each other are a constant distance apart there.
So no matrix of windows is ever made. Windows of 3 x 3 and many channels take Winograd's way
instead (`numbanet.kernels.cpu.winograd`).

A data gradient is a convolution of the output's gradient with the kernel turned round. Where
the convolution has a stride, it falls into as many convolutions as there are positions between
two windows, each with those taps that land there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from numbanet.ir import Node
from numbanet.ir.op import attrs_of
from numbanet.kernels.axes import axes, turn
from numbanet.kernels.cpu.epilogue import Epilogue, kernel_from_text
from numbanet.kernels.cpu.packing import Steps, pack
from numbanet.kernels.cpu.registry import lowering
from numbanet.kernels.cpu.slides import Contraction, Slide
from numbanet.kernels.cpu.strips import Strips
from numbanet.kernels.cpu.vector import RegisterTile, even_heights, register_tile
from numbanet.kernels.cpu.winograd import suits, winograd_calls
from numbanet.kernels.kernel import Call, Kernel
from numbanet.ops.convolution import Conv2dAttrs, Conv2dTransposeAttrs


@lowering("conv2d")
def lower_conv2d(node: Node) -> tuple[Call, ...]:
    attrs = attrs_of(node, Conv2dAttrs)
    x, w, *extras = node.inputs
    y = node.outputs[0]
    channels_out, height, width, channels = w.type.sizes
    rows, columns = axes(attrs, x.type.sizes, w.type.sizes, y.type.sizes)
    window = height * width * channels
    lanes = channels_out // attrs.groups
    contraction = Contraction(attrs.groups, channels, lanes, 1, window, lanes * window)
    out_row = columns.windows * channels_out
    slide = Slide(rows, columns, 0, out_row, channels_out, 0, width * channels, channels)
    epilogue = Epilogue(attrs.epilogue, x.dtype, tuple(extras), y)
    return _slide_calls(node, contraction, [slide], epilogue)


@lowering("conv2d_transpose")
def lower_conv2d_transpose(node: Node) -> tuple[Call, ...]:
    attrs = attrs_of(node, Conv2dTransposeAttrs)
    g, w, *extras = node.inputs
    dx = node.outputs[0]
    channels_out, height, width, channels = w.type.sizes
    rows, columns = axes(attrs, dx.type.sizes, w.type.sizes, g.type.sizes)
    window = height * width * channels
    summed = channels_out // attrs.groups
    contraction = Contraction(attrs.groups, summed, channels, window, 1, summed * window)
    out_column = channels * attrs.groups
    slides = [
        Slide(
            turned_rows.axis,
            turned_columns.axis,
            (turned_rows.first * columns.size + turned_columns.first) * out_column,
            rows.step * columns.size * out_column,
            columns.step * out_column,
            (turned_rows.tap * width + turned_columns.tap) * channels,
            -turned_rows.tap_step * width * channels,
            -turned_columns.tap_step * channels,
        )
        for turned_rows, turned_columns in itertools.product(turn(rows), turn(columns))
    ]
    epilogue = Epilogue(attrs.epilogue, g.dtype, tuple(extras), dx)
    return _slide_calls(node, contraction, slides, epilogue)


def _slide_calls(
    node: Node, contraction: Contraction, slides: list[Slide], epilogue: Epilogue
) -> tuple[Call, ...]:
    """Each convolution's packing and sums; the epilogue within the one that does it all, or
    after the last."""
    if len(slides) == 1 and slides[0].is_everything:
        source = node.inputs[0].type
        if suits(contraction, slides[0], source.sizes[0], source.dtype):
            return winograd_calls(node, contraction, slides[0], epilogue)
        return _sum_calls(node, contraction, slides[0], epilogue, node.op.flops(node))
    *pixels, channels = node.outputs[0].type.sizes
    sums, calls = epilogue.sums_only(), []
    taps = sum(slide.rows.taps * slide.columns.taps for slide in slides)
    for slide in slides:
        share = slide.rows.taps * slide.columns.taps
        flops = node.op.flops(node) * share // max(taps, 1)
        calls += _sum_calls(node, contraction, slide, sums, flops)
    return (*calls, *epilogue.call(math.prod(pixels), channels))


def _sum_calls(
    node: Node, contraction: Contraction, slide: Slide, epilogue: Epilogue, flops: int
) -> tuple[Call, ...]:
    source, weights = node.inputs[:2]
    rows, columns = slide.rows, slide.columns
    is_lanewise = contraction.is_lanewise
    if is_lanewise:
        contraction = contraction.lanewise()
    images, _, _, channels = source.type.sizes
    tile = register_tile(source.dtype, contraction.lanes, even_heights(columns.windows))
    panels, packing = pack(
        weights,
        batches=contraction.groups,
        batch_stride=contraction.group_stride,
        count=contraction.lanes,
        lane_stride=contraction.lane_stride,
        steps=Steps(
            (rows.taps, columns.taps, contraction.summed),
            (slide.weight_row, slide.weight_column, contraction.summed_stride),
        ),
        width=tile.columns,
        offset=slide.weight_start,
    )
    strips = Strips.of(images, channels, rows, columns, source.dtype.itemsize)
    across = columns.dilation * channels
    window = Steps((1, columns.taps, contraction.summed), (0, across, 1))
    if not is_lanewise:
        window = window.merged()
    numbers = {
        **strips.numbers,
        "tiles": strips.tiles,
        "column_windows": columns.windows,
        "column_step": columns.step,
        "out_image": math.prod(node.outputs[0].type.sizes[1:]),
        "out_start": slide.out_start,
        "out_row": slide.out_row,
        "out_column": slide.out_column,
        "groups": contraction.groups,
        "summed": contraction.summed,
        "lanes": contraction.lanes,
        "outer": rows.taps,
        "middle": window.counts[1],
        "inner": window.counts[2],
        "row_dilation": rows.dilation,
        "middle_stride": window.strides[1],
    }
    dtype = source.dtype
    text = epilogue.kernel_text(("source", "slots", "weights", *numbers))
    kernel = Kernel(
        "convolution",
        make_convolution,
        (tile, columns.step * channels, strips.is_copied, is_lanewise, text),
        (*epilogue.signature, *[f"{dtype}*"] * 3, *["int64"] * len(numbers)),
    )
    slots = strips.scratch(strips.tiles, dtype.itemsize)
    position = len(epilogue.arguments) + 1
    call = Call(
        kernel,
        (*epilogue.arguments, source, slots, panels.memory, *numbers.values()),
        tiles=strips.tiles,
        writes=(*epilogue.writes, position),
        nbytes=source.type.nbytes + weights.type.nbytes + epilogue.nbytes,
        flops=flops,
    )
    return packing, call


def make_convolution(
    tile: RegisterTile, a_row: int, is_copied: bool, is_lanewise: bool, text: str
) -> Callable[..., None]:
    """The kernel that ``text`` says: a block is a strip of outputs, all channels of them."""
    from numbanet.kernels.cpu.mathematics import inline
    from numbanet.kernels.cpu.pointers import offset
    from numbanet.kernels.cpu.register_tile import tile_product
    from numbanet.kernels.cpu.strips import strip_reader

    product = tile_product(tile, a_row=a_row, is_lanewise=is_lanewise)
    read = strip_reader(is_copied)
    most_rows, most_columns = tile.rows, tile.columns

    @inline
    def clear(out, rows, out_row, column_windows, out_column, channels):
        for y in range(rows):
            for x in range(column_windows):
                for channel in range(channels):
                    out[y * out_row + x * out_column + channel] = 0

    @inline
    def parts(
        tile, source, slots, weights, strips, strips_per_image, strip_height, strip_size,
        source_height, source_width, channels, row_windows, row_step, rows_before, row_reach,
        columns_before, copied_width, tiles, column_windows, column_step,
        out_image, out_start, out_row, out_column, groups, summed, lanes,
        outer, middle, inner, row_dilation, middle_stride,
    ):  # fmt: skip
        return range(tile * strips // tiles, (tile + 1) * strips // tiles)

    @inline
    def block(
        tile, part, sums, source, slots, weights, strips, strips_per_image, strip_height,
        strip_size, source_height, source_width, channels, row_windows, row_step, rows_before,
        row_reach, columns_before, copied_width, tiles, column_windows, column_step,
        out_image, out_start, out_row, out_column, groups, summed, lanes,
        outer, middle, inner, row_dilation, middle_stride,
    ):  # fmt: skip
        first, length, image, row, rows = read(
            part, offset(slots, tile * strip_size), source, strips, strips_per_image,
            strip_height, strip_size, source_height, source_width, channels, row_windows,
            row_step, rows_before, row_reach, columns_before, copied_width,
        )  # fmt: skip
        at = image * out_image + out_start + row * out_row
        out = offset(sums, at)
        depth = outer * middle * inner
        if depth == 0:
            clear(out, rows, out_row, column_windows, out_column, groups * lanes)
            return at, rows * column_windows, out_column, 0, out_column
        panels = (lanes + most_columns - 1) // most_columns
        row_tiles = (column_windows + most_rows - 1) // most_rows
        for group in range(groups):
            for panel in range(panels):
                lane = panel * most_columns
                width = min(most_columns, lanes - lane)
                b = offset(weights, (group * panels + panel) * depth * most_columns)
                channel = lane if is_lanewise else group * summed
                for y in range(rows):
                    line = offset(first, y * row_step * length + channel)
                    to = offset(out, y * out_row + group * lanes + lane)
                    for each in range(row_tiles):
                        x = each * column_windows // row_tiles
                        count = (each + 1) * column_windows // row_tiles - x
                        product(
                            count, width, 0, offset(to, x * out_column), out_column,
                            offset(line, x * a_row), 1, middle_stride,
                            row_dilation * length, b, most_columns, inner * most_columns,
                            middle * inner * most_columns, inner, middle, outer,
                        )  # fmt: skip
        return at, rows * column_windows, out_column, 0, out_column

    return kernel_from_text(text, parts, block)
