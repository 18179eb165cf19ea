"""Kernels compile ahead of time, are cached, and run on the simulator."""

import numpy as np
import pytest
from numba import cuda, float32

from numbanet.kernels import cache as disk
from numbanet.kernels.cuda import cache
from numbanet.kernels.cuda.compile import compile_kernel
from numbanet.kernels.cuda.intrinsics import load4, store4, thread_index, tile_index
from numbanet.kernels.cuda.simulate import launch
from numbanet.kernels.kernel import Kernel


def make_scale(threads):
    """y = 2 x, and z = whether x is positive."""

    def kernel(x, y, z, n):
        i = np.uint32(tile_index() * np.uint32(threads) + thread_index())
        if i < n:
            y[i] = x[i] * float32(2)
            z[i] = np.uint8(1) if x[i] > float32(0) else np.uint8(0)

    return kernel


def make_reverse4(threads):
    """Every four numbers in reverse, through shared memory."""
    staged_size = 4 * threads

    def kernel(x, y):
        staged = cuda.shared.array(staged_size, float32)
        t = thread_index()
        at = np.uint32(np.uint32(4) * t)
        start = np.uint32(tile_index() * np.uint32(4 * threads))
        a, b, c, d = load4(x, np.uint32(start + at))
        staged[at], staged[at + 1], staged[at + 2], staged[at + 3] = a, b, c, d
        cuda.syncthreads()
        store4(
            y, np.uint32(start + at), staged[at + 3], staged[at + 2], staged[at + 1], staged[at]
        )

    return kernel


def make_wide(threads):
    """A float64 product in the middle of a float32 kernel: a mistake."""

    def kernel(x):
        x[thread_index()] = x[thread_index()] * 0.1

    return kernel


def scale(threads):
    signature = ("float32*", "float32*", "bool*", "int32")
    return Kernel("scale", make_scale, (threads,), signature, threads)


def reverse4(threads):
    return Kernel("reverse4", make_reverse4, (threads,), ("float32*", "float32*"), threads)


def test_compiles_clean(assert_clean):
    assert_clean(scale(256))
    assert_clean(reverse4(128))


def test_the_check_finds_float64(assert_clean):
    with pytest.raises(AssertionError, match="float64"):
        assert_clean(Kernel("wide", make_wide, (32,), ("float32*",), 32))


def test_reports_what_ptxas_says():
    cubin = compile_kernel(reverse4(128), (8, 0))
    assert cubin.code.startswith(b"\x7fELF")
    assert cubin.entry == "numbanet_reverse4"
    assert 0 < cubin.registers < 64
    assert cubin.shared_bytes == 4 * 128 * 4
    assert "ld.global.v4.f32" in cubin.ptx
    assert "st.global.v4.f32" in cubin.ptx
    assert ".maxntid 128" in cubin.ptx
    assert ".target sm_80" in cubin.ptx


def test_compiles_to_the_same_text_again():
    first, second = (compile_kernel(scale(64), (8, 0)) for _ in range(2))
    assert first == second


def test_takes_cubins_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(disk.FOLDER_VARIABLE, str(tmp_path))
    cubin = cache.cached_cubin(scale(64), (8, 0))
    with monkeypatch.context() as patch:
        patch.setattr(cache, "compile_kernel", None)
        assert cache.cached_cubin(scale(64), (8, 0)) == cubin
    assert cache.cached_cubin(scale(64), (7, 5)) != cubin
    assert cache.cached_cubin(scale(128), (8, 0)) != cubin
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.simulator
def test_runs_on_the_simulator():
    x = np.array([1, -2, 3, 0, 5], np.float32)
    y = np.zeros(6, np.float32)
    z = np.full(6, True)
    launch(scale(4), (x, y, z, 5), tiles=2)
    np.testing.assert_array_equal(y, [2, -4, 6, 0, 10, 0])
    np.testing.assert_array_equal(z, [True, False, True, False, True, True])


@pytest.mark.simulator
def test_simulated_arrays_may_overlap():
    x = np.arange(16, dtype=np.float32)
    launch(reverse4(2), (x, x), tiles=2)
    np.testing.assert_array_equal(x.reshape(4, 4), np.arange(16).reshape(4, 4)[:, ::-1])


@pytest.mark.simulator
def test_simulator_finds_an_index_out_of_bounds():
    x, short, z = np.zeros(5, np.float32), np.zeros(3, np.float32), np.zeros(5, bool)
    with pytest.raises(IndexError):
        launch(scale(8), (x, short, z, 5), tiles=1)
