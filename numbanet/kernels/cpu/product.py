"""The kernel of a product: blocks of panels, each summed up in registers tile by tile."""

from __future__ import annotations

from collections.abc import Callable

from numbanet.kernels.cpu.epilogue import kernel_from_text
from numbanet.kernels.cpu.vector import RegisterTile

_DEPTH = 384
"""Steps that are summed before moving on to another panel: panels of so many stay in the
first-level cache. The sums so far then rest in the result."""


def make_matmul(
    tile: RegisterTile, a_is_rows: bool, text: str, own_columns: int
) -> Callable[..., None]:
    """The kernel that ``text`` says, for a register tile and an order of the left operand.

    Of ``total`` steps of the sum, ``depth`` are one matrix's. Products with a single row read
    the right operand as fast as it comes, without being told what is next.
    """
    from numbanet.kernels.cpu.mathematics import inline
    from numbanet.kernels.cpu.pointers import offset
    from numbanet.kernels.cpu.register_tile import tile_product

    product = tile_product(tile, a_row=None if a_is_rows else 1, fetches_ahead=tile.rows > 1)
    heights, most_rows, most_columns = tile.heights, tile.rows, tile.columns

    @inline
    def panel_product(count, width, add, c, columns, a, a_lane, a_step, b, b_step, depth):
        """Rows of one panel, in as few register tiles as there are heights for."""
        row = 0
        free = a_lane if a_is_rows else a_step
        while row < count:
            rows = 1
            for height in heights:
                if height <= count - row:
                    rows = height
                    break
            product(
                rows, width, add, offset(c, row * columns), columns,
                offset(a, row * a_lane), free, 0, 0, b, b_step, 0, 0, depth, 1, 1,
            )  # fmt: skip
            row += rows

    @inline
    def parts(tile, *arguments):
        return range(1)

    @inline
    def block(
        tile, part, sums, a, b, rows, columns, depth, total, height, width, inner_batch,
        sums_start,
        a_start, a_outer, a_inner, a_panel, a_lane, a_step,
        b_start, b_outer, b_inner, b_panel, b_lane, b_step,
    ):  # fmt: skip
        row_panels = (rows + most_rows - 1) // most_rows
        column_panels = (columns + most_columns - 1) // most_columns
        row_blocks = (row_panels + height - 1) // height
        column_blocks = (column_panels + width - 1) // width
        matrix = tile // (row_blocks * column_blocks)
        top = tile % row_blocks * height
        left = tile // row_blocks % column_blocks * width
        bottom = min(top + height, row_panels)
        right = min(left + width, column_panels)
        outer, inner = matrix // inner_batch, matrix % inner_batch
        a = offset(a, a_start + outer * a_outer + inner * a_inner)
        b = offset(b, b_start + outer * b_outer + inner * b_inner)
        start = sums_start + matrix * rows * columns
        depth = min(depth, total - matrix * depth)
        # Where the block's sums begin, and how long their rows are.
        line = own_columns if own_columns else columns
        row, column = top * most_rows, left * most_columns
        at = start + row * columns + column
        place = offset(sums, 0 if own_columns else at)
        for k in range(0, depth, _DEPTH):
            steps = min(_DEPTH, depth - k)
            for j in range(left, right):
                panel = (j - left) * most_columns
                for i in range(top, bottom):
                    panel_product(
                        min(most_rows, rows - i * most_rows),
                        min(most_columns, columns - j * most_columns), k,
                        offset(place, (i - top) * most_rows * line + panel), line,
                        offset(a, i * a_panel + k * a_step), a_lane, a_step,
                        offset(b, j * b_panel + k * b_step), b_step, steps,
                    )  # fmt: skip
        block_height = min(bottom * most_rows, rows) - row
        block_width = min(right * most_columns, columns) - column
        if depth == 0:
            for i in range(block_height):
                for j in range(block_width):
                    place[i * line + j] = 0
        return at, block_height, block_width, column, columns

    return kernel_from_text(text, parts, block)
