"""The tiles of other processors than this one: LLVM translates any width of vector."""

import numpy as np
import pytest

from numbanet.ir import DType
from numbanet.kernels.cpu.compile import run_kernel
from numbanet.kernels.cpu.vector import RegisterTile
from numbanet.kernels.kernel import Kernel

TILES = {
    "avx2": RegisterTile(DType.FLOAT32, 8, (6, 4, 2, 1), (4, 3, 2, 1), 2),
    "avx2 double": RegisterTile(DType.FLOAT64, 4, (6, 1), (4, 3), 2),
    "neon": RegisterTile(DType.FLOAT32, 4, (7, 4, 2, 1), (6, 5, 3, 2), 3),
    "sse2": RegisterTile(DType.FLOAT32, 4, (6, 1), (4, 1), 2),
}


def make_product(tile, a_row, is_lanewise, fetches_ahead):
    from numbanet.kernels.cpu.register_tile import tile_product

    product = tile_product(
        tile, a_row=a_row, is_lanewise=is_lanewise, fetches_ahead=fetches_ahead
    )

    def kernel(first, last, c, a, b, rows, columns, c_row, a_free, depth, add):
        product(
            rows, columns, add, c, c_row, a, a_free, a_free * depth, 0, b, columns,
            columns * depth, 0, depth, 2, 1,
        )  # fmt: skip

    return kernel


def run(
    tile, a_row, rows, columns, depth, c, a, b, a_free, add=0, is_lanewise=False, fetches=False
):  # fmt: skip
    pointer = f"{tile.dtype}*"
    signature = (pointer, pointer, pointer, *["int64"] * 6)
    kernel = Kernel("product", make_product, (tile, a_row, is_lanewise, fetches), signature)
    run_kernel(kernel, (c, a, b, rows, columns, c.shape[1], a_free, depth, add), 1)


def columns_of(tile, width):
    return width // 2 * tile.lanes + width % 2 * (tile.lanes - 1)


@pytest.mark.parametrize("fetches", [False, True])
@pytest.mark.parametrize("name", TILES)
def test_every_height_and_width(name, fetches):
    """The summed index has two levels here: twice ``depth`` steps."""
    tile = TILES[name]
    dtype = tile.dtype.numpy
    rng = np.random.default_rng(0)
    depth = 5
    for rows in tile.heights:
        for columns in (columns_of(tile, width) for width in tile.widths):
            a = rng.standard_normal((2 * depth, rows)).astype(dtype)
            b = rng.standard_normal((2 * depth, columns)).astype(dtype)
            c = np.full((rows, columns + 3), 7, dtype)
            run(tile, 1, rows, columns, depth, c, a, b, rows, fetches=fetches)
            expected = a.T.astype(float) @ b
            np.testing.assert_allclose(c[:, :columns], expected, rtol=1e-4, atol=1e-5)
            assert (c[:, columns:] == 7).all()
            run(tile, 1, rows, columns, depth, c, a, b, rows, add=1, fetches=fetches)
            np.testing.assert_allclose(c[:, :columns], 2 * expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [6, 4, 2, 1])
def test_rows_any_distance_apart(rows):
    """Of its two levels the first is all of a row, and the second goes on ``a_free * depth``
    further, where the next rows are."""
    tile, depth, columns = TILES["avx2"], 3, 16
    rng = np.random.default_rng(1)
    a = rng.standard_normal((rows * (depth + 1), 5)).astype("float32")
    b = rng.standard_normal((2 * depth, columns)).astype("float32")
    c = np.zeros((rows, columns), "float32")
    run(tile, None, rows, columns, depth, c, a, b, 5)
    first, second = a[:rows, :depth], a[depth : depth + rows, :depth]
    np.testing.assert_allclose(c, first @ b[:depth] + second @ b[depth:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("columns", [16, 15, 8, 7])
def test_lanewise_products(columns):
    tile, depth, rows = TILES["avx2"], 4, 6
    rng = np.random.default_rng(2)
    a = rng.standard_normal((2 * depth + rows, columns)).astype("float32")
    b = rng.standard_normal((2 * depth, columns)).astype("float32")
    c = np.zeros((rows, columns), "float32")
    run(tile, columns, rows, columns, depth, c, a, b, columns, is_lanewise=True)
    expected = [np.sum(a[i : i + 2 * depth] * b, axis=0) for i in range(rows)]
    np.testing.assert_allclose(c, expected, rtol=1e-4, atol=1e-5)


def make_transpose(dtype, lanes):
    from numbanet.kernels.cpu.register_transpose import transpose_square

    transpose = transpose_square(dtype, lanes)

    def kernel(first, last, target, source, rows):
        transpose(target, lanes, source, lanes, rows)

    return kernel


@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.FLOAT64])
@pytest.mark.parametrize("lanes", [2, 4, 8, 16])
def test_transposed_squares(dtype, lanes):
    source = np.arange(lanes * lanes, dtype=dtype.numpy).reshape(lanes, lanes)
    target = np.zeros_like(source)
    pointer = f"{dtype}*"
    kernel = Kernel("transpose", make_transpose, (dtype, lanes), (pointer, pointer, "int64"))
    run_kernel(kernel, (target, source, lanes), 1)
    np.testing.assert_array_equal(target, source.T)
    target[...] = 0
    run_kernel(kernel, (target, source, lanes - 1), 1)
    np.testing.assert_array_equal(target[:, : lanes - 1], source.T[:, : lanes - 1])
