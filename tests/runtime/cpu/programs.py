"""Small programs by hand, and the kernels that they are made of."""

from __future__ import annotations

import numpy as np
from numba import float32

from numbanet.ir import DType, TensorType, Variable
from numbanet.kernels.kernel import Kernel
from numbanet.plan.program import Address, Buffer, Launch, Program

LARGE = 1 << 30
"""Bytes of traffic that a launch claims when it is to be shared whatever its size."""


def make_affine():
    def kernel(first, last, x, y, factor, term):
        for i in range(first, last):
            y[i] = x[i] * factor + term

    return kernel


def make_reverse():
    def kernel(first, last, x, y, n):
        for i in range(first, last):
            y[i] = x[n - 1 - i] + float32(1)

    return kernel


def make_spin():
    def kernel(first, last, x, rounds):
        for i in range(first, last):
            total = x[i]
            for k in range(rounds):
                total = total * float32(0.5) + float32(k)
            x[i] = total

    return kernel


AFFINE = Kernel("affine", make_affine, (), ("float32*", "float32*", "float32", "float32"))
REVERSE = Kernel("reverse", make_reverse, (), ("float32*", "float32*", "int64"))
SPIN = Kernel("spin", make_spin, (), ("float32*", "int64"))


def launch(kernel: Kernel, *arguments, tiles: int, nbytes: int = LARGE) -> Launch:
    return Launch(kernel, arguments, tiles, kernel.name, "", nbytes, 0)


def float_buffer(kind: str, name: str, size: int, **fields) -> Buffer:
    return Buffer(kind, name, 4 * size, type=TensorType((size,), DType.FLOAT32), **fields)


def affine_program(size: int, nbytes: int = LARGE) -> Program:
    """``y = 2 * x + 1``, by way of the arena: ``t = 2 * x``, then ``y = t + 1``."""
    x, y = float_buffer("input", "x", size), float_buffer("output", "y", size)
    arena = Buffer("arena", "arena", 4 * size + 64)
    between = Address(arena, 64)
    launches = (
        launch(AFFINE, Address(x), between, 2.0, 0.0, tiles=size, nbytes=nbytes),
        launch(AFFINE, between, Address(y), 1.0, 1.0, tiles=size, nbytes=nbytes),
    )
    return Program(launches, (x, y, arena), {"x": x}, {"y": y}, {})


def counting_program(variable: Variable, nbytes: int = LARGE) -> Program:
    """``v = v + 1``."""
    (size,) = variable.type.sizes
    v = float_buffer("variable", variable.name, size, variable=variable)
    launches = (launch(AFFINE, Address(v), Address(v), 1.0, 1.0, tiles=size, nbytes=nbytes),)
    return Program(launches, (v,), {}, {"v": v}, {variable: v})


def reversing_program(variable: Variable, launches: int, seed: int) -> Program:
    """Reverse and add one, again and again, in a mixture of shared and lone launches.

    Every element is read by another thread than the one that wrote it.
    """
    (size,) = variable.type.sizes
    a = float_buffer("variable", variable.name, size, variable=variable)
    b = Buffer("arena", "arena", 4 * size)
    nbytes = np.random.default_rng(seed).choice([1, LARGE], size=launches)
    rows = []
    for i in range(launches):
        source, target = (a, b) if i % 2 == 0 else (b, a)
        rows.append(
            launch(
                REVERSE,
                Address(source),
                Address(target),
                size,
                tiles=size,
                nbytes=int(nbytes[i]),
            )
        )
    return Program(tuple(rows), (a, b), {}, {}, {variable: a})


def vector(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float32)
