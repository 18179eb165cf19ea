"""Rows on CPUs: softmax, its logarithm, cross-entropy and layer normalisation.

A tile is a few whole rows, which stay in the cache while they are swept two or three times.
The order of a row's sum depends on its length alone, and on how wide a machine's vectors are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numbanet.ir import DType, Node
from numbanet.ir.op import attrs_of
from numbanet.kernels.cpu.registry import lowering
from numbanet.kernels.kernel import Call, Kernel
from numbanet.ops.layer_norm import LayerNormAttrs

_TILE_ELEMENTS = 8192
"""Of each operand; a longer row is a tile of its own."""

_RUN = 512
"""Elements whose sum is taken at once: float32 sums of longer rows are sums of sums."""

_LINE_BYTES = 64

_KNOWN_COLUMNS = 64
"""The length of shorter rows is written into the kernel: they are over before a loop of any
length has found out how it goes."""


@lowering("softmax")
def lower_softmax(node: Node) -> tuple[Call, ...]:
    return _calls(node, make_softmax)


@lowering("log_softmax")
def lower_log_softmax(node: Node) -> tuple[Call, ...]:
    return _calls(node, make_log_softmax)


@lowering("cross_entropy")
def lower_cross_entropy(node: Node) -> tuple[Call, ...]:
    """Loss and unit gradient at once. A label that names no class gives NaN."""
    return _calls(node, make_cross_entropy, in_place=(0, 3))


@lowering("layer_norm")
def lower_layer_norm(node: Node) -> tuple[Call, ...]:
    epsilon = attrs_of(node, LayerNormAttrs).epsilon
    return _calls(node, make_layer_norm, (epsilon,), in_place=(0, 3))


def _calls(
    node: Node,
    make: Callable[..., Callable[..., None]],
    numbers: tuple[float, ...] = (),
    in_place: tuple[int, int] = (0, 1),
) -> tuple[Call, ...]:
    """The call over all rows of input 0; none if there are no rows."""
    x = node.inputs[0].type
    values = (*node.inputs, *node.outputs)
    if x.size == 0:
        return ()
    columns = x.sizes[-1]
    known = columns if columns < _KNOWN_COLUMNS else 0
    rows, height = x.size // columns, max(1, _TILE_ELEMENTS // columns)
    pointers = [f"{value.dtype}*" for value in values]
    signature = (*pointers, *["int64"] * 3, *["float64"] * len(numbers))
    return (
        Call(
            Kernel(node.op.name, make, (x.dtype, known), signature),
            (*values, rows, columns, height, *numbers),
            tiles=-(-rows // height),
            writes=tuple(range(len(node.inputs), len(values))),
            in_place=(in_place,),
            nbytes=sum(value.type.nbytes for value in values),
            flops=node.op.flops(node),
        ),
    )


@dataclass(frozen=True)
class _Folds:
    """What kernels do with a row, as functions that are compiled into them.

    Attributes
    ----------
    real : type
        Numba's type of the elements.
    maximum : callable
        ``(x, n)``.
    sum, sum_squares, sum_powers, store_powers : callable
        ``(x, centre, y, n)``: sums of ``x``, of ``(x - centre) ** 2``, of
        ``exp(x - centre)``, and of that while it is stored in ``y``.
    scale : callable
        ``(y, factor, n)``.
    """

    real: Any
    maximum: Any
    sum: Any
    sum_squares: Any
    sum_powers: Any
    store_powers: Any
    scale: Any


def _folds(dtype: DType) -> _Folds:
    from numbanet.kernels.cpu.mathematics import NAMESPACE, inline
    from numbanet.kernels.cpu.memory import load, store

    real, exp = NAMESPACE[str(dtype)], NAMESPACE[f"exp_negative_{dtype}"]

    @inline
    def number(x, centre, y, j):
        return load(x, j)

    @inline
    def squared_distance(x, centre, y, j):
        distance = load(x, j) - centre
        return distance * distance

    @inline
    def power(x, centre, y, j):
        return exp(load(x, j) - centre)

    @inline
    def stored_power(x, centre, y, j):
        power = exp(load(x, j) - centre)
        store(0, y, j, power)
        return power

    @inline
    def scale(y, factor, n):
        for j in range(n):
            y[j] = y[j] * factor

    return _Folds(
        real=real,
        maximum=row_maximum(dtype),
        sum=_sum(dtype, number),
        sum_squares=_sum(dtype, squared_distance, fetches_ahead=True),
        sum_powers=_sum(dtype, power, fetches_ahead=True),
        store_powers=_sum(dtype, stored_power, fetches_ahead=True),
        scale=scale,
    )


def row_maximum(dtype: DType) -> Callable[..., Any]:
    """``maximum(x, n)``, compiled into the kernel that calls it; it may overlook NaN.

    It compares integers of the same order, for only those does LLVM compare in vectors.
    """
    from numbanet.kernels.cpu.mathematics import NAMESPACE, inline
    from numbanet.kernels.cpu.memory import load
    from numbanet.kernels.cpu.pointers import bitcast, retype

    real, width = NAMESPACE[str(dtype)], 8 * dtype.itemsize
    integer, sign, others = NAMESPACE[f"int{width}"], width - 1, (1 << (width - 1)) - 1

    @inline
    def ordered(bits):
        """A float's bits as an integer of its rank, and the reverse."""
        return integer(bits ^ integer(integer(bits >> sign) & others))

    @inline
    def maximum(x, n):
        bits = retype(x, integer)
        most = ordered(bits[0])
        for j in range(n):
            rank = ordered(load(bits, j))
            most = rank if rank > most else most
        return bitcast(ordered(most), real)

    return maximum


