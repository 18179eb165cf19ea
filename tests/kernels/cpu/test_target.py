"""What kernels may call, and what becomes of it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numba import float32, njit

from numbanet.kernels.cpu.compile import run_kernel
from numbanet.kernels.cpu.translate import optimised_module
from numbanet.kernels.kernel import Kernel

POINTERS = ("float32*", "float32*")


@njit
def square(x):
    return x * x


@njit
def fourth_power(x, scale=1):
    return square(square(x)) * scale


def make_calling():
    def kernel(first, last, x, y):
        for i in range(first, last):
            y[i] = square(x[i]) + fourth_power(x[i], scale=2) + fourth_power(x[i])

    return kernel


def test_functions_call_functions():
    x, y = np.array([1, 2, -3], np.float32), np.zeros(3, np.float32)
    run_kernel(Kernel("calling", make_calling, (), POINTERS), (x, y), 3)
    np.testing.assert_array_equal(y, x**2 + 3 * x**4)


def test_all_calls_are_inlined():
    module = optimised_module(Kernel("calling", make_calling, (), POINTERS), "calling")
    assert [each.name for each in module.functions if not each.is_declaration] == ["calling"]


def make_counting():
    @njit
    def half(n):
        return n // 2

    def kernel(first, last, counts, numbers):
        counts[0] = half(7)
        numbers[0] = half(7.0)

    return kernel


def test_a_function_is_compiled_for_every_type_it_is_called_with():
    counts, numbers = np.zeros(1, np.int64), np.zeros(1)
    kernel = Kernel("counting", make_counting, (), ("int64*", "float64*"))
    run_kernel(kernel, (counts, numbers), 1)
    assert (counts[0], numbers[0]) == (3, 3.0)


def make_built_in():
    def kernel(first, last, x, y):
        pair = (x[0], x[1])
        y[0] = min(x[0], x[1], x[2])
        y[1] = max(pair)
        y[2] = sum(pair)
        y[3] = abs(pair[1])
        y[4] = divmod(last, 4)[1]
        y[5] = round(x[1])

    return kernel


def test_built_in_functions():
    x, y = np.array([5, -2.5, 3], np.float32), np.zeros(6, np.float32)
    run_kernel(Kernel("built_in", make_built_in, (), POINTERS), (x, y), 7)
    np.testing.assert_array_equal(y, [-2.5, 5, 2.5, 2.5, 3, -2])


def make_sum(flags):
    @njit(fastmath=set(flags))
    def total(x, n):
        result = float32(0)
        for i in range(n):
            result += x[i]
        return result

    def kernel(first, last, x, y):
        y[0] = total(x, last)

    return kernel


@pytest.mark.parametrize("flags", [(), ("reassoc",)])
def test_a_function_takes_its_own_liberties(flags):
    module = str(optimised_module(Kernel("sum", make_sum, (flags,), POINTERS), "sum"))
    assert bool(re.search(r"fadd reassoc [\w ]*<\d+ x float>", module)) == bool(flags)


def make_choice():
    from numbanet.kernels.cpu.memory import load, store

    def kernel(first, last, x, gate, y, n):
        for i in range(first, last):
            start = i * n
            for j in range(n):
                difference = load(x, start + j) - load(gate, i)
                is_chosen = load(gate, start + j) > float32(0)
                store(0, y, start + j, difference if is_chosen else float32(0))

    return kernel


def test_choices_leave_loops_in_vectors():
    """LLVM once moved the loads into a branch, as only one side of the choice needs them."""
    kernel = Kernel("choice", make_choice, (), ("float32*",) * 3 + ("int64",))
    module = str(optimised_module(kernel, "choice"))
    assert re.search(r"select <\d+ x i1>", module)
    assert "masked.load" not in module
    x, gate = np.arange(12, dtype=np.float32), np.array([1, -1, 2, -2] * 3, np.float32)
    y = np.full(12, np.nan, np.float32)
    run_kernel(kernel, (x, gate, y, 4), 3)
    expected = np.where(gate.reshape(3, 4) > 0, x.reshape(3, 4) - gate[:3, None], 0)
    np.testing.assert_array_equal(y.reshape(3, 4), expected)
