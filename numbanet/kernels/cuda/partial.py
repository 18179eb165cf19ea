"""Products as calls: one launch, or partial sums in scratch memory and a launch to add them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from numbanet.ir import Value
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.product import Epilogue, Product, write_product
from numbanet.kernels.cuda.simulate import SIMULATED
from numbanet.kernels.cuda.sizes import check_sizes
from numbanet.kernels.cuda.tiling import Plan
from numbanet.kernels.kernel import Argument, Call, Kernel, Scratch

_SUM_THREADS = 16 if SIMULATED else 256
_SLICES = 4 if SIMULATED else 8
"""Threads that share one element's partial sums where there are many."""


@dataclass(frozen=True)
class Work:
    """A product with its numbers: what `product_calls` needs beside the text.

    Attributes
    ----------
    sizes : tuple of int
        Line up with `Product.sizes`.
    count : int
        How many products, and so how many numbers ``batch`` runs over.
    """

    a: Value
    b: Value
    out: Value
    extras: tuple[Value, ...]
    sizes: tuple[int, ...]
    rows: int
    columns: int
    terms: int
    count: int = 1

    @property
    def flops(self) -> int:
        return 2 * self.rows * self.columns * self.terms * self.count

    @property
    def nbytes(self) -> int:
        values = (self.a, self.b, self.out, *self.extras)
        return sum(value.type.nbytes for value in values)


def product_calls(
    name: str, product: Product, work: Work, plan: Plan, epilogue: Epilogue
) -> tuple[Call, ...]:
    """The calls that compute ``work.out``; none if it is empty."""
    check_sizes(work.a, work.b, work.out, *work.extras)
    if work.out.type.size == 0:
        return ()
    if plan.splits == 1:
        return (_product_call(name, product, work, plan, epilogue, work.out),)
    parts = partial_sums(name, product, work, plan)
    return parts.call, add_up(work, epilogue, parts)


@dataclass(frozen=True)
class PartialSums:
    """``splits`` sums for each element of a product, one after the other in ``partials``, and
    the call that computes them."""

    call: Call
    partials: Scratch
    splits: int


def partial_sums(name: str, product: Product, work: Work, plan: Plan) -> PartialSums:
    check_sizes(work.a, work.b, work.out)
    partials = Scratch(plan.splits * work.out.type.size * work.a.dtype.itemsize)
    call = _product_call(name, product, work, plan, Epilogue(), partials)
    return PartialSums(call, partials, plan.splits)


def in_place(
    extras: tuple[Value, ...], first: int, out: Value, written: int
) -> tuple[tuple[int, int], ...]:
    """Extra inputs that are read element for element as the output is written."""
    return tuple(
        (first + i, written)
        for i, extra in enumerate(extras)
        if extra.type.sizes == out.type.sizes and extra.dtype.itemsize == out.dtype.itemsize
    )


def _pointer(value: Value) -> str:
    return f"{value.dtype}*"


def _product_call(
    name: str,
    product: Product,
    work: Work,
    plan: Plan,
    epilogue: Epilogue,
    out: Value | Scratch,
) -> Call:
    tiling = plan.tiling
    real = str(work.a.dtype)
    extras = work.extras if isinstance(out, Value) else ()
    to = _pointer(out) if isinstance(out, Value) else f"{real}*"
    pointers = (f"{real}*", f"{real}*", to, *map(_pointer, extras))
    numbers = (*work.sizes, plan.splits, plan.chunk, work.out.type.size)
    kernel = Kernel(
        name=f"{name}_{tiling.rows}x{tiling.columns}",
        make=make_generated,
        parameters=(write_product(product, tiling, real, epilogue),),
        signature=(*pointers, *("int32" for _ in numbers)),
        threads=tiling.threads,
    )
    down = math.ceil(work.rows / tiling.rows)
    across = math.ceil(work.columns / tiling.columns)
    return Call(
        kernel=kernel,
        arguments=(work.a, work.b, out, *extras, *numbers),
        tiles=down * across * plan.splits * work.count,
        writes=(2,),
        in_place=in_place(extras, 3, work.out, 2),
        nbytes=work.nbytes,
        flops=work.flops,
    )


def add_up(work: Work, epilogue: Epilogue, parts: PartialSums) -> Call:
    """The call that adds up partial sums in their order."""
    out, real, partials = work.out, str(work.a.dtype), parts.partials
    slices = _SLICES if parts.splits > 2 * _SLICES else 1
    text = "\n".join(_write_sum(epilogue, real, slices)) + "\n"
    arguments: tuple[Argument, ...] = (partials, out, *work.extras)
    columns = out.type.sizes[-1] if out.type.rank else 1
    pointers = (f"{real}*", _pointer(out), *map(_pointer, work.extras))
    return Call(
        kernel=Kernel(
            name="sum_partials",
            make=make_generated,
            parameters=(text,),
            signature=(*pointers, "int32", "int32", "int32"),
            threads=_SUM_THREADS,
        ),
        arguments=(*arguments, out.type.size, columns, parts.splits),
        tiles=math.ceil(out.type.size / (_SUM_THREADS // slices)),
        writes=(1,),
        in_place=in_place(work.extras, 2, out, 1),
        nbytes=partials.nbytes + out.type.nbytes,
        flops=parts.splits * out.type.size,
    )


def _write_sum(epilogue: Epilogue, real: str, slices: int) -> Iterator[str]:
    """Source of ``kernel(partials, out, *extras, size, columns, splits)``.

    ``slices`` threads add every ``slices``-th partial sum of an element, and the first of
    them adds up what they have.
    """
    across = _SUM_THREADS // slices
    names = ", ".join(("partials", "out", *epilogue.names, "size", "columns", "splits"))
    yield f"def kernel({names}):"
    if slices > 1:
        yield f"    shared = cuda.shared.array({_SUM_THREADS}, {real})"
    yield "    thread = thread_index()"
    yield f"    position = int32(tile_index() * {across} + thread % {across})"
    yield f"    total = {real}(0)"
    yield f"    split = int32(thread // {across})"
    yield "    if position < size:"
    yield "        while split < splits:"
    yield "            total = total + partials[int32(split * size + position)]"
    yield f"            split = int32(split + {slices})"
    if slices > 1:
        yield "    shared[thread] = total"
        yield "    cuda.syncthreads()"
    yield f"    if position < size and thread < {across}:"
    for i in range(1, slices):
        yield f"        total = total + shared[uint32(thread + {i * across})]"
    if "vector" in epilogue.kinds:
        yield "        column = int32(uint32(position) % uint32(columns))"
    statements, result = epilogue.write("total", "position", "column")
    for line in statements:
        yield f"        {line}"
    yield f"        out[position] = {result}"
