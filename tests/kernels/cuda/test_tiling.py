"""How products are cut up: what is chosen for which sizes."""

import pytest

from numbanet.ir import DType
from numbanet.kernels.cuda.tiling import choose, tilings

F32 = DType.FLOAT32
PIXELS = 128 * 32 * 32
CONVOLUTIONS = {
    # output pixels, output channels, taps times input channels: rows and columns of a tile
    "16 channels": ((PIXELS, 16, 144), (128, 16)),
    "32 channels": ((PIXELS // 4, 32, 288), (128, 32)),
    "64 channels, few pixels": ((PIXELS // 16, 64, 576), (64, 64)),
    "64 channels": ((PIXELS, 64, 576), (128, 64)),
    "128 channels": ((PIXELS // 4, 128, 1152), (128, 128)),
    "256 channels": ((PIXELS // 16, 256, 2304), (128, 128)),
    "strides": ((PIXELS // 4, 128, 576), (128, 128)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_measured_convolutions_are_whole_and_lose_no_columns(name):
    sizes, tile = CONVOLUTIONS[name]
    plan = choose(*sizes, 1, F32, is_measured=True)
    assert (plan.tiling.rows, plan.tiling.columns) == tile
    assert plan.splits == 1
    assert sizes[1] % plan.tiling.columns == 0


def test_to_be_measured_is_a_reason_not_to_split():
    sizes = (PIXELS // 16, 64, 576)
    assert choose(*sizes, 1, F32).splits == 2
    assert choose(*sizes, 1, F32, is_measured=True).splits == 1


def test_few_pixels_and_many_terms_are_split_all_the_same():
    assert choose(16, 64, 4608, 1, F32, is_measured=True).splits > 1


def test_small_matrices_have_small_tiles_that_can_join_others():
    for rows in (1, 64, 1024):
        tiling = choose(rows, 16, 256, 1, F32).tiling
        assert tiling.thread_rows * tiling.thread_columns == 16


@pytest.mark.parametrize("dtype", [F32, DType.FLOAT64])
def test_every_thread_stores_one_column_of_a_tile(dtype):
    assert all(tiling.threads % tiling.columns == 0 for tiling in tilings(dtype))
