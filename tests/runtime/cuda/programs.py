"""A small program by hand: ``y = x * w + c``, then ``w = w + 1``; and its kernels."""

import numpy as np
from numba import float32

from numbanet.ir import DType, TensorType, Variable
from numbanet.kernels.cuda.intrinsics import thread_index, tile_index
from numbanet.kernels.kernel import Kernel
from numbanet.plan.program import Address, Buffer, Launch, Program

THREADS = 4


def make_multiply(threads):
    def kernel(a, b, out, n):
        i = np.uint32(tile_index() * np.uint32(threads) + thread_index())
        if i < n:
            out[i] = a[i] * b[i]

    return kernel


def make_add(threads):
    def kernel(a, b, out, n):
        i = np.uint32(tile_index() * np.uint32(threads) + thread_index())
        if i < n:
            out[i] = a[i] + b[i]

    return kernel


def make_increment(threads):
    def kernel(a, by, n):
        i = np.uint32(tile_index() * np.uint32(threads) + thread_index())
        if i < n:
            a[i] = a[i] + float32(by)

    return kernel


def make_out_of_bounds(threads):
    def kernel(a, n):
        a[np.uint32(n + np.uint32(1_000_000_000))] = float32(1)

    return kernel


BINARY = ("float32*", "float32*", "float32*", "int32")
MULTIPLY = Kernel("multiply", make_multiply, (THREADS,), BINARY, THREADS)
ADD = Kernel("add", make_add, (THREADS,), BINARY, THREADS)
INCREMENT = Kernel(
    "increment", make_increment, (THREADS,), ("float32*", "float32", "int32"), THREADS
)
OUT_OF_BOUNDS = Kernel(
    "out_of_bounds", make_out_of_bounds, (THREADS,), ("float32*", "uint32"), THREADS
)


def multiply_add(weight: Variable, constant: np.ndarray) -> Program:
    """``y = x * w + c``, then ``w = w + 1``, for vectors of one length."""
    n = constant.size
    type_ = TensorType((n,), DType.FLOAT32)
    x = Buffer("input", "x", type_.nbytes, type=type_)
    w = Buffer("variable", weight.name, type_.nbytes, variable=weight, type=type_)
    c = Buffer("constant", "c", type_.nbytes, array=constant, type=type_)
    arena = Buffer("arena", "arena", 256 + type_.nbytes)
    y = Buffer("output", "y", type_.nbytes, type=type_)
    product = Address(arena, 256)
    tiles = -(-n // THREADS)

    def launch(kernel, writes, *arguments):
        return Launch(kernel, arguments, (writes,), tiles, kernel.name, "dense", 0, 0)

    return Program(
        launches=(
            launch(MULTIPLY, 2, Address(x), Address(w), product, n),
            launch(ADD, 2, product, Address(c), Address(y), n),
            launch(INCREMENT, 0, Address(w), 1.0, n),
        ),
        buffers=(x, w, c, arena, y),
        inputs={"x": x},
        outputs={"y": y},
        variables={weight: w},
    )


def failing() -> Program:
    """A kernel of the layer ``net/bad`` that writes far outside of its memory."""
    arena = Buffer("arena", "arena", 256)
    launch = Launch(OUT_OF_BOUNDS, (Address(arena), 0), (0,), 1, "bad_op", "net/bad", 0, 0)
    return Program((launch,), (arena,), {}, {}, {})
