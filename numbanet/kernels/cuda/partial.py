"""Products as calls: one launch, or slices in scratch memory and somebody who adds them up."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from numbanet.ir import DType, Value
from numbanet.kernels.cuda.generated import make_generated
from numbanet.kernels.cuda.moments import Measure
from numbanet.kernels.cuda.product import Epilogue, Product, write_product
from numbanet.kernels.cuda.registers import QUAD
from numbanet.kernels.cuda.sizes import check_sizes
from numbanet.kernels.cuda.sums import sum_call
from numbanet.kernels.cuda.tiling import Plan, choose
from numbanet.kernels.kernel import Call, Kernel, Scratch, Slices
from numbanet.kernels.operand import Operand
from numbanet.ops.expression import identity
from numbanet.ops.fused import broadcast, contiguous


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
    def shape(self) -> tuple[int, int, int, int]:
        """Rows, columns and terms, and how many products."""
        return self.rows, self.columns, self.terms, self.count

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
    """The calls that compute ``work.out``; none if it is empty.

    What has no epilogue may be left in slices, and then of more: whoever reads it adds them up
    at a lower price than a launch.
    """
    check_sizes(work.a, work.b, work.out, *work.extras)
    if work.out.type.size == 0:
        return ()
    if plan.splits == 1:
        calls = (_product_call(name, product, work, plan, epilogue, work.out),)
    else:
        memory = _scratch(work, plan)
        sums = _product_call(name, product, work, plan, Epilogue(), memory)
        calls = (sums, add_up(memory, work.out, work.a.dtype, work.extras, epilogue))
    is_all = work.rows * work.columns * work.count == work.out.type.size
    if epilogue.expression is not None or not is_all:
        return calls
    sliced = functools.partial(product_slices, name, product, work)
    return (*calls[:-1], replace(calls[-1], sliced=sliced))


def product_slices(name: str, product: Product, work: Work) -> Slices:
    """The product without its epilogue, for whoever adds up slices of it."""
    check_sizes(work.a, work.b, work.out)
    plan = choose(*work.shape, work.a.dtype, is_added_by_reader=True)
    memory = _scratch(work, plan)
    call = _product_call(name, product, work, plan, Epilogue(), memory)
    return in_slices(call, memory, work.out)


def _scratch(work: Work, plan: Plan) -> Scratch:
    return scratch_for(work.out.type.size, plan.splits, work.a.dtype)


def scratch_for(elements: int, slices: int, dtype: DType) -> Scratch:
    """Memory for slices that can be read in quads."""
    apart = -(-elements // QUAD) * QUAD
    return Scratch(slices * apart * dtype.itemsize, slices)


def in_slices(call: Call, memory: Scratch, out: Value) -> Slices:
    """What ``call`` leaves of ``out`` in ``memory``."""
    add = add_up(memory, out, out.dtype)
    return Slices((call,), memory, memory.slices, apart(memory, out.dtype), add)


def added_up(slices: Slices) -> tuple[Call, ...]:
    """The calls that compute a value, which may as well be left in slices."""
    return (*slices.calls, replace(slices.add, sliced=lambda: slices))


def apart(memory: Scratch, dtype: DType) -> int:
    """Elements from one slice to the next."""
    return memory.nbytes // memory.slices // dtype.itemsize


def add_up(
    memory: Scratch,
    out: Value,
    dtype: DType,
    extras: tuple[Value, ...] = (),
    epilogue: Epilogue | None = None,
) -> Call:
    """The call that adds up slices of numbers of type ``dtype``, in their order."""
    shape = out.type.sizes
    sums = Operand(memory, dtype, contiguous(shape))
    write = Operand(out, out.dtype, contiguous(shape))
    expression = identity(dtype)
    reads = [sums]
    if epilogue is not None and epilogue.expression is not None:
        expression = epilogue.expression
        sources = {"number": (), "vector": shape[-1:], "full": shape}
        for extra, kind in zip(extras, epilogue.kinds, strict=True):
            reads.append(Operand(extra, extra.dtype, broadcast(sources[kind], shape)))
    return sum_call("sum_partials", expression, shape, reads, (write,), apart(memory, dtype))


def measured_call(
    name: str,
    product: Product,
    work: Work,
    plan: Plan,
    epilogue: Epilogue,
    measure: Measure,
    reads: tuple[Value, ...] = (),
) -> tuple[Call, list[Scratch]]:
    """The call that computes ``work.out`` whole, and where it leaves what ``measure`` finds of
    parts of as many rows as a tile has."""
    check_sizes(work.a, work.b, work.out, *work.extras, *reads)
    parts = math.ceil(work.rows / plan.tiling.rows)
    nbytes = parts * measure.channels * work.out.dtype.itemsize
    found = [Scratch(nbytes) for _ in measure.results]
    epilogue = replace(epilogue, measure=measure)
    return _product_call(name, product, work, plan, epilogue, work.out, reads, found), found


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
    reads: Sequence[Value] = (),
    found: Sequence[Scratch] = (),
) -> Call:
    tiling = plan.tiling
    real = str(work.a.dtype)
    extras = work.extras if isinstance(out, Value) else ()
    to = _pointer(out) if isinstance(out, Value) else f"{real}*"
    further = [*map(_pointer, (*extras, *reads)), *[f"{real}*"] * len(found)]
    pointers = (f"{real}*", f"{real}*", to, *further)
    size = work.out.type.size if isinstance(out, Value) else apart(out, work.a.dtype)
    numbers = (*work.sizes, plan.splits, plan.chunk, size)
    kernel = Kernel(
        name=f"{name}_{tiling.rows}x{tiling.columns}",
        make=make_generated,
        parameters=(write_product(product, tiling, real, epilogue),),
        signature=(*pointers, *("int32" for _ in numbers)),
        threads=tiling.threads,
    )
    first = 3 + len(extras) + len(reads)
    down = math.ceil(work.rows / tiling.rows)
    across = math.ceil(work.columns / tiling.columns)
    return Call(
        kernel=kernel,
        arguments=(work.a, work.b, out, *extras, *reads, *found, *numbers),
        tiles=down * across * plan.splits * work.count,
        writes=(2, *range(first, first + len(found))),
        in_place=in_place(extras, 3, work.out, 2),
        nbytes=work.nbytes
        + sum(value.type.nbytes for value in reads)
        + sum(scratch.nbytes for scratch in found),
        flops=work.flops,
    )
