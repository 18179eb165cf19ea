"""Products of vectors and matrices, triangles and diagonals."""

from __future__ import annotations

from numbanet import ops
from numbanet.errors import DTypeError, ShapeError
from numbanet.ir import DType, Value
from numbanet.tensors.dispatch import tensor_function
from numbanet.tensors.functions.arithmetic import mul
from numbanet.tensors.functions.promotion import Number, known_size
from numbanet.tensors.functions.shapes import movedim


def _same_dtype(name: str, *tensors: Value) -> None:
    if len({tensor.dtype for tensor in tensors}) > 1:
        raise DTypeError(
            f"{name}() takes tensors of one dtype",
            got=" and ".join(str(tensor.dtype) for tensor in tensors),
            mend="Convert one of them with .to(dtype)",
        )


def _ranks(name: str, *expected: tuple[Value, int]) -> None:
    if any(value.rank != rank for value, rank in expected):
        raise ShapeError(
            f"{name}() takes tensors of other ranks",
            got=" and ".join(str(value.type) for value, _ in expected),
            expected=" and ".join(f"{rank} axes" for _, rank in expected),
        )


@tensor_function
def matmul(input: Value, other: Value) -> Value:
    """The matrix product over the last two axes; vectors lose theirs, others broadcast."""
    _same_dtype("matmul", input, other)
    if input.dtype.is_floating:
        return ops.matmul(input, other)
    return _whole_matmul(input, other)


def _whole_matmul(a: Value, b: Value) -> Value:
    """Of integers: products and their sum."""
    if a.dtype is DType.BOOL:
        raise DTypeError("matmul() cannot compute with this dtype", got="bool")
    if 0 in (a.rank, b.rank) or a.shape[-1] != b.shape[-2 if b.rank > 1 else -1]:
        raise ShapeError("matmul() cannot multiply these", got=f"{a.type} and {b.type}")
    rows = a if a.rank > 1 else ops.expand_dims(a, 0)
    columns = ops.expand_dims(b, 1) if b.rank == 1 else b
    products = ops.expand_dims(rows, -1) * ops.expand_dims(columns, -3)
    total = ops.sum(products, -2)
    if b.rank == 1:
        total = ops.squeeze(total, -1)
    return ops.squeeze(total, -1 if b.rank == 1 else -2) if a.rank == 1 else total


@tensor_function
def mm(input: Value, mat2: Value) -> Value:
    """The product of two matrices."""
    _ranks("mm", (input, 2), (mat2, 2))
    return matmul(input, mat2)


@tensor_function
def bmm(input: Value, mat2: Value) -> Value:
    """Products of as many pairs of matrices as there are."""
    _ranks("bmm", (input, 3), (mat2, 3))
    if input.shape[0] != mat2.shape[0]:
        raise ShapeError("bmm() takes equally many", got=f"{input.type} and {mat2.type}")
    return matmul(input, mat2)


@tensor_function
def mv(input: Value, vec: Value) -> Value:
    """The product of a matrix and a vector."""
    _ranks("mv", (input, 2), (vec, 1))
    return matmul(input, vec)


@tensor_function
def dot(input: Value, tensor: Value) -> Value:
    """The sum of products of two vectors."""
    _ranks("dot", (input, 1), (tensor, 1))
    _same_dtype("dot", input, tensor)
    if input.shape != tensor.shape:
        raise ShapeError("dot() takes equal sizes", got=f"{input.type} and {tensor.type}")
    return ops.sum(input * tensor)


@tensor_function
def outer(input: Value, vec2: Value) -> Value:
    """All products of elements of two vectors."""
    _ranks("outer", (input, 1), (vec2, 1))
    return mul(ops.expand_dims(input, 1), ops.expand_dims(vec2, 0))


@tensor_function
def addmm(
    input: Value, mat1: Value, mat2: Value, *, beta: Number = 1, alpha: Number = 1
) -> Value:
    """``beta * input + alpha * mat1 @ mat2``."""
    return _plus(input, mm(mat1, mat2), beta, alpha)


@tensor_function
def addmv(
    input: Value, mat: Value, vec: Value, *, beta: Number = 1, alpha: Number = 1
) -> Value:
    """``beta * input + alpha * mat @ vec``."""
    return _plus(input, mv(mat, vec), beta, alpha)


@tensor_function
def baddbmm(
    input: Value, batch1: Value, batch2: Value, *, beta: Number = 1, alpha: Number = 1
) -> Value:
    """``beta * input + alpha * batch1 @ batch2``."""
    return _plus(input, bmm(batch1, batch2), beta, alpha)


def _plus(input: Value, product: Value, beta: Number, alpha: Number) -> Value:
    scaled = product if alpha == 1 else product * alpha
    if beta == 0:
        return scaled
    return (input if beta == 1 else input * beta) + scaled


def _distances(input: Value) -> Value:
    """Column less row, of each element of the last two axes."""
    rows, columns = known_size("tril", input, -2), known_size("tril", input, -1)
    return ops.iota((columns,)) - ops.reshape(ops.iota((rows,)), (rows, 1))


def _where_near(input: Value, is_kept: Value) -> Value:
    if input.dtype is DType.BOOL:
        return ops.logical_and(input, is_kept)
    return ops.where(is_kept, input, 0)


@tensor_function
def tril(input: Value, diagonal: int = 0) -> Value:
    """Zero above a diagonal of the last two axes."""
    return _where_near(input, _distances(input) <= diagonal)


@tensor_function
def triu(input: Value, diagonal: int = 0) -> Value:
    """Zero below a diagonal of the last two axes."""
    return _where_near(input, _distances(input) >= diagonal)


@tensor_function
def diagonal(input: Value, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Value:
    """A diagonal of two axes, as the last axis of the result."""
    return ops.diagonal(input, offset, dim1, dim2)


@tensor_function
def diag_embed(input: Value, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Value:
    """Matrices with the last axis as a diagonal of two new axes, and zero elsewhere."""
    length = known_size("diag_embed", input, -1)
    size = length + abs(offset)
    padding = [(0, 0)] * (input.rank - 1) + [(max(offset, 0), max(-offset, 0))]
    rows = ops.expand_dims(ops.pad(input, padding), -2)
    grid = ops.expand(rows, [-1] * (rows.rank - 2) + [size, size])
    matrix = _where_near(grid, ops.equal(_distances(grid), offset))
    return movedim(matrix, (-2, -1), (dim1, dim2))


@tensor_function
def diag(input: Value, diagonal: int = 0) -> Value:
    """The diagonal of a matrix, or a matrix with a vector as its diagonal."""
    return diag_embed(input, diagonal) if input.rank == 1 else _diagonal(input, diagonal)


_diagonal = diagonal


@tensor_function
def trace(input: Value) -> Value:
    """The sum of the diagonal of a matrix."""
    _ranks("trace", (input, 2))
    value = diagonal(input)
    return ops.sum(value if value.dtype.is_floating else ops.cast(value, DType.INT64))
