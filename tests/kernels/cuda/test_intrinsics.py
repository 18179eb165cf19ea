"""What threads exchange: the simulator's twins do it as the lanes of a warp do."""

import numpy as np
import pytest

from numbanet.kernels.cuda import tuning
from numbanet.kernels.cuda.compile import compile_kernel
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.instructions import INSTRUCTIONS
from numbanet.kernels.cuda.simulate import launch
from numbanet.kernels.kernel import Kernel

TEXT = """
def kernel(x, y):
    i = thread_index()
    y[i] = shuffle_down(x[i], {delta})
"""


def shuffling(dtype, delta, threads):
    signature = (f"{dtype}*", f"{dtype}*")
    text = TEXT.format(delta=delta)
    return Kernel("shuffle", make_generated, (text,), signature, threads)


@pytest.mark.simulator
@pytest.mark.parametrize("delta", [0, 1, 2, 3])
def test_a_lane_gets_what_a_later_one_of_its_warp_has(delta):
    warp = tuning.TUNING.warp
    x = np.arange(3 * warp, dtype=np.float32)
    y = np.empty_like(x)
    launch(shuffling("float32", delta, x.size), [x, y], 1)
    lanes = np.arange(x.size)
    is_inside = lanes % warp + delta < warp
    np.testing.assert_array_equal(y, np.where(is_inside, lanes + delta, lanes))


@pytest.mark.simulator
def test_blocks_do_not_see_each_other_s_lanes():
    kernel = shuffling("int64", 1, 4)
    for first in (0, 10):
        x = np.arange(first, first + 4)
        y = np.full(4, -1)
        launch(kernel, [x, y], 2)
        np.testing.assert_array_equal(y, first + np.array([1, 2, 3, 3]))


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", "float64"])
def test_shuffles_are_the_machine_s(dtype):
    cubin = compile_kernel(shuffling(dtype, 16, 32), (7, 5))
    words = np.dtype(dtype).itemsize // 4
    assert cubin.ptx.count("shfl.sync.down.b32") == words
    assert cubin.shared_bytes == cubin.spill_bytes == 0


COPY = """
def kernel(x, y):
    shared = cuda.shared.array(16, float32, ALIGNMENT)
    i = thread_index()
    copy4(shared, uint64(12 - i * 4), x, int32(i * 4), i != 2)
    finish_copies()
    cuda.syncthreads()
    for j in range(4):
        y[4 * i + j] = shared[4 * i + j]
"""
COPYING = Kernel("copying", make_generated, (COPY,), ("float32*", "float32*"), 4)


@pytest.mark.simulator
def test_copies_to_shared_memory_are_quads_or_zeros():
    x = np.arange(16, dtype=np.float32)
    y = np.full_like(x, np.nan)
    launch(COPYING, [x, y], 1)
    np.testing.assert_array_equal(y, [*x[12:], *[0] * 4, *x[4:8], *x[:4]])


@pytest.mark.parametrize("cc", [(7, 5), (8, 0), (12, 0)])
def test_copies_do_not_wait_where_the_gpu_can_do_without(assert_clean, cc):
    assert_clean(COPYING)
    ptx = compile_kernel(COPYING, cc).ptx
    assert ("cp.async.cg.shared.global" in ptx) == (cc >= (8, 0))
    assert ("cp.async.wait_all" in ptx) == (cc >= (8, 0))
    assert not any(f"numbanet.{name}" in ptx for name in INSTRUCTIONS)
