"""Weight gradients of convolutions: products summed over all pixels of a batch.

A weight's gradient is the sum of image pixels times gradient pixels, at the distance of the
weight's tap. Channels of one are the rows, those of the other the columns of a register tile;
neighbouring kernel columns count as channels, for they are adjacent in the image. Each tile of
the call sums up some strips into partial sums of its own, which a second call adds up.
"""

from __future__ import annotations

from collections.abc import Callable

from numbanet.ir import Node
from numbanet.ir.op import attrs_of
from numbanet.kernels.axes import axes
from numbanet.kernels.cpu.registry import lowering
from numbanet.kernels.cpu.strips import Strips
from numbanet.kernels.cpu.vector import (
    SUMS_UNDER_WAY,
    RegisterTile,
    even_heights,
    register_tile,
    vector_bytes,
)
from numbanet.kernels.kernel import Argument, Call, Kernel, Scratch
from numbanet.ops.convolution import Conv2dWeightGradAttrs

_STRIP_BYTES = 24 * 1024
"""Pixels that are summed before moving on to other channels stay in the first-level cache."""

_TILES = 32
_PARTIAL_BYTES = 1024 * 1024
"""Strips are summed in so many parts, or fewer if partial sums would take more memory."""

_SUM_ELEMENTS = 4096
"""Of a tile of the call that adds up partial sums."""


