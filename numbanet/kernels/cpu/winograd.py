"""Convolutions with windows of 3 x 3 in a quarter of the multiplications.

Images are cut into patches of 4 x 4 outputs, and those into bands, rows of patches. Some bands'
patches at a time are transformed, pixel by pixel of a patch into 36 matrices of patches by
channels; each is multiplied by the matrix of transformed weights at the same place; and the
products are transformed back (`numbanet.kernels.cpu.winograd_patch`). All of it stays in the
second-level cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from numbanet.ir import DType, Node
from numbanet.kernels.cpu.epilogue import Epilogue, kernel_from_text
from numbanet.kernels.cpu.packing import Panels, Steps, pack
from numbanet.kernels.cpu.slides import Contraction, Slide
from numbanet.kernels.cpu.vector import RegisterTile, even_heights, register_tile, vector_bytes
from numbanet.kernels.kernel import Call, Kernel, Scratch

_SIZE = 4
"""Outputs of a patch along an axis."""

_REACH = 6
"""Pixels that a patch sees along an axis."""

_PLACES = _REACH * _REACH
"""Products of a patch, for each pair of channels."""

_FEWEST = 16
"""Channels in or out: with fewer, transforms cost more than they save."""

_MANY = 32
_WASTE = {False: 1.1, True: 1.4}
"""By whether there are many channels: how many times over the outputs patches may reach, since
what lies beyond an image's edge is computed in vain."""

_FEWEST_PATCHES = 64
"""In all images: with fewer, transforming the weights costs more than is saved."""

_PATCHES = 32
_CACHED_BYTES = 320 * 1024
"""So many patches are transformed at a time, or half as many if they fill more memory."""

_TILES = 32
_FEW_TILES = 8
_BLOCKS_A_TILE = 8
"""Each tile has memory of its own, which must come into the cache first: so there are no more
than a few tiles until each has so many blocks to use it for."""

_CHUNK = 8
"""Channels of a tile when weights are transformed."""

_PAD = 64
"""Bytes between two of the 36 matrices: a power of two apart they would share cache sets."""


def suits(contraction: Contraction, slide: Slide, images: int, dtype: DType) -> bool:
    """Whether a convolution that makes all outputs gains by it."""
    both = (slide.rows, slide.columns)
    channels = (contraction.summed, contraction.lanes)
    lanes = vector_bytes() // dtype.itemsize
    if contraction.groups > 1 or any(each < _FEWEST or each % lanes for each in channels):
        return False
    if any((axis.taps, axis.step, axis.dilation) != (3, 1, 1) for axis in both):
        return False
    patches = math.prod(_patches(axis.windows) for axis in both)
    most = _WASTE[min(channels) >= _MANY] * math.prod(axis.windows for axis in both)
    return patches * _SIZE * _SIZE <= most and images * patches >= _FEWEST_PATCHES


