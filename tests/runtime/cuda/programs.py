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
        # No address: only so many bits of one are used.
        a[np.uint64(np.uint64(n) + np.uint64(1 << 50))] = float32(1)

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


def launch_of(kernel, arguments, tiles, path) -> Launch:
    op = f"{kernel.name}_op"
    return Launch(kernel, arguments, tiles=tiles, op=op, path=path, nbytes=0, flops=0)


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

    def launch(kernel, *arguments):
        return launch_of(kernel, arguments, tiles, "dense")

    return Program(
        launches=(
            launch(MULTIPLY, Address(x), Address(w), product, n),
            launch(ADD, product, Address(c), Address(y), n),
            launch(INCREMENT, Address(w), 1.0, n),
        ),
        buffers=(x, w, c, arena, y),
        inputs={"x": x},
        outputs={"y": y},
        variables={weight: w},
    )


def failing() -> Program:
    """A kernel of the layer ``net/bad`` that writes far outside of its memory."""
    arena = Buffer("arena", "arena", 256)
    launch = launch_of(OUT_OF_BOUNDS, (Address(arena), 0), 1, "net/bad")
    return Program((launch,), (arena,), {}, {}, {})