@lowering("conv2d_weight_grad")
def lower_conv2d_weight_grad(node: Node) -> tuple[Call, ...]:
    attrs = attrs_of(node, Conv2dWeightGradAttrs)
    x, g = node.inputs
    dw = node.outputs[0]
    images, _, _, channels = x.type.sizes
    lanes, taps_down, taps_across, summed = dw.type.sizes
    lanes //= attrs.groups
    dtype = x.dtype
    rows, columns = axes(attrs, x.type.sizes, dw.type.sizes, g.type.sizes)
    strips = Strips.of(images, channels, rows, columns, dtype.itemsize, _STRIP_BYTES)

    groups = attrs.groups
    is_lanewise = groups > 1 and lanes == summed == 1
    if is_lanewise:
        groups, lanes = 1, groups
    is_run = is_lanewise or (columns.dilation == 1 and groups == 1)
    run, steps_across = (taps_across * summed, 1) if is_run else (summed, taps_across)
    left, right = lanes, run
    cheaper = _cost(run, lanes, dtype.itemsize) < _cost(lanes, run, dtype.itemsize)
    is_swapped = is_lanewise or cheaper
    if is_swapped:
        left, right = right, left
    tile = register_tile(dtype, right, even_heights(left))

    size = dw.type.size
    most = max(_PARTIAL_BYTES // (size * dtype.itemsize), 1)
    chunks = min(strips.count, _TILES, most)
    a_row = columns.dilation * channels if is_lanewise else 1
    items = groups * taps_down * steps_across * -(-left // tile.rows)
    blocks = min(-(-_TILES // max(chunks, 1)), items)
    is_direct = chunks == 1 and not is_swapped
    partials: Argument = dw if is_direct else Scratch(max(chunks, 1) * dw.type.nbytes)

    slots = strips.scratch(chunks * blocks, dtype.itemsize)
    numbers = {
        **strips.numbers,
        "chunks": chunks,
        "blocks": blocks,
        "items": items,
        "column_windows": columns.windows,
        "column_step": columns.step,
        "groups": groups,
        "taps_down": taps_down,
        "steps_across": steps_across,
        "row_dilation": rows.dilation,
        "column_dilation": columns.dilation,
        "summed": summed,
        "run": run,
        "lanes": lanes,
        "window": taps_down * taps_across * summed,
    }
    pointer = f"{dtype}*"
    kernel = Kernel(
        "convolution_weight_gradient",
        make_weight_gradient,
        (tile, a_row, strips.is_copied, is_swapped, is_lanewise),
        (*[pointer] * 4, *["int64"] * len(numbers)),
    )
    calls = []
    if chunks:
        calls.append(
            Call(
                kernel,
                (partials, x, slots, g, *numbers.values()),
                tiles=chunks * blocks,
                writes=(0, 2),
                nbytes=x.type.nbytes + g.type.nbytes + dw.type.nbytes * chunks,
                flops=node.op.flops(node),
            )
        )
    if not is_direct:
        calls.append(_sum_call(node, partials, chunks, is_swapped, lanes))
    return tuple(calls)


def _cost(rows: int, columns: int, itemsize: int) -> int:
    """Of a step of the sum, in multiply-adds of a vector."""
    vectors = -(-columns * itemsize // vector_bytes())
    return max(rows * vectors, SUMS_UNDER_WAY)


def _sum_call(
    node: Node, partials: Argument, chunks: int, is_swapped: bool, lanes: int
) -> Call:
    dw = node.outputs[0]
    pointer = f"{dw.dtype}*"
    window = dw.type.size // max(dw.type.sizes[0], 1)
    return Call(
        Kernel("sum_partials", make_sum, (is_swapped,), (pointer, pointer, *["int64"] * 4)),
        (dw, partials, dw.type.size, chunks, lanes, window),
        tiles=-(-dw.type.size // _SUM_ELEMENTS),
        writes=(0,),
        nbytes=(chunks + 1) * dw.type.nbytes,
        flops=chunks * dw.type.size,
    )


def make_weight_gradient(
    tile: RegisterTile, a_row: int, is_copied: bool, is_swapped: bool, is_lanewise: bool
) -> Callable[..., None]:
    """The kernel of the partial sums: ``[out][window]``, or ``[group][window][out]`` if
    image channels are the rows of the register tile (``is_swapped``)."""
    from numbanet.kernels.cpu.mathematics import inline
    from numbanet.kernels.cpu.pointers import offset
    from numbanet.kernels.cpu.register_tile import tile_product
    from numbanet.kernels.cpu.strips import strip_reader

    product = tile_product(tile, a_row=a_row, is_lanewise=is_lanewise)
    read = strip_reader(is_copied)
    most_rows, most_columns = tile.rows, tile.columns

    @inline
    def multiply(
        top, bottom, width, add, c, c_row, a, a_pixel, a_line, b, b_pixel, b_line, pixels, lines
    ):
        """All columns of one row tile."""
        for column in range(0, width, most_columns):
            start = top * a_row + (column if is_lanewise else 0)
            product(
                bottom - top, min(most_columns, width - column), add,
                offset(c, top * c_row + column), c_row,
                offset(a, start), a_pixel, a_line, 0,
                offset(b, column), b_pixel, b_line, 0, pixels, lines, 1,
            )  # fmt: skip

    def kernel(
        first, last, partials, source, slots, gradients, strips, strips_per_image,
        strip_height, strip_size, source_height, source_width, channels, row_windows,
        row_step, rows_before, row_reach, columns_before, copied_width,
        chunks, blocks, items, column_windows, column_step, groups, taps_down, steps_across,
        row_dilation, column_dilation, summed, run, lanes, window,
    ):  # fmt: skip
        outputs = groups * lanes
        left = run if is_swapped else lanes
        width = lanes if is_swapped else run
        row_tiles = (left + most_rows - 1) // most_rows
        for tile in range(first, last):
            chunk, block = tile // blocks, tile % blocks
            sums = offset(partials, chunk * outputs * window)
            start = chunk * strips // chunks
            for strip in range(start, (chunk + 1) * strips // chunks):
                pixel, length, image, row, rows = read(
                    strip, offset(slots, tile * strip_size), source, strips,
                    strips_per_image, strip_height, strip_size, source_height, source_width,
                    channels, row_windows, row_step, rows_before, row_reach,
                    columns_before, copied_width,
                )  # fmt: skip
                at = (image * row_windows + row) * column_windows * outputs
                for item in range(block * items // blocks, (block + 1) * items // blocks):
                    row_tile = item % row_tiles
                    tap = item // row_tiles
                    i = tap % steps_across
                    j = tap // steps_across % taps_down
                    group = tap // (steps_across * taps_down)
                    top = row_tile * left // row_tiles
                    bottom = (row_tile + 1) * left // row_tiles
                    distance = j * row_dilation * length + i * column_dilation * channels
                    seen = offset(pixel, distance + group * summed)
                    gradient = offset(gradients, at + group * lanes)
                    place = (j * steps_across + i) * run
                    seen_pixel, seen_line = column_step * channels, row_step * length
                    gradient_line = column_windows * outputs
                    if is_swapped:
                        multiply(
                            top, bottom, width, strip - start,
                            offset(sums, (group * window + place) * lanes), lanes,
                            seen, seen_pixel, seen_line,
                            gradient, outputs, gradient_line, column_windows, rows,
                        )  # fmt: skip
                    else:
                        multiply(
                            top, bottom, width, strip - start,
                            offset(sums, group * lanes * window + place), window,
                            gradient, outputs, gradient_line,
                            seen, seen_pixel, seen_line, column_windows, rows,
                        )  # fmt: skip

    return kernel


def make_sum(is_swapped: bool) -> Callable[..., None]:
    """The kernel that adds up partial sums, first to last, into ``[out][window]``."""
    from numbanet.kernels.cpu.memory import load, store
    from numbanet.kernels.cpu.pointers import offset

    def kernel(first, last, sums, partials, size, chunks, lanes, window):
        for tile in range(first, last):
            start = tile * _SUM_ELEMENTS
            end = min(start + _SUM_ELEMENTS, size)
            for element in range(start, end):
                sums[element] = 0
            for chunk in range(chunks):
                partial = offset(partials, chunk * size)
                for element in range(start, end):
                    store(0, sums, element, sums[element] + load(partial, element))

    def kernel_turning(first, last, sums, partials, size, chunks, lanes, window):
        for tile in range(first, last):
            start = tile * _SUM_ELEMENTS
            for element in range(start, min(start + _SUM_ELEMENTS, size)):
                out, at = element // window, element % window
                partial = offset(partials, (out // lanes * window + at) * lanes + out % lanes)
                sums[element] = 0
                total = sums[element]
                for chunk in range(chunks):
                    total += partial[chunk * size]
                sums[element] = total

    return kernel_turning if is_swapped else kernel