def _patches(windows: int) -> int:
    return -(-windows // _SIZE)


@dataclass(frozen=True)
class _Form:
    """What is written into a kernel: distances that are part of the instructions.

    Attributes
    ----------
    patches : int
        That are transformed at a time.
    plane, out_plane : int
        Elements from one of the 36 matrices to the next, before and after the product.
    """

    tile: RegisterTile
    summed: int
    lanes: int
    patches: int

    @property
    def plane(self) -> int:
        return self.patches * self.summed + _PAD // self.tile.dtype.itemsize

    @property
    def out_plane(self) -> int:
        return self.patches * self.lanes + _PAD // self.tile.dtype.itemsize

    @property
    def room(self) -> int:
        """Elements of memory that a tile works in: the matrices, and pixels of a patch that
        reaches over an image's edge."""
        return _PLACES * (self.plane + self.out_plane + self.summed)


def winograd_calls(
    node: Node, contraction: Contraction, slide: Slide, epilogue: Epilogue
) -> tuple[Call, ...]:
    source, weights = node.inputs[:2]
    dtype, summed, lanes = source.dtype, contraction.summed, contraction.lanes
    down, across = _patches(slide.rows.windows), _patches(slide.columns.windows)
    bands = source.type.sizes[0] * down
    is_large = _PATCHES * _PLACES * (summed + lanes) * dtype.itemsize > _CACHED_BYTES
    most = _PATCHES // 2 if is_large else _PATCHES
    abreast = min(max(1, most // across), max(bands, 1))
    tile = register_tile(dtype, lanes, even_heights(abreast * across))
    form = _Form(tile, summed, lanes, abreast * across)
    steps = Steps(
        (3, 3, summed), (slide.weight_row, slide.weight_column, contraction.summed_stride)
    )
    packed, packing = pack(
        weights,
        batches=1,
        batch_stride=0,
        count=lanes,
        lane_stride=contraction.lane_stride,
        steps=steps,
        width=tile.columns,
        offset=slide.weight_start,
    )
    matrices = Scratch(packed.per_batch * _PLACES * summed * packed.slot * dtype.itemsize)
    blocks = -(-bands // abreast)
    numbers = {
        "tiles": min(blocks, max(_FEW_TILES, min(blocks // _BLOCKS_A_TILE, _TILES))),
        "blocks": blocks,
        "bands": bands,
        "abreast": abreast,
        "down": down,
        "across": across,
        "height": slide.rows.size,
        "width": slide.columns.size,
        "above": slide.rows.before,
        "before": slide.columns.before,
        "out_height": slide.rows.windows,
        "out_width": slide.columns.windows,
    }
    kernel = Kernel(
        "winograd",
        make_winograd,
        (form, epilogue.kernel_text(("source", "matrices", "room", *numbers))),
        (*epilogue.signature, *[f"{dtype}*"] * 3, *["int64"] * len(numbers)),
    )
    room = Scratch(max(numbers["tiles"], 1) * form.room * dtype.itemsize)
    call = Call(
        kernel,
        (*epilogue.arguments, source, matrices, room, *numbers.values()),
        tiles=numbers["tiles"],
        writes=(*epilogue.writes, len(epilogue.arguments) + 2),
        nbytes=source.type.nbytes + weights.type.nbytes + epilogue.nbytes,
        flops=2 * _PLACES * bands * across * summed * lanes,
    )
    return packing, _weights_call(packed, matrices, tile, summed, lanes), call


def _weights_call(
    packed: Panels, matrices: Scratch, tile: RegisterTile, summed: int, lanes: int
) -> Call:
    """What transforms the packed taps of each pair of channels into 36 matrices."""
    pointer = f"{tile.dtype}*"
    signature = (pointer, pointer, *["int64"] * 3)
    parameters = (tile.dtype, tile.lanes, summed * packed.slot)
    return Call(
        Kernel("winograd_weights", make_weights, parameters, signature),
        (packed.memory, matrices, summed, lanes, packed.slot),
        tiles=packed.per_batch * -(-summed // _CHUNK),
        writes=(1,),
        nbytes=(9 + _PLACES) * summed * lanes * tile.dtype.itemsize,
        flops=108 * summed * lanes,
    )


def make_weights(dtype: DType, vector: int, plane: int) -> Callable[..., None]:
    from numbanet.kernels.cpu.pointers import offset
    from numbanet.kernels.cpu.winograd_patch import patch_transform, taps

    transform = patch_transform(taps, 3, dtype, vector, (3 * plane, plane), (6 * plane, plane))

    def kernel(first, last, packed, matrices, summed, lanes, slot):
        chunks = (summed + _CHUNK - 1) // _CHUNK
        for tile in range(first, last):
            panel, start = tile // chunks, tile % chunks * _CHUNK
            source = offset(packed, 9 * panel * plane)
            target = offset(matrices, _PLACES * panel * plane)
            for k in range(start, min(start + _CHUNK, summed)):
                for j in range(0, min(slot, lanes - panel * slot), vector):
                    at = k * slot + j
                    transform(offset(source, at), 0, offset(target, at), 0)

    return kernel


def make_winograd(form: _Form, text: str) -> Callable[..., None]:
    """The kernel that ``text`` says: a block is ``abreast`` bands of outputs."""
    from numbanet.kernels.cpu.mathematics import NAMESPACE, inline
    from numbanet.kernels.cpu.memory import load, local, store
    from numbanet.kernels.cpu.pointers import offset
    from numbanet.kernels.cpu.register_tile import tile_product
    from numbanet.kernels.cpu.winograd_patch import patch_transform, pixels, windows

    dtype, vector = form.tile.dtype, form.tile.lanes
    channels, lanes, patches = form.summed, form.lanes, form.patches
    plane, out_plane, room_size = form.plane, form.out_plane, form.room
    planes, out_planes = (_REACH * plane, plane), (_REACH * out_plane, out_plane)
    forwards = patch_transform(pixels, _REACH, dtype, vector, (None, channels), planes)
    backwards = patch_transform(windows, _REACH, dtype, vector, out_planes, (None, lanes))
    to_edge = (_SIZE * vector, vector)
    edge_backwards = patch_transform(windows, _REACH, dtype, vector, out_planes, to_edge)
    product = tile_product(form.tile, a_row=channels)
    most_rows, most_columns = form.tile.rows, form.tile.columns
    row_tiles = -(-patches // most_rows)
    edge_size, zero = _SIZE * _SIZE * vector, NAMESPACE[str(dtype)](0)
    line = _REACH * channels

    @inline
    def gather(to, image, top, left, height, width):
        """The pixels of a patch that reaches over the image's edges, zeros beyond them."""
        for i in range(_REACH * line):
            store(0, to, i, zero)
        first, last = max(-left, 0), min(_REACH, width - left)
        for y in range(max(-top, 0), min(_REACH, height - top)):
            source = offset(image, ((top + y) * width + left + first) * channels)
            target = offset(to, y * line + first * channels)
            for i in range((last - first) * channels):
                store(0, target, i, load(source, i))

    @inline
    def transform(to, image, top, left, height, width, around):
        row = width * channels
        start = offset(image, (top * width + left) * channels)
        is_inside = top >= 0 and left >= 0 and top + _REACH <= height and left + _REACH <= width
        if not is_inside:
            gather(around, image, top, left, height, width)
            start, row = around, line
        for j in range(0, channels, vector):
            forwards(offset(start, j), row, offset(to, j), 0)

    @inline
    def multiply(to, of, matrices):
        for place in range(_PLACES):
            for lane in range(0, lanes, most_columns):
                count = min(most_columns, lanes - lane)
                b = offset(matrices, (lane * _PLACES + place * most_columns) * channels)
                for each in range(row_tiles):
                    row = each * patches // row_tiles
                    rows = (each + 1) * patches // row_tiles - row
                    c = offset(to, place * out_plane + row * lanes + lane)
                    a = offset(of, place * plane + row * channels)
                    product(
                        rows, count, 0, c, lanes, a, 1, 0, 0,
                        b, most_columns, 0, 0, channels, 1, 1,
                    )  # fmt: skip

    @inline
    def put(of, out, row, column, height, width, edge):
        """Store a patch of outputs at ``row`` and ``column``, as far as there are any."""
        at = offset(out, (row * width + column) * lanes)
        down, across = min(_SIZE, height - row), min(_SIZE, width - column)
        if down == _SIZE and across == _SIZE:
            for j in range(0, lanes, vector):
                backwards(offset(of, j), 0, offset(at, j), width * lanes)
            return
        for j in range(0, lanes, vector):
            edge_backwards(offset(of, j), 0, edge, 0)
            for y in range(down):
                for x in range(across):
                    for lane in range(vector):
                        to = (y * width + x) * lanes + j + lane
                        at[to] = edge[(y * _SIZE + x) * vector + lane]

    @inline
    def parts(
        tile, source, matrices, room, tiles, blocks, bands, abreast, down, across,
        height, width, above, before, out_height, out_width,
    ):  # fmt: skip
        return range(tile * blocks // tiles, (tile + 1) * blocks // tiles)

    @inline
    def block(
        tile, part, sums, source, matrices, room, tiles, blocks, bands, abreast, down, across,
        height, width, above, before, out_height, out_width,
    ):  # fmt: skip
        edge = local(edge_size, zero)
        transformed = offset(room, tile * room_size)
        products = offset(transformed, _PLACES * plane)
        around = offset(products, _PLACES * out_plane)
        begin, end = part * abreast, min((part + 1) * abreast, bands)
        for band in range(begin, end):
            image = offset(source, band // down * height * width * channels)
            top = band % down * _SIZE - above
            for x in range(across):
                to = offset(transformed, ((band - begin) * across + x) * channels)
                transform(to, image, top, x * _SIZE - before, height, width, around)

        multiply(products, transformed, matrices)

        for band in range(begin, end):
            out = offset(sums, band // down * out_height * out_width * lanes)
            row = band % down * _SIZE
            for x in range(across):
                of = offset(products, ((band - begin) * across + x) * lanes)
                put(of, out, row, x * _SIZE, out_height, out_width, edge)
        first = (begin // down * out_height + begin % down * _SIZE) * out_width
        last = (end // down * out_height + end % down * _SIZE) * out_width
        return first * lanes, last - first, lanes, 0, lanes

    return kernel_from_text(text, parts, block)