def _sum(
    dtype: DType, term: Callable[..., Any], *, fetches_ahead: bool = False
) -> Callable[..., Any]:
    """``total(x, centre, y, n)``: of ``term(x, centre, y, j)`` for all ``j`` below ``n``.

    ``fetches_ahead`` calls for the next row of ``x`` meanwhile, so that it comes from memory
    while this one is computed.
    """
    from numba import njit

    from numbanet.kernels.cpu.mathematics import NAMESPACE, inline
    from numbanet.kernels.cpu.memory import fetch

    real, line = NAMESPACE[str(dtype)], _LINE_BYTES // dtype.itemsize

    # LLVM picks the order, by lanes of vectors, when it compiles the loop.
    any_order: Any = {"nsz", "contract", "reassoc"}

    @njit(error_model="numpy", fastmath=any_order, forceinline=True)
    def run(x, centre, y, first, last):
        total = real(0)
        for j in range(first, last):
            total += term(x, centre, y, j)
        return total

    @inline
    def total_of(x, centre, y, n):
        total = real(0)
        for first in range(0, n, _RUN):
            last = min(first + _RUN, n)
            if fetches_ahead:
                for j in range(first, last, line):
                    fetch(x, n + j)
            total += run(x, centre, y, first, last)
        return total

    return total_of


def _vectorised(kernel: Any, known: int) -> Callable[..., None]:
    """``kernel`` with the widest vectors, which pay where rows are long."""
    if not known:
        kernel.vector_bits = 512
    return kernel


def make_softmax(dtype: DType, known: int) -> Callable[..., None]:
    from numbanet.kernels.cpu.pointers import offset

    folds = _folds(dtype)
    real, maximum, powers, scale = folds.real, folds.maximum, folds.store_powers, folds.scale

    def kernel(first, last, x, y, rows, columns, height):
        n = known if known else columns
        for row in range(first * height, min(last * height, rows)):
            source, target = offset(x, row * n), offset(y, row * n)
            total = powers(source, maximum(source, n), target, n)
            scale(target, real(1) / total, n)

    return _vectorised(kernel, known)


def make_log_softmax(dtype: DType, known: int) -> Callable[..., None]:
    from numbanet.kernels.cpu.mathematics import NAMESPACE
    from numbanet.kernels.cpu.memory import load, store
    from numbanet.kernels.cpu.pointers import offset

    folds, log = _folds(dtype), NAMESPACE[f"log_{dtype}"]
    maximum, powers = folds.maximum, folds.sum_powers

    def kernel(first, last, x, y, rows, columns, height):
        n = known if known else columns
        for row in range(first * height, min(last * height, rows)):
            source, target = offset(x, row * n), offset(y, row * n)
            most = maximum(source, n)
            log_total = log(powers(source, most, target, n))
            for j in range(n):
                store(0, target, j, (load(source, j) - most) - log_total)

    return _vectorised(kernel, known)


def make_cross_entropy(dtype: DType, known: int) -> Callable[..., None]:
    from numbanet.kernels.cpu.mathematics import NAMESPACE
    from numbanet.kernels.cpu.pointers import offset

    folds, log, nan = _folds(dtype), NAMESPACE[f"log_{dtype}"], NAMESPACE["nan"]
    real, maximum, powers, scale = folds.real, folds.maximum, folds.store_powers, folds.scale

    def kernel(first, last, x, labels, loss, unit, rows, columns, height):
        n = known if known else columns
        for row in range(first * height, min(last * height, rows)):
            source, target = offset(x, row * n), offset(unit, row * n)
            label = labels[row]
            is_class = 0 <= label < n
            most = maximum(source, n)
            chosen = source[label] - most if is_class else real(nan)
            total = powers(source, most, target, n)
            scale(target, real(1) / total, n)
            loss[row] = log(total) - chosen
            if is_class:
                target[label] = target[label] - real(1)

    return _vectorised(kernel, known)


def make_layer_norm(dtype: DType, known: int) -> Callable[..., None]:
    from numbanet.kernels.cpu.mathematics import NAMESPACE
    from numbanet.kernels.cpu.memory import load, store
    from numbanet.kernels.cpu.pointers import offset

    folds, rsqrt = _folds(dtype), NAMESPACE[f"rsqrt_{dtype}"]
    real, sum_of, sum_squares = folds.real, folds.sum, folds.sum_squares

    def kernel(
        first, last, x, gamma, beta, y, mean, rstd, rows, columns, height, epsilon
    ):  # fmt: skip
        n = known if known else columns
        for row in range(first * height, min(last * height, rows)):
            source, target = offset(x, row * n), offset(y, row * n)
            centre = sum_of(source, real(0), target, n) / real(n)
            variance = sum_squares(source, centre, target, n) / real(n)
            factor = rsqrt(variance + real(epsilon))
            mean[row], rstd[row] = centre, factor
            for j in range(n):
                unit = (load(source, j) - centre) * factor
                store(0, target, j, unit * load(gamma, j) + load(beta, j))

    return kernel
