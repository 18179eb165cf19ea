"""Products of matrices, one or many at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numbanet.ir import DType, Node, Value
from numbanet.ir.op import attrs_of
from numbanet.kernels.cuda.operands import Matrix
from numbanet.kernels.cuda.partial import Work, product_calls, product_slices
from numbanet.kernels.cuda.product import Epilogue, Product
from numbanet.kernels.cuda.registry import lowering
from numbanet.kernels.cuda.tiling import choose
from numbanet.kernels.iteration import Dims, collapse
from numbanet.kernels.kernel import Call, Slices
from numbanet.ops.expression import Expression
from numbanet.ops.fused import broadcast
from numbanet.ops.matmul import MatmulAttrs


@lowering("matmul")
def lower_matmul(node: Node) -> tuple[Call, ...]:
    attrs = attrs_of(node, MatmulAttrs)
    extras = tuple(node.inputs[2:])
    epilogue = epilogue_of(attrs.epilogue, node.output, extras)
    name, product, work = _product_of(node, extras)
    plan = choose(work.rows, work.columns, work.terms, work.count, work.a.dtype)
    return product_calls(name, product, work, plan, epilogue)


def lower_slices(node: Node) -> Slices:
    """The product alone, its epilogue left to whoever adds up the slices."""
    return product_slices(*_product_of(node, ()))


def _product_of(node: Node, extras: tuple[Value, ...]) -> tuple[str, Product, Work]:
    attrs = attrs_of(node, MatmulAttrs)
    a, b = node.inputs[:2]
    batch = _batch(node, attrs)
    rows, terms = _matrix(a, attrs.transpose_a)
    terms_b, columns = _matrix(b, attrs.transpose_b)
    if terms != terms_b:
        raise ValueError(f"inner sizes differ: {node!r}")
    if batch.folds:
        rows *= math.prod(a.type.sizes[:-2])
    work = Work(
        a=a,
        b=b,
        out=node.output,
        extras=extras,
        sizes=(rows, columns, terms, *batch.sizes),
        rows=rows,
        columns=columns,
        terms=terms,
        count=batch.count,
    )
    product = _product(attrs, batch, load_width(a), load_width(b))
    letters = "".join("t" if is_ else "n" for is_ in (attrs.transpose_a, attrs.transpose_b))
    return f"matmul_{letters}", product, work


def epilogue_of(
    expression: Expression | None, out: Value, extras: tuple[Value, ...]
) -> Epilogue:
    """The epilogue with the kind of each extra input; a vector of one is a number."""
    kinds = []
    for extra in extras:
        if extra.type.size == 1:
            kinds.append("number")
        else:
            kinds.append("full" if extra.type.sizes == out.type.sizes else "vector")
    return Epilogue(expression, tuple(kinds))


def load_width(value: Value, row: int | None = None) -> int:
    """Elements of ``value`` that can be loaded at once if it lies in rows of ``row``, by
    default of its last axis."""
    row = value.type.sizes[-1] if row is None else row
    if value.dtype is DType.FLOAT32 and row % 4 == 0 and _is_aligned(value):
        return 4
    return 1


def _is_aligned(value: Value) -> bool:
    """Whether a quad can start where the value does: all memory is aligned, but a part of
    another value may start anywhere in it."""
    while value.node.op.view is not None:
        offset = value.node.op.view(value.node)
        if offset is None:
            return True
        if offset % 4:
            return False
        value = value.node.inputs[0]
    return True


@dataclass(frozen=True)
class _Batch:
    """Leading axes, in as few dimensions as they have once operands broadcast.

    ``folds``: B is one matrix, and A's matrices are one long matrix.
    """

    dims: Dims
    folds: bool = False

    @property
    def count(self) -> int:
        return self.dims.size

    @property
    def rank(self) -> int:
        return 0 if self.count == 1 else self.dims.rank

    @property
    def sizes(self) -> tuple[int, ...]:
        """Arguments: of each dimension its size, and the matrices that A and B step over."""
        columns = zip(self.dims.sizes, *self.dims.strides, strict=True)
        return tuple(number for column in columns for number in column) if self.rank else ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{x}{i}" for i in range(self.rank) for x in ("size", "a_step", "b_step"))

    def bases(self) -> tuple[str, ...]:
        """Statements that find the first elements of A and B for a product's number."""
        if self.rank == 0:
            return ("a_base = int32(0)", "b_base = int32(0)")
        lines = ["rest = uint32(batch)", "a_at = int32(0)", "b_at = int32(0)"]
        for i in reversed(range(self.rank)):
            lines += [
                f"at = int32(rest % uint32(size{i}))",
                f"rest = uint32(rest // uint32(size{i}))",
                f"a_at = int32(a_at + at * a_step{i})",
                f"b_at = int32(b_at + at * b_step{i})",
            ]
        lines += [
            "a_base = int32(a_at * rows * terms)",
            "b_base = int32(b_at * terms * columns)",
        ]
        return tuple(lines)


def _batch(node: Node, attrs: MatmulAttrs) -> _Batch:
    a, b = (value.type.sizes[:-2] for value in node.inputs[:2])
    shape = node.output.type.sizes[:-2]
    if math.prod(b) == 1 and a == shape and not attrs.transpose_a:
        return _Batch(collapse((), ()), folds=True)
    return _Batch(collapse(shape, (broadcast(a, shape), broadcast(b, shape))))


def _matrix(value: Value, is_transposed: bool) -> tuple[int, int]:
    rows, columns = value.type.sizes[-2:]
    return (columns, rows) if is_transposed else (rows, columns)


def _product(attrs: MatmulAttrs, batch: _Batch, a_width: int, b_width: int) -> Product:
    across, along = ("1", "rows"), ("terms", "1")
    a = Matrix("a", *(across if attrs.transpose_a else along), width=a_width)
    across, along = ("1", "columns"), ("terms", "1")
    b = Matrix("b", *(along if attrs.transpose_b else across), width=b_width)
    start = "batch * rows * columns + " if batch.rank else ""
    return Product(
        a=a,
        b=b,
        rows="rows",
        columns="columns",
        terms="terms",
        sizes=("rows", "columns", "terms", *batch.names),
        bases=batch.bases(),
        position=f"{start}row * columns + col",
        column="col",
    )
