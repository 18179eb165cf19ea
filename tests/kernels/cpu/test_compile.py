"""Compiling kernels for the CPU: signatures, floating-point rules, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import float32, int32, njit
from numba.core.errors import TypingError

from numbanet.errors import VerificationError
from numbanet.kernels.cpu import pointers
from numbanet.kernels.cpu.compile import compile_kernel, run_kernel
from numbanet.kernels.cpu.machine import host
from numbanet.kernels.cpu.translate import object_code
from numbanet.kernels.kernel import Kernel


def make_scale(factor):
    def kernel(first, last, x, y, n, offset):
        for i in range(first, min(last, n)):
            y[i] = x[i] * factor + offset

    return kernel


SCALE = ("float32*", "float32*", "int64", "float32")


@pytest.mark.parametrize("size", [0, 1, 7, 1000])
def test_a_kernel_computes_what_its_python_says(size):
    x = np.linspace(-3, 5, size, dtype=np.float32)
    y = np.full(size, np.nan, dtype=np.float32)
    run_kernel(Kernel("scale", make_scale, (3,), SCALE), (x, y, size, 0.25), size)
    np.testing.assert_allclose(y, x.astype(np.float64) * 3 + 0.25, rtol=1e-6)


def test_only_the_given_tiles_are_done():
    x = np.ones(10, dtype=np.float32)
    y = np.zeros(10, dtype=np.float32)
    run_kernel(Kernel("scale", make_scale, (3,), SCALE), (x, y, 10, 0.0), tiles=6, first=2)
    np.testing.assert_array_equal(y, [0, 0, 3, 3, 3, 3, 0, 0, 0, 0])


def make_store_numbers():
    def kernel(first, last, a, b, c, d, f32, f64, i32, i64):
        f32[0] = a
        f64[0] = b
        i32[0] = c
        i64[0] = d

    return kernel


def test_numbers_of_every_type_reach_the_kernel():
    signature = ("float32", "float64", "int32", "int64")
    signature += tuple(f"{name}*" for name in signature)
    out = [np.zeros(1, dtype=name[:-1]) for name in signature[4:]]
    numbers = (-1.5, math.pi, -(2**31), -(2**62) - 1)
    kernel = Kernel("store", make_store_numbers, (), signature)
    run_kernel(kernel, (*numbers, *out), 1)
    assert tuple(each[0].item() for each in out) == numbers


def make_invert():
    def kernel(first, last, x, y, mask):
        for i in range(first, last):
            y[i] = float32(1.0) / x[i]
            mask[i] = x[i] != x[i]

    return kernel


def test_nan_and_infinity_survive_vectorised_division():
    x = np.resize(np.array([0.0, np.inf, -np.inf, np.nan, 2.0], dtype=np.float32), 67)
    y = np.zeros_like(x)
    mask = np.zeros(67, dtype=bool)
    kernel = Kernel("invert", make_invert, (), ("float32*", "float32*", "bool*"))
    run_kernel(kernel, (x, y, mask), 67)
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(np.abs(y), np.abs(1 / x))
    np.testing.assert_array_equal(mask, np.isnan(x))


def make_sum(fastmath):
    def kernel(first, last, x, y):
        total = float32(0.0)
        for i in range(first, last):
            total += x[i]
        y[0] = total

    if fastmath is not None:
        kernel.fastmath = set(fastmath)
    return kernel


def test_sums_keep_their_order_unless_the_kernel_allows_otherwise():
    x = np.random.default_rng(0).standard_normal(4097).astype(np.float32)
    in_order = np.float32(0)
    for number in x:
        in_order += number
    y = np.zeros(1, dtype=np.float32)
    run_kernel(Kernel("sum", make_sum, (None,), ("float32*", "float32*")), (x, y), 4097)
    assert y[0] == in_order
    run_kernel(Kernel("sum", make_sum, (("reassoc",),), ("float32*", "float32*")), (x, y), 4097)
    assert y[0] != in_order
    np.testing.assert_allclose(y[0], x.sum(dtype=np.float64), rtol=1e-3)


def make_polynomial(vector_bits):
    def kernel(first, last, x, y):
        for i in range(first, last):
            y[i] = (x[i] * float32(0.5) + float32(2)) * x[i] + float32(1)

    if vector_bits is not None:
        kernel.vector_bits = vector_bits
    return kernel


def test_a_kernel_may_choose_its_vectors():
    x = np.linspace(-2, 2, 100, dtype=np.float32)
    code = []
    for bits in (128, 256, None):
        kernel = Kernel("polynomial", make_polynomial, (bits,), ("float32*", "float32*"))
        y = np.zeros_like(x)
        run_kernel(kernel, (x, y), 100)
        np.testing.assert_allclose(y, 0.5 * x.astype(float) ** 2 + 2 * x + 1, atol=1e-6)
        code.append(object_code(kernel, "polynomial"))
    if "+avx2" in host():
        assert code[0] != code[1]


def make_pointer_arithmetic():
    @njit
    def copy(source, target, count):
        for i in range(count):
            target[i] = source[i]

    def kernel(first, last, x, y, bits, where):
        local = pointers.stack(8, float32)
        copy(pointers.offset(x, 3), local, 5)
        copy(local, y, 5)
        raw = pointers.retype(x, int32)
        bits[0] = raw[1]
        bits[1] = pointers.bitcast(x[1], int32)
        where[0] = pointers.address(x)
        back = pointers.retype(where[0], float32)
        y[5] = back[7]

    return kernel


def test_addresses_can_be_moved_retyped_and_reserved():
    x = np.arange(8, dtype=np.float32) + 0.5
    y = np.zeros(6, dtype=np.float32)
    bits = np.zeros(2, dtype=np.int32)
    where = np.zeros(1, dtype=np.int64)
    signature = ("float32*", "float32*", "int32*", "int64*")
    run_kernel(Kernel("p", make_pointer_arithmetic, (), signature), (x, y, bits, where), 1)
    np.testing.assert_array_equal(y, [*x[3:8], x[7]])
    np.testing.assert_array_equal(bits, x.view(np.int32)[[1, 1]])
    assert where[0] == x.ctypes.data


def make_functions(name):
    function = getattr(math, name)

    def kernel(first, last, x, y):
        for i in range(first, last):
            y[i] = function(x[i])

    return kernel


@pytest.mark.parametrize(
    "name", ["exp", "log", "log1p", "expm1", "tanh", "erf", "sin", "floor"]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_math_functions_link(name, dtype):
    x = np.linspace(0.1, 3, 33, dtype=dtype)
    y = np.zeros_like(x)
    run_kernel(Kernel(name, make_functions, (name,), (f"{dtype}*", f"{dtype}*")), (x, y), 33)
    expected = [getattr(math, name)(float(number)) for number in x]
    np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_equal_kernels_are_compiled_once():
    a = compile_kernel(Kernel("scale", make_scale, (5,), SCALE))
    assert compile_kernel(Kernel("scale", make_scale, (5,), SCALE)) is a
    assert compile_kernel(Kernel("scale", make_scale, (6,), SCALE)).address != a.address


def make_allocating():
    def kernel(first, last, x):
        for each in np.zeros(last):
            x[0] += each

    return kernel


def test_a_kernel_that_allocates_is_refused():
    with pytest.raises(TypingError, match="array"):
        compile_kernel(Kernel("allocating", make_allocating, (), ("float32*",)))


def make_using_numba_runtime():
    def kernel(first, last, x):
        x[0] = math.frexp(x[0])[0]

    return kernel


def test_a_kernel_that_another_process_could_not_link_is_refused():
    with pytest.raises(VerificationError, match="numba_frexp"):
        compile_kernel(Kernel("frexp", make_using_numba_runtime, (), ("float64*",)))


@pytest.mark.parametrize(
    "array", [np.zeros(4, dtype=np.float64), np.zeros(8, dtype=np.float32)[::2]]
)
def test_arrays_that_do_not_fit_the_signature_are_refused(array):
    kernel = Kernel("scale", make_scale, (3,), SCALE)
    with pytest.raises(TypeError):
        run_kernel(kernel, (array, np.zeros(4, dtype=np.float32), 4, 0.0), 4)
